"""Euler's method, plain and ancestral."""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor

from diffusion.noise.prediction import EXPLODING, Process
from diffusion.samplers.contract import Denoiser, Noise, Step, Steps, descent, slope


def euler(denoise: Denoiser, x: Tensor, sigmas: Tensor) -> Steps:
    """Euler steps along the probability-flow ODE (Karras et al. 2022, algorithm 2 without churn)."""
    for sigma, sigma_next in pairwise(sigmas):
        denoised = denoise(x, sigma)
        x = x + slope(x, sigma, denoised) * (sigma_next - sigma)
        yield Step(x, denoised, sigma)


def euler_ancestral(
    denoise: Denoiser,
    x: Tensor,
    sigmas: Tensor,
    noise: Noise,
    *,
    eta: float = 1.0,
    s_noise: float = 1.0,
    process: Process = EXPLODING,
) -> Steps:
    """Euler steps that go too far down and put noise back (DDPM's posterior variance at eta = 1)."""
    for sigma, sigma_next in pairwise(sigmas):
        denoised = denoise(x, sigma)
        if sigma_next == 0:
            x = denoised
        else:
            down, scale, up = descent(sigma, sigma_next, eta, process)
            x = x + slope(x, sigma, denoised) * (down - sigma)
            x = scale * x + noise(sigma, sigma_next) * s_noise * up
        yield Step(x, denoised, sigma)
