"""Small random models of Stable Diffusion 3 and what goes with them, under the names of their files."""

from collections.abc import Iterator
from dataclasses import replace

import torch
from torch import Tensor

from diffusion.families.sd3.control import ALONE, AloneControl, ControlSizes, JointControl
from diffusion.families.sd3.layout import LAYOUT
from diffusion.families.sd3.network import Sd3, Sd3Sizes
from tests.diffusion.small_models import as_weights
from tests.golden.weights import tensor_for
from tests.nodes.small_flux import METADATA, POOLED, TEXT, autoencoder, lora

Tensors = dict[str, Tensor]

MEDIUM = Sd3Sizes(
    width=128,
    in_channels=16,
    out_channels=16,
    patch=2,
    text=TEXT,
    vector=2 * POOLED,
    depth=2,
    places=24,
    normed=False,
    twice=(),
)
LARGE = replace(MEDIUM, width=192, depth=3, normed=True)
MEDIUM_35 = replace(MEDIUM, normed=True, depth=3, twice=(0, 1))
CONTROL = ControlSizes(width=128, channels=16, hint=16, depth=1, vector=2 * POOLED, text=TEXT, places=24)
CONTROL_35 = ControlSizes(width=192, channels=16, hint=16, depth=2, vector=2 * POOLED)


def tensors_of(module: torch.nn.Module, salt: str = "") -> Tensors:
    """Random tensors for all of a module's parameters and tables."""
    return {name: tensor_for(salt + name, tuple(each.shape)) for name, each in module.state_dict().items()}


def sd3(sizes: Sd3Sizes = MEDIUM, salt: str = "") -> Tensors:
    """A diffusion model; `salt` makes another of the same sizes."""
    tensors = tensors_of(Sd3(sizes), salt)
    return {name: each.read() for name, each in LAYOUT.written(as_weights(tensors)).items()}


def control(sizes: ControlSizes = CONTROL) -> Tensors:
    """A control network of two streams."""
    return tensors_of(JointControl(sizes), "control ")


def control_35(sizes: ControlSizes = CONTROL_35, shows: float = 1.0) -> Tensors:
    """A control network for 3.5; `shows` says what its pictures show."""
    tensors = tensors_of(AloneControl(sizes), "control ")
    named = {name: each.read() for name, each in ALONE.written(as_weights(tensors)).items()}
    return {**named, "control_type": torch.tensor(shows)}


def files() -> Iterator[tuple[str, Tensors, dict[str, str]]]:
    """Those that examples name: where it lies, its tensors, its metadata."""
    medium = sd3()
    yield "diffusion_models/sd3_medium.safetensors", medium, {}
    yield "diffusion_models/sd3_tuned.safetensors", sd3(salt="tuned "), {}
    yield "diffusion_models/sd3.5_large.safetensors", sd3(LARGE), {}
    yield "diffusion_models/sd3.5_large_tuned.safetensors", sd3(LARGE, "tuned "), {}
    yield "loras/sd3-style.safetensors", lora(medium), {}
    yield "controlnet/sd3-canny.safetensors", control(), {}
    yield "controlnet/sd3.5_large_canny.safetensors", control_35(), {}
    yield "vae/sd3-vae.safetensors", autoencoder(), METADATA
