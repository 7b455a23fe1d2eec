"""Hypernetworks: small nets that change what attention finds tokens by, and what it takes from them.

One pair of nets, for keys and for values, for each width, as they were trained for SD 1.x.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F

from diffusion.errors import FileProblem
from diffusion.hooks import Hook, Place
from diffusion.model import Model
from diffusion.weights.files import Weights, open_weights

ACTIVATIONS: Mapping[str, Callable[[Tensor], Tensor]] = {
    "linear": lambda x: x,
    "relu": F.relu,
    "leakyrelu": F.leaky_relu,
    "elu": F.elu,
    "selu": F.selu,
    "celu": F.celu,
    "gelu": F.gelu,
    "mish": F.mish,
    "silu": F.silu,
    "swish": F.hardswish,
    "hardswish": F.hardswish,
    "tanh": torch.tanh,
    "sigmoid": torch.sigmoid,
    "softsign": F.softsign,
    "softplus": F.softplus,
}
"""What files call the functions between layers."""


@dataclass(frozen=True, eq=False)
class Net:
    """x + s · net(x); `layers` are weights and biases in order, a layer norm where the weight is a vector."""

    layers: tuple[tuple[Tensor, Tensor | None], ...]
    activation: Callable[[Tensor], Tensor]
    activates_last: bool

    def __call__(self, x: Tensor, strength: float) -> Tensor:
        last = max(number for number, (weight, _) in enumerate(self.layers) if weight.dim() == 2)
        h = x
        for number, (weight, bias) in enumerate(self.layers):
            weight, bias = weight.to(x), bias.to(x) if bias is not None else None
            if weight.dim() == 1:
                h = F.layer_norm(h, weight.shape, weight, bias)
                continue
            h = F.linear(h, weight, bias)
            h = self.activation(h) if number != last or self.activates_last else h
        return x + strength * h


def with_hypernetwork(model: Model, path: Path | str, strength: float) -> Model:
    """The model with a hypernetwork in all its attention. FileProblem if the file holds none."""
    nets = hypernetwork(open_weights(path))
    change = changing(nets, strength)
    return model.with_hook("attention.self.input", change).with_hook("attention.cross.input", change)


def changing(nets: Mapping[int, tuple[Net, Net]], strength: float) -> Hook:
    """The hook that passes keys and values of known widths through their nets."""

    def change(place: Place, q: Tensor, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        pair = nets.get(k.shape[-1])
        return (q, k, v) if pair is None else (q, pair[0](k, strength), pair[1](v, strength))

    return change


def hypernetwork(weights: Weights) -> dict[int, tuple[Net, Net]]:
    """The pairs of nets of a file by width. FileProblem if it holds none."""
    name = weights.metadata.get("activation_func", "linear").lower()
    if name not in ACTIVATIONS:
        raise FileProblem(weights.path, f"Its nets use {name!r:.40}, which is not known here.")
    activates_last = weights.metadata.get("activate_output", "False") == "True"
    widths = sorted({int(key.split(".")[0]) for key in weights if key.split(".")[0].isdecimal()})
    found = {}
    for width in widths:
        layers = [_layers(weights.under(f"{width}.{half}.")) for half in (0, 1)]
        if all(layers):
            key, value = (Net(each, ACTIVATIONS[name], activates_last) for each in layers)
            found[width] = (key, value)
    if not found:
        raise FileProblem(weights.path, "It holds no hypernetwork.", "Choose another file.")
    return found


def _layers(weights: Weights) -> tuple[tuple[Tensor, Tensor | None], ...]:
    """Weights and biases in the order of their numbers: `linear.0`, or in old files `linear1`."""
    stems = {name.removesuffix(".weight") for name in weights if name.endswith(".weight")}
    ordered = sorted(stems, key=lambda stem: int(stem.removeprefix("linear").lstrip(".") or 0))
    tensors = ((f"{stem}.weight", f"{stem}.bias") for stem in ordered)
    return tuple((weights.tensor(w), weights.tensor(b) if b in weights else None) for w, b in tensors)
