"""SEEDS (Gonzalez et al. 2023, arXiv 2305.14267): exponential solvers of the SDE with two or three stages.

h_eta = h · (1 + eta) is the step of the data prediction; the stages share their Gaussian noise.
"""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor

from diffusion.noise.prediction import EXPLODING, Process
from diffusion.samplers.contract import Denoiser, Noise, Step, Steps


def seeds_2(
    denoise: Denoiser,
    x: Tensor,
    sigmas: Tensor,
    noise: Noise,
    *,
    eta: float = 1.0,
    s_noise: float = 1.0,
    r: float = 0.5,
    process: Process = EXPLODING,
) -> Steps:
    """SEEDS-2: an inner point at share r of the step in lambda."""
    for sigma, sigma_next in pairwise(process.solvable(sigmas)):
        denoised = denoise(x, sigma)
        if sigma_next == 0:
            x = denoised
            yield Step(x, denoised, sigma)
            continue
        stage = _Stages(process, noise, sigma, sigma_next, eta, s_noise, (r, 1.0))
        x_2 = stage.exponential(x, denoised, 0) + stage.noise(0)
        denoised_2 = denoise(x_2, stage.sigmas[0])
        share = 1 / (2 * r)
        x = stage.exponential(x, (1 - share) * denoised + share * denoised_2, 1) + stage.noise(1)
        yield Step(x, denoised, sigma)


def seeds_3(
    denoise: Denoiser,
    x: Tensor,
    sigmas: Tensor,
    noise: Noise,
    *,
    eta: float = 1.0,
    s_noise: float = 1.0,
    r_1: float = 1 / 3,
    r_2: float = 2 / 3,
    process: Process = EXPLODING,
) -> Steps:
    """SEEDS-3: inner points at shares r_1 and r_2."""
    for sigma, sigma_next in pairwise(process.solvable(sigmas)):
        denoised = denoise(x, sigma)
        if sigma_next == 0:
            x = denoised
            yield Step(x, denoised, sigma)
            continue
        stage = _Stages(process, noise, sigma, sigma_next, eta, s_noise, (r_1, r_2, 1.0))
        x_2 = stage.exponential(x, denoised, 0) + stage.noise(0)
        change_2 = denoise(x_2, stage.sigmas[0]) - denoised
        x_3 = stage.exponential(x, denoised, 1) + r_2 / r_1 * stage.linear(change_2, 1) + stage.noise(1)
        change_3 = denoise(x_3, stage.sigmas[1]) - denoised
        x = stage.exponential(x, denoised, 2) + 1 / r_2 * stage.linear(change_3, 2) + stage.noise(2)
        yield Step(x, denoised, sigma)


class _Stages:
    """The coefficients at each share of one step, and the noise drawn for the stretches between shares."""

    def __init__(
        self,
        process: Process,
        noise: Noise,
        sigma: Tensor,
        sigma_next: Tensor,
        eta: float,
        s_noise: float,
        shares: tuple[float, ...],
    ) -> None:
        start, end = process.half_log_snr(sigma), process.half_log_snr(sigma_next)
        self.h = end - start
        self.eta, self.s_noise, self.shares, self.start = eta, s_noise, shares, sigma
        self.sigmas = [process.sigma(start + r * self.h) for r in shares[:-1]] + [sigma_next]
        self.alphas = [process.alpha(s) for s in self.sigmas]
        stretches = list(pairwise([sigma, *self.sigmas])) if eta and s_noise else []
        self.draws = [noise(a, b) for a, b in stretches]

    def exponential(self, x: Tensor, denoised: Tensor, i: int) -> Tensor:
        """The exact solution at share i if the estimate stayed `denoised`."""
        h = self.shares[i] * self.h
        decay = self.sigmas[i] / self.start * (-h * self.eta).exp()
        return decay * x - self.alphas[i] * (-h * (1 + self.eta)).expm1() * denoised

    def linear(self, change: Tensor, i: int) -> Tensor:
        """What a linear change of the estimate adds: phi_2 of the step."""
        h_eta = self.shares[i] * self.h * (1 + self.eta)
        return self.alphas[i] * ((-h_eta).expm1() / h_eta + 1) * change

    def noise(self, i: int) -> Tensor:
        """The noise gathered up to share i: the newest stretch weighs as the first one does alone."""
        if not self.draws:
            return self.h.new_zeros(())
        levels = [(-2 * r * self.h * self.eta).exp() for r in (0.0, *self.shares[: i + 1])]
        weights = [(a - b).sqrt() for a, b in pairwise(levels)]
        mixed = sum(w * n for w, n in zip(reversed(weights), self.draws, strict=False))
        return self.sigmas[i] * mixed * self.s_noise
