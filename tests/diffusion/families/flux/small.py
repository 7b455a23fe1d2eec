"""Small models of FLUX for its tests: files in both layouts, and a model of one."""

from dataclasses import replace
from pathlib import Path

import torch

from diffusion.families.checkpoints import model_from
from diffusion.families.detect import told
from diffusion.families.flux.layout import LAYOUT
from diffusion.families.flux.network import Flux, FluxSizes
from diffusion.model import Model
from diffusion.residency.budget import Residency
from diffusion.weights.entries import Entry, Weights

DEV = FluxSizes(
    width=128, in_channels=16, out_channels=16, text=12, vector=8, doubles=2, singles=2, guidance=True
)
FILL, SCHNELL = replace(DEV, in_channels=96), replace(DEV, guidance=False)
DEPTH = replace(DEV, in_channels=32)


def diffusers_file(sizes: FluxSizes, path: Path = Path("flux.safetensors")) -> Weights:
    """A file in diffusers' layout."""
    torch.manual_seed(0)
    shapes = {name: tuple(each.shape) for name, each in Flux(sizes).state_dict().items()}
    tensors = {name: torch.randn(shape) * 0.1 for name, shape in shapes.items()}
    return Weights(path, {name: Entry(tuple(t.shape), t.dtype, lambda t=t: t) for name, t in tensors.items()})


def file(sizes: FluxSizes, path: Path = Path("flux.safetensors")) -> Weights:
    """A file in FLUX's own layout."""
    weights = diffusers_file(sizes, path)
    return weights.having(LAYOUT.written(weights))


def model(sizes: FluxSizes, residency: Residency, tmp_path: Path) -> Model:
    path = tmp_path / "flux.safetensors"
    path.touch()
    found = told(file(sizes, path))
    assert found is not None
    return model_from(found, residency)
