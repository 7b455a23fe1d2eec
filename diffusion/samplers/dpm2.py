"""Midpoint steps in the manner of DPM-Solver-2 (Lu et al. 2022, arXiv 2206.00927), plain and ancestral."""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor

from diffusion.noise.prediction import EXPLODING, Process
from diffusion.samplers.contract import Denoiser, Noise, Step, Steps, descent, halfway, slope


def dpm_2(denoise: Denoiser, x: Tensor, sigmas: Tensor) -> Steps:
    """The slope at the geometric middle of each step carries x across it."""
    for sigma, sigma_next in pairwise(sigmas):
        denoised = denoise(x, sigma)
        x = _across(denoise, x, sigma, sigma_next, denoised)
        yield Step(x, denoised, sigma)


def dpm_2_ancestral(
    denoise: Denoiser,
    x: Tensor,
    sigmas: Tensor,
    noise: Noise,
    *,
    eta: float = 1.0,
    s_noise: float = 1.0,
    process: Process = EXPLODING,
) -> Steps:
    """The same with ancestral noise."""
    for sigma, sigma_next in pairwise(sigmas):
        denoised = denoise(x, sigma)
        down, scale, up = descent(sigma, sigma_next, eta, process)
        x = _across(denoise, x, sigma, down, denoised)
        if sigma_next > 0:
            x = scale * x + noise(sigma, sigma_next) * s_noise * up
        yield Step(x, denoised, sigma)


def _across(denoise: Denoiser, x: Tensor, sigma: Tensor, sigma_next: Tensor, denoised: Tensor) -> Tensor:
    d = slope(x, sigma, denoised)
    if sigma_next == 0:
        return x + d * (sigma_next - sigma)
    middle = halfway(sigma, sigma_next)
    x_2 = x + d * (middle - sigma)
    return x + slope(x_2, middle, denoise(x_2, middle)) * (sigma_next - sigma)
