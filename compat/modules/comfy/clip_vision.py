"""ComfyUI's `comfy.clip_vision`: pictures as a vision encoder wants them. The encoder is a placeholder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from compat.host import Host

MEAN = (0.48145466, 0.4578275, 0.40821073)
STD = (0.26862954, 0.26130258, 0.27577711)
"""Of the pictures that CLIP was trained on (Radford et al. 2021)."""


def clip_preprocess(
    image: Tensor,
    size: int = 224,
    mean: Sequence[float] = MEAN,
    std: Sequence[float] = STD,
    crop: bool = True,
) -> Tensor:
    """Pictures `B×H×W×C` in 0…1 as `B×C×size×size`: the short side fitted, the middle cut out, normalised."""
    pixels = image[..., :3].movedim(-1, 1)
    if pixels.shape[2:] != (size, size):
        scale = size / min(pixels.shape[2:])
        fitted = (round(scale * pixels.shape[2]), round(scale * pixels.shape[3])) if crop else (size, size)
        pixels = torch.nn.functional.interpolate(pixels, size=fitted, mode="bicubic", antialias=True)
        top, left = (fitted[0] - size) // 2, (fitted[1] - size) // 2
        pixels = pixels[:, :, top : top + size, left : left + size]
    pixels = torch.clip(255.0 * pixels, 0, 255).round() / 255.0
    shape = (1, 3, 1, 1)
    centre, spread = (
        torch.tensor(numbers, dtype=pixels.dtype).to(pixels.device).view(shape) for numbers in (mean, std)
    )
    return (pixels - centre) / spread


def names(host: Host) -> Mapping[str, Any]:
    """What packs import."""
    return {"clip_preprocess": clip_preprocess}
