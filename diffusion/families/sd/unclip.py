"""unCLIP: pictures steer by their CLIP embedding, noised as much as they may be departed from.

Ramesh et al. 2022, https://arxiv.org/abs/2204.06125; as Stable Diffusion 2.1 unCLIP was trained.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from diffusion.networks.blocks import timestep_embedding
from diffusion.weights.files import Weights

LEVELS = 1000
LEAST_ALPHA = 0.001  # of one step: its beta is capped
MERGED_NOISE = 0.05  # how much the mean of several pictures is noised again
SEED_APART = 10  # from the seed of the latent's noise
MEAN, DEVIATION = "noise_augmentor.data_mean", "noise_augmentor.data_std"


@dataclass(frozen=True, eq=False)
class ImageNoise:
    """How embeddings of pictures [B, D] are noised: in units of the deviation [1, D] from their mean."""

    mean: Tensor
    deviation: Tensor

    @property
    def width(self) -> int:
        """D; the vector y is twice as long."""
        return self.mean.shape[-1]

    @cached_property
    def alphas(self) -> Tensor:
        """The squared share of the signal left at each level (Nichol & Dhariwal 2021, equation 17)."""
        times = torch.arange(LEVELS + 1, dtype=torch.float64) / LEVELS
        whole = ((times + 0.008) / 1.008 * math.pi / 2).cos() ** 2
        return (whole[1:] / whole[:-1]).clamp(min=LEAST_ALPHA).cumprod(0).float()

    def vector(self, embedding: Tensor, amount: float, seed: int) -> Tensor:
        """Embeddings noised by 0…1 of all levels, each followed by the embedding of its level: [B, 2·D]."""
        level = round((LEVELS - 1) * amount)
        noise = torch.randn(embedding.shape, generator=torch.Generator().manual_seed(seed % 2**64))
        plain = (embedding.float().cpu() - self.mean) / self.deviation
        noised = self.alphas[level].sqrt() * plain + (1 - self.alphas[level]).sqrt() * noise
        levels = timestep_embedding(torch.full((len(noised),), level), self.width)
        return torch.cat([noised * self.deviation + self.mean, levels], dim=1)


def image_noise(weights: Weights, vector: int) -> ImageNoise:
    """What a file says of its embeddings; nothing said is mean 0 and deviation 1."""
    plain = torch.zeros(1, vector // 2), torch.ones(1, vector // 2)
    if MEAN not in weights or DEVIATION not in weights:
        return ImageNoise(*plain)
    return ImageNoise(*(weights.tensor(name).float().reshape(1, -1) for name in (MEAN, DEVIATION)))


def unclip_vector(options: Mapping[str, Any], noise: ImageNoise, seed: int) -> Tensor:
    """The vector y [1, 2·D] of all pictures in a conditioning's options; zeros where there is none.

    Each picture counts by its strength. Several are added, and the sum is noised a little once more, so that
    it looks like the embedding of one picture.
    """
    pictures: Sequence[Mapping[str, Any]] = options.get("unclip_conditioning", ())
    seed -= SEED_APART
    vectors: list[Tensor] = [
        noise.vector(row[None], each["noise_augmentation"], seed) * each["strength"]
        for each in pictures
        for row in each["clip_vision_output"]["image_embeds"]
    ]
    if not vectors:
        return torch.zeros(1, 2 * noise.width)
    if len(vectors) == 1:
        return vectors[0]
    total = torch.stack(vectors).sum(0)
    amount = options.get("unclip_noise_augment_merge", MERGED_NOISE)
    return noise.vector(total[:, : noise.width], amount, seed)
