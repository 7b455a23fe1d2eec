"""Small random models of PixArt, as tensors under the names of their files."""

from collections.abc import Iterator
from dataclasses import replace

import torch
from torch import Tensor

from diffusion.families.pixart.layout import LAYOUT
from diffusion.families.pixart.network import PixArt, PixArtSizes
from tests.diffusion.small_models import as_weights
from tests.nodes.small_flux import TEXT
from tests.nodes.small_sd3 import tensors_of

Tensors = dict[str, Tensor]

SIGMA = PixArtSizes(
    width=144, in_channels=4, out_channels=8, patch=2, text=TEXT, depth=2, told_size=False, stretch=2
)
ALPHA = replace(SIGMA, told_size=True)


def pixart(sizes: PixArtSizes = SIGMA) -> Tensors:
    """A diffusion model under its own names, with the table of places that is not read."""
    written = LAYOUT.written(as_weights(tensors_of(PixArt(sizes))))
    tensors = {name: each.read() for name, each in written.items()}
    if sizes.stretch is not None:
        tensors["pos_embed"] = torch.zeros(1, (sizes.stretch * 64 // sizes.patch) ** 2, sizes.width)
    return {**tensors, "y_embedder.y_embedding": torch.zeros(120, sizes.text)}


def lora(rank: int = 2) -> Tensors:
    """A LoRA on the projections of a model's attention, as PEFT writes it."""
    found: Tensors = {}
    for name, weight in tensors_of(PixArt(SIGMA)).items():
        if name.endswith(("to_q.weight", "to_v.weight")):
            base = f"unet.base_model.model.{name.removesuffix('.weight')}"
            found[f"{base}.lora_A.weight"] = torch.randn(rank, weight.shape[1]) / 10
            found[f"{base}.lora_B.weight"] = torch.randn(weight.shape[0], rank) / 10
    return found


def files() -> Iterator[tuple[str, Tensors, dict[str, str]]]:
    """Those that examples name: where it lies, its tensors, its metadata."""
    yield "diffusion_models/pixart_sigma.safetensors", pixart(), {}
    yield "loras/pixart-style.safetensors", lora(), {}
