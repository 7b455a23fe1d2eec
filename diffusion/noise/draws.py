"""Noise: drawn on the CPU from a seed, so that every device and every size of batch agrees."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
import torchsde
from torch import Tensor

StepNoise = Callable[[Tensor, Tensor], Tensor]  # (sigma, sigma_next) → unit Gaussian noise


def starting_noise(shape: Sequence[int], seed: int, rows: Sequence[int] | None = None) -> Tensor:
    """Unit Gaussian noise for a batch of latents. [*shape], float32, on the CPU.

    With `rows` (a latent's `batch_index`) row i is the rows[i]-th that would be drawn one by one: a picture
    taken out of a batch keeps its noise, and equal indices get equal noise.
    """
    generator = torch.Generator().manual_seed(seed)
    if rows is None:
        return torch.randn(tuple(shape), generator=generator)
    drawn = [torch.randn((1, *shape[1:]), generator=generator) for _ in range(max(rows) + 1)]
    return torch.cat([drawn[row] for row in rows])


@dataclass(frozen=True)
class RandomNoise:
    """The value on NOISE links: starting noise of a seed."""

    seed: int = 0

    def __call__(self, latent: Tensor, rows: Sequence[int] | None = None) -> Tensor:
        """Noise for this batch of latents."""
        return starting_noise(latent.shape, self.seed, rows)


@dataclass(frozen=True)
class NoNoise:
    """Noise that is absent: a run that goes on where another one stopped."""

    seed: int = 0

    def __call__(self, latent: Tensor, rows: Sequence[int] | None = None) -> Tensor:
        """Zeros."""
        return torch.zeros(latent.shape)


def gaussian(x: Tensor, seed: int) -> StepNoise:
    """Independent draws for the steps of ancestral samplers, from a generator of their own."""
    generator = torch.Generator().manual_seed(seed)

    def draw(sigma: Tensor, sigma_next: Tensor) -> Tensor:
        return torch.randn(x.shape, generator=generator).to(x)

    return draw


def brownian(x: Tensor, sigmas: Tensor, seed: int) -> StepNoise:
    """Increments of one Brownian path over the schedule's sigmas, scaled to unit variance.

    The path depends on the seed and the range alone: more steps refine the same noise.
    """
    low, high = (round(level.item(), 6) for level in (sigmas[sigmas > 0].min(), sigmas.max()))
    tree = torchsde.BrownianTree(low, torch.zeros(x.shape), high, entropy=seed)

    def draw(sigma: Tensor, sigma_next: Tensor) -> Tensor:
        ends = sorted(min(max(s.item(), low), high) for s in (sigma, sigma_next))
        increment: Tensor = tree(*ends) / (sigma - sigma_next).abs().sqrt()
        return (-increment if sigma_next < sigma else increment).to(x)

    return draw
