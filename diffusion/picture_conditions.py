"""What models that start from a picture are given beside the latent: noised pictures, facts as vectors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from diffusion.clocks import scaled_linear_sigmas
from diffusion.images import like

Options = Mapping[str, Any]

# The x4 upscaler's, as published with it.
UPSCALER_BETAS = (0.0001, 0.02)
MOST_NOISE = 350  # of 1000 levels, to which its picture is noised at a noise augmentation of 1
AWAY_FROM_SEED = 10  # the picture's noise is drawn from a seed so far below the run's


def noise_level(options: Options) -> Tensor:
    """The class an upscaler is told: how much its small picture was noised. [1]"""
    return torch.tensor([round(MOST_NOISE * float(options.get("noise_augmentation", 0.0)))])


def low_resolution(options: Options, latent: Tensor, seed: int) -> Tensor:
    """The small picture [B, 3, H, W], −1…1, that an upscaler sees beside a latent of the same size."""
    picture = options.get("concat_image")
    if picture is None:
        return torch.zeros_like(latent[:, :3])
    if picture.shape[-2:] != latent.shape[-2:]:
        picture = like(picture, latent, repeat=False)
    picture = picture.to(latent)
    level = int(noise_level(options))
    if options.get("noise_augmentation", 0.0) > 0:
        sigma = scaled_linear_sigmas(*UPSCALER_BETAS)[level].item()
        generator = torch.Generator().manual_seed((seed - AWAY_FROM_SEED) % 2**64)
        noise = torch.randn(picture.shape, generator=generator).to(picture)
        picture = (picture + sigma * noise) / (1 + sigma**2) ** 0.5
    return like(picture, latent[:, :3])
