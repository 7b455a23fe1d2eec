"""Upscaling networks that the package spandrel knows and we do not: SwinIR, HAT, DAT, SPAN and many more.

spandrel tells a network by its tensors. It is given tensors that our own readers took out of a file, never
the file, so that nothing in one is run. Its network is then emptied, and filled like our own.
"""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor, nn

from diffusion.upscaling.upscaler_networks import Network
from diffusion.weights.entries import Entry
from diffusion.weights.files import Weights

WRAPPINGS = (
    "params_ema.",
    "params-ema.",
    "params.",
    "model_state_dict.",
    "state_dict.",
    "",
    "model.",
    "net.",
)
GET_IT = "pip install '.[upscalers]' in Nodeloom's folder"
COLOURS = 3


class Unavailable(Exception):
    """spandrel cannot be asked; says why, and what to do."""


class Unsuitable(Exception):
    """spandrel's word on a file: it knows no such network, or none that enlarges pictures in colour."""


class Foreign(nn.Module):
    """A network of spandrel's, which pads pictures to what the network asks for and cuts what it gives."""

    def __init__(self, described: Any) -> None:
        super().__init__()
        self.network: nn.Module = described.model
        self.described = described

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.described(x.clone())  # some write to what they are given
        return out.clone()  # theirs is a tensor for inference only, in which nothing may be written


def spandrel() -> Any:
    """The package.

    Raises:
        Unavailable: it is not installed, or does not import.
    """
    try:
        import spandrel
    except ModuleNotFoundError as error:
        raise Unavailable(f"spandrel, which knows more, is not installed: {GET_IT}") from error
    except (ImportError, OSError, RuntimeError) as error:
        reason = f"spandrel, which knows more, does not import ({error})"
        raise Unavailable(f"{reason}: it needs a torchvision that was made for this torch") from error
    return spandrel


def foreign(weights: Weights) -> Network:
    """The network that spandrel sees in a file, out of whatever wraps it.

    Raises:
        Unavailable: there is no spandrel to ask.
        Unsuitable: it sees none, or none that enlarges pictures.
    """
    package = spandrel()
    for inner in filter(None, map(weights.under, WRAPPINGS)):
        tensors = {name: inner.tensor(name) for name in inner}
        try:
            described = package.ModelLoader("cpu").load_from_state_dict(tensors)
        except package.UnsupportedModelError:
            continue
        except Exception as error:  # another's readers on a file of unknown origin: anything may be wrong
            raise Unsuitable(f"spandrel cannot read it ({str(error).splitlines()[0]})") from error
        return emptied(_suitable(described, package), weights)
    raise Unsuitable("spandrel does not know it either")


def _suitable(described: Any, package: Any) -> Any:
    if not isinstance(described, package.ImageModelDescriptor):
        raise Unsuitable(f"spandrel sees {described.architecture.name} in it, which wants a mask as well")
    channels = described.input_channels, described.output_channels
    if channels != (COLOURS, COLOURS):
        raise Unsuitable(
            f"spandrel sees {described.architecture.name} in it, which makes {channels[1]} channels of "
            f"{channels[0]} instead of {COLOURS} of {COLOURS}"
        )
    return described


def emptied(described: Any, weights: Weights) -> Network:
    """A network that is to be filled like our own: its tensors apart, and itself without any."""
    module = Foreign(described.eval())
    for each in module.modules():
        each._non_persistent_buffers_set.clear()  # else they would stay where the module was made
    held = {name: tensor.detach() for name, tensor in module.state_dict().items()}
    module.to("meta")
    return Network(
        weights.having({name: _entry(tensor) for name, tensor in held.items()}),
        lambda: copy.deepcopy(module),
        float(described.scale),
        channels_last=False,
        computes_in=torch.float32,  # many make masks of that type, whatever they say they can do
    )


def _entry(tensor: Tensor) -> Entry:
    return Entry(tuple(tensor.shape), tensor.dtype, lambda: tensor)
