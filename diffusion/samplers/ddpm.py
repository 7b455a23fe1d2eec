"""Ancestral sampling of the DDPM (Ho et al. 2020, algorithm 2) between the levels of a schedule, and LCM's."""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor

from diffusion.prediction import EXPLODING, Process
from diffusion.samplers.contract import Denoiser, Noise, Step, Steps, slope


def ddpm(denoise: Denoiser, x: Tensor, sigmas: Tensor, noise: Noise) -> Steps:
    """Draws from q(x_next | x, eps) in the variance-preserving form, and returns to ours."""
    for sigma, sigma_next in pairwise(sigmas):
        denoised = denoise(x, sigma)
        alpha_bar, alpha_bar_next = 1 / (sigma**2 + 1), 1 / (sigma_next**2 + 1)
        alpha = alpha_bar / alpha_bar_next
        eps = slope(x, sigma, denoised)
        x = (x * alpha_bar.sqrt() - (1 - alpha) / (1 - alpha_bar).sqrt() * eps) / alpha.sqrt()
        if sigma_next > 0:
            spread = ((1 - alpha) * (1 - alpha_bar_next) / (1 - alpha_bar)).sqrt()
            x = (x + spread * noise(sigma, sigma_next)) / alpha_bar_next.sqrt()
        yield Step(x, denoised, sigma)


def lcm(denoise: Denoiser, x: Tensor, sigmas: Tensor, noise: Noise, *, process: Process = EXPLODING) -> Steps:
    """Multistep consistency sampling (Song et al. 2023, algorithm 1): jump to the estimate, noise it afresh."""
    for sigma, sigma_next in pairwise(sigmas):
        denoised = x = denoise(x, sigma)
        if sigma_next > 0:
            x = process.noised(denoised, noise(sigma, sigma_next), sigma_next)
        yield Step(x, denoised, sigma)
