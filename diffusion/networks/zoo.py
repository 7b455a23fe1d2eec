"""Networks of the library diffusers as backbones: its model classes alone, no pipelines and no hub.

A family's network is a `Zoo`: it is built by the class from sizes, without weights, says which lists of
blocks it has, and turns `predict` into the class's call. Here stands what is the same for all of them:

- a class is imported when it is first built, and only the module it stands in;
- parameters stay without memory until they are filled, tables that are in no file are computed at once;
- hooks hang at every block (`block.call`) and at every attention (`attention.self.attend`, `.cross.attend`);
- modules whose output stays the same over a run (the text's projection, rotary tables) compute it once;
- odd sizes are made to fit the patches by wrapping around, as the reference does.
"""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from importlib import import_module
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from diffusion.hooks import Hooks, Place
from diffusion.networks.backbone import Inputs

LIBRARY = "diffusers.models"
TEXT, IMAGE = "encoder_hidden_states", "hidden_states"
SELF, CROSS = "self", "cross"


def built(module: str, name: str, **arguments: Any) -> nn.Module:
    """A network of a class of `diffusers.models`, without memory for its parameters.

    `module` is the path below `diffusers.models`, such as `transformers.transformer_flux`.
    """
    with torch.device("cpu"), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the library's own imports and deprecations are not ours to mend
        make = getattr(import_module(f"{LIBRARY}.{module}"), name)
        with EmptyParameters():
            network: nn.Module = make(**arguments)
    for owner in network.modules():
        for leaf, parameter in owner._parameters.items():
            if parameter is not None and not parameter.is_meta:
                owner._parameters[leaf] = nn.Parameter(parameter.to("meta"), requires_grad=False)
    return network.eval().requires_grad_(False)


