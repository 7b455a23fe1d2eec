"""Samplers that draw each x afresh: DDPM (Ho et al. 2020) and consistency models (Song et al. 2023)."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor

from diffusion.images import resize
from diffusion.noise.prediction import EXPLODING, Process
from diffusion.samplers.contract import Denoiser, Noise, Step, Steps, slope


def ddpm(denoise: Denoiser, x: Tensor, sigmas: Tensor, noise: Noise) -> Steps:
    """Algorithm 2: draws from q(x_next | x, eps) in the variance-preserving form, and returns to ours."""
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
    """Consistency sampling (arXiv 2303.01469, algorithm 1): jump to the estimate, noise it afresh."""
    for sigma, sigma_next in pairwise(sigmas):
        denoised = x = denoise(x, sigma)
        if sigma_next > 0:
            x = process.noised(denoised, noise(sigma, sigma_next), sigma_next)
        yield Step(x, denoised, sigma)


def lcm_upscale(
    denoise: Denoiser,
    x: Tensor,
    sigmas: Tensor,
    seed: int,
    *,
    scale_ratio: float = 1.0,
    scale_steps: int = -1,
    upscale_method: str = "bislerp",
) -> Steps:
    """LCM that enlarges its estimate step by step to `scale_ratio` times, over half the steps unless told."""
    height, width = x.shape[-2:]
    most = len(sigmas)
    count = min(scale_steps, most) if scale_steps >= 0 else max(most // 2, 1)
    scales = torch.linspace(1, scale_ratio, count + 1, dtype=torch.float64)[1:].tolist()
    generator = torch.Generator().manual_seed(seed)
    torch.randn(x.shape, generator=generator)  # the draws go on behind the starting noise
    for i, (sigma, sigma_next) in enumerate(pairwise(sigmas)):
        denoised = x = denoise(x, sigma)
        if i < len(scales):
            x = resize(x, round(width * scales[i]), round(height * scales[i]), upscale_method)
        if sigma_next > 0:
            x = x + sigma_next * torch.randn(x.shape, generator=generator).to(x)
        yield Step(x, denoised, sigma)
