"""A world in which everything is known: data that are Gaussian, and so is every noisy version of them."""

from dataclasses import dataclass

import torch
from torch import Tensor

from diffusion.noise.prediction import Prediction, stable_diffusion
from diffusion.samplers import Sampler, Step

PREDICTION = stable_diffusion()


@dataclass
class GaussianData:
    """The exact denoiser of N(mean, deviation²) at every pixel; its negative estimate is that of N(0, 1)."""

    mean: float = 0.3
    deviation: float = 0.5
    evaluations: int = 0

    def __call__(self, x: Tensor, sigma: Tensor) -> Tensor:
        self.evaluations += 1
        return self.mean + (x - self.mean) * self.deviation**2 / (self.deviation**2 + sigma**2)

    def pair(self, x: Tensor, sigma: Tensor) -> tuple[Tensor, Tensor]:
        return self(x, sigma), x / (1 + sigma**2)

    def start(self, sigma: float, *shape: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> Tensor:
        """Noisy data at sigma."""
        noise = torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)
        return self.mean + noise * (self.deviation**2 + sigma**2) ** 0.5

    def solution(self, x: Tensor, sigma: Tensor, sigma_next: Tensor) -> Tensor:
        """Where the probability-flow ODE takes x exactly."""
        spread, spread_next = (self.deviation**2 + s.double() ** 2 for s in (sigma, sigma_next))
        return self.mean + (x - self.mean) * (spread_next / spread).sqrt()


def run(
    sampler: Sampler,
    data: GaussianData,
    x: Tensor,
    sigmas: Tensor,
    seed: int = 0,
    prediction: Prediction = PREDICTION,
) -> list[Step]:
    """All steps of a sampler."""
    return list(sampler(data, x, sigmas, seed=seed, prediction=prediction))
