"""Small random models of DiT, as tensors under the names of their files."""

from collections.abc import Iterator

import torch
from torch import Tensor

from diffusion.families.dit.layout import LAYOUT
from diffusion.families.dit.network import DiT, DiTSizes
from tests.diffusion.small_models import as_weights
from tests.nodes.small_sd3 import tensors_of

Tensors = dict[str, Tensor]

SMALL = DiTSizes(width=144, in_channels=4, out_channels=8, patch=2, depth=2, classes=1000, side=8)


def dit(sizes: DiTSizes = SMALL) -> Tensors:
    """A diffusion model under its own names, with the table of places that is not read."""
    written = LAYOUT.written(as_weights(tensors_of(DiT(sizes))))
    tensors = {name: each.read() for name, each in written.items()}
    if sizes.side is not None:
        tensors["pos_embed"] = torch.zeros(1, sizes.side**2, sizes.width)
    return tensors


def files() -> Iterator[tuple[str, Tensors, dict[str, str]]]:
    """That which an example names: where it lies, its tensors, its metadata."""
    yield "diffusion_models/dit_xl_256.safetensors", dit(), {}