class EmptyParameters(TorchFunctionMode):
    """What layers reserve for parameters takes no memory and is not initialised; tables are computed."""

    def __torch_function__(
        self, function: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if getattr(function, "__module__", None) == "torch.nn.init":
            return args[0] if args else kwargs.get("tensor")
        if function is torch.empty and kwargs.get("device") is None:
            kwargs = {**kwargs, "device": "meta"}
        return function(*args, **kwargs)


@dataclass(frozen=True)
class Blocks:
    """A list of a network's blocks: what its places are called, where it stands, what goes in and out.

    `gives` names what a block returns, in order; text that it does not return passes by unchanged.
    `attends` names the attentions of one block in the order they compute. `text_first` says which tokens
    come first where image and text look at each other together.
    """

    kind: str
    path: str
    gives: tuple[str, ...] = (TEXT, IMAGE)
    attends: tuple[str, ...] = (SELF,)
    text_first: bool = True


@dataclass
class Visit:
    """One call of a network: its hooks, what they are told, and where in the network it is."""

    inputs: Inputs
    hooks: Hooks
    latent: tuple[int, int]
    facts: dict[str, Any] = field(default_factory=dict)
    place: Place | None = None
    attends: Sequence[str] = ()

    @property
    def kept(self) -> dict[Any, Any] | None:
        """What is kept over the steps of the run; None: nothing may be."""
        return self.inputs.kept


class Zoo(nn.Module):
    """A network of the library with our hooks in it; they share its parameters under its names."""

    blocks: ClassVar[tuple[Blocks, ...]] = ()
    constant: ClassVar[tuple[str, ...]] = ()
    """Modules that give the same for the same conditioning and size at every step."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self._parameters, self._buffers, self._modules = (
            network._parameters,
            network._buffers,
            network._modules,
        )
        object.__setattr__(self, "network", network)  # not a child: its names are ours
        self.network: nn.Module
        self._visit: Visit | None = None
        found = [
            (block, blocks, index)
            for blocks in self.blocks
            for index, block in enumerate(self.get_submodule(blocks.path).children())
        ]
        for serial, (block, blocks, index) in enumerate(found):
            self._hang(block, blocks, Place(blocks.kind, index, serial=serial, blocks=len(found)))
        for name in self.constant:
            self._keep(name)

    def get_submodule(self, target: str) -> nn.Module:
        """One of the network's modules by its path, whatever attributes of ours are called like it."""
        return self.network.get_submodule(target) if target else self

    def called(self, *arguments: Any, **named: Any) -> Any:
        """The library's own forward pass."""
        return self.network(*arguments, **named)

    @contextmanager
    def visited(self, x: Tensor, inputs: Inputs, hooks: Hooks, **facts: Any) -> Iterator[Visit]:
        """While it lasts hooks act. `facts` are for the family's own changes of the network."""
        size = int(x.shape[-2]), int(x.shape[-1])
        before, self._visit = self._visit, Visit(inputs, hooks, size, facts)
        attending = any(hooks[f"attention.{kind}.attend"] for kind in (SELF, CROSS))
        try:
            if attending:
                with Attending(self._visit):
                    yield self._visit
            else:
                yield self._visit
        finally:
            self._visit = before

    def instead(self, name: str, function: Callable[..., Any]) -> None:
        """Calls `function(visit, forward, *arguments)` instead of a module's forward, while visited."""
        module = self.get_submodule(name)
        forward = module.forward

        def around(*args: Any, **kwargs: Any) -> Any:
            visit = self._visit
            return forward(*args, **kwargs) if visit is None else function(visit, forward, *args, **kwargs)

        module.forward = around

    def _hang(self, block: nn.Module, blocks: Blocks, place: Place) -> None:
        """Makes a block ask the hooks of the visit."""
        forward = block.forward
        signature = inspect.signature(forward)

        def around(*args: Any, **kwargs: Any) -> Any:
            visit = self._visit
            if visit is None or not visit.hooks:
                return forward(*args, **kwargs)
            given = signature.bind(*args, **kwargs).arguments
            return _hooked(visit, blocks, place, forward, given)

        block.forward = around

    def _keep(self, name: str) -> None:
        """Makes a module compute once for a conditioning, as long as the shapes stay the same."""

        def once(visit: Visit, forward: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
            if visit.kept is None:
                return forward(*args, **kwargs)
            given = (*args, *kwargs.values())
            shapes = tuple(tuple(each.shape) for each in given if isinstance(each, Tensor))
            key = name, shapes
            if key not in visit.kept:
                visit.kept[key] = forward(*args, **kwargs)
            return visit.kept[key]

        self.instead(name, once)


def _hooked(
    visit: Visit, blocks: Blocks, place: Place, forward: Callable[..., Any], given: dict[str, Any]
) -> Any:
    """One block inside the hooks of `block.call`."""
    image, text = given[IMAGE], given.get(TEXT)
    tokens = image.shape[1], 0 if text is None else text.shape[1]
    place = replace(place, latent=visit.latent, call=visit.inputs.call, image=_image(blocks, *tokens))

    def run(image: Tensor, text: Tensor | None) -> tuple[Tensor, Tensor | None]:
        changed = {**given, IMAGE: image} if text is None else {**given, IMAGE: image, TEXT: text}
        visit.place, visit.attends = place, blocks.attends
        out = forward(**changed)
        found = dict(zip(blocks.gives, out if isinstance(out, tuple) else (out,), strict=True))
        return found[IMAGE], found.get(TEXT, text)

    image, text = visit.hooks.wrap("block.call", place, run)(image, text)
    results = {IMAGE: image, TEXT: text}
    out = tuple(results[name] for name in blocks.gives)
    return out if len(out) > 1 else out[0]


def _image(blocks: Blocks, image: int, text: int) -> tuple[int, int]:
    """Where the image's tokens begin and end where both look at each other."""
    start = text if blocks.text_first and blocks.attends[0] == SELF and CROSS not in blocks.attends else 0
    return start, start + image


class Attending(TorchFunctionMode):
    """Hands every attention of a visited network to the hooks at `attention.*.attend`.

    All of the library's attention ends in one function of torch; where that is called inside a block, hooks
    are asked with heads merged, as in our own networks.
    """

    def __init__(self, visit: Visit) -> None:
        super().__init__()
        self.visit = visit

    def __torch_function__(
        self, function: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if function is F.scaled_dot_product_attention and self.visit.attends and self.visit.place:
            return self._attended(*args, **kwargs)
        return function(*args, **kwargs)

    def _attended(self, query: Tensor, key: Tensor, value: Tensor, *rest: Any, **named: Any) -> Tensor:
        """q [B, H, N, d], k and v [B, H', M, d] → [B, H, N, d], by way of the hooks."""
        visit, width = self.visit, query.shape[-1]
        assert visit.place is not None, "asked before"
        kind, visit.attends = visit.attends[0], visit.attends[1:]
        place = replace(visit.place, heads=query.shape[1], head_channels=width)
        visit.place = replace(visit.place, transformer=visit.place.transformer + 1)

        def attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
            q, k, v = (_split(each, width) for each in (q, k, v))
            return _merge(F.scaled_dot_product_attention(q, k, v, *rest, **named))

        merged = (_merge(each) for each in (query, key, value))
        out: Tensor = visit.hooks.wrap(f"attention.{kind}.attend", place, attend)(*merged)
        return _split(out, width)


def _split(tokens: Tensor, width: int) -> Tensor:
    """[B, N, H·d] → [B, H, N, d]."""
    return tokens.reshape(*tokens.shape[:-1], -1, width).transpose(1, 2)


def _merge(heads: Tensor) -> Tensor:
    """[B, H, N, d] → [B, N, H·d]."""
    return heads.transpose(1, 2).flatten(2)


# Latents and tokens


def wrapped(x: Tensor, patch: int = 2) -> Tensor:
    """A latent [..., H, W] continued by its own other side until patches fit."""
    height, width = x.shape[-2:]
    if not height % patch and not width % patch:
        return x
    rows = torch.arange(height + -height % patch, device=x.device) % height
    columns = torch.arange(width + -width % patch, device=x.device) % width
    return x[..., rows, :][..., columns]


def patches(x: Tensor, patch: int = 2) -> Tensor:
    """[B, C, H, W] → tokens [B, H/p·W/p, C·p·p], channels slowest inside a token."""
    batch, channels, height, width = x.shape
    x = x.reshape(batch, channels, height // patch, patch, width // patch, patch)
    return x.permute(0, 2, 4, 1, 3, 5).reshape(batch, -1, channels * patch * patch)


def unpatched(tokens: Tensor, height: int, width: int, patch: int = 2) -> Tensor:
    """The inverse of `patches` for a latent of this size; sizes that patches do not fit are cut off."""
    rows, columns = -(-height // patch), -(-width // patch)
    x = tokens.reshape(len(tokens), rows, columns, -1, patch, patch).permute(0, 3, 1, 4, 2, 5)
    return x.reshape(len(tokens), -1, rows * patch, columns * patch)[..., :height, :width]
