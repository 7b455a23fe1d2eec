"""Heun's second-order method, and Heun++ which looks a further step ahead."""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor

from diffusion.samplers.contract import Denoiser, Step, Steps, slope


def heun(denoise: Denoiser, x: Tensor, sigmas: Tensor) -> Steps:
    """Heun steps (Karras et al. 2022, algorithm 1); the last one, into 0, is Euler's."""
    for sigma, sigma_next in pairwise(sigmas):
        denoised = denoise(x, sigma)
        d = slope(x, sigma, denoised)
        dt = sigma_next - sigma
        x_2 = x + d * dt
        if sigma_next == 0:
            x = x_2
        else:
            d_2 = slope(x_2, sigma_next, denoise(x_2, sigma_next))
            x = x + (d + d_2) / 2 * dt
        yield Step(x, denoised, sigma)


def heunpp2(denoise: Denoiser, x: Tensor, sigmas: Tensor) -> Steps:
    """Heun++: slopes at up to three levels ahead, weighted by sigma / (order · sigma_max)."""
    for i, (sigma, sigma_next) in enumerate(pairwise(sigmas)):
        denoised = denoise(x, sigma)
        ahead, place, slopes = sigmas[i : i + 3], x, [slope(x, sigma, denoised)]
        for level, level_next in pairwise(ahead):
            if level_next == sigmas[-1]:
                break
            place = place + slopes[-1] * (level_next - level)
            slopes.append(slope(place, level_next, denoise(place, level_next)))
        weights = [level / (len(slopes) * sigmas[0]) for level in ahead[1 : len(slopes)]]
        weights.insert(0, 1 - sum(weights))
        mean = sum(w * d for w, d in zip(weights, slopes, strict=True))
        x = x + mean * (sigma_next - sigma)
        yield Step(x, denoised, sigma)
