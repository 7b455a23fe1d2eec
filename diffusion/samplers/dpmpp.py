"""DPM-Solver++ (Lu et al. 2022, arXiv 2211.01095): exponential integrators of the data prediction.

Their variable is lambda = log(alpha / sigma), h its growth over a step; `process` knows both directions.
"""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor

from diffusion.noise.prediction import EXPLODING, Process
from diffusion.samplers.contract import Denoiser, Noise, Step, Steps, descent, halfway, slope


def dpmpp_2m(denoise: Denoiser, x: Tensor, sigmas: Tensor) -> Steps:
    """Algorithm 2: second order by the memory of the last estimate."""
    last = h_last = None
    for sigma, sigma_next in pairwise(sigmas):
        denoised = denoise(x, sigma)
        ratio, h = sigma_next / sigma, (sigma / sigma_next).log()
        ahead = denoised
        if last is not None and h_last is not None and sigma_next > 0:
            r = h_last / h
            ahead = (1 + 1 / (2 * r)) * denoised - 1 / (2 * r) * last
        x = ratio * x + (1 - ratio) * ahead
        last, h_last = denoised, h
        yield Step(x, denoised, sigma)


def dpmpp_2s_ancestral(
    denoise: Denoiser,
    x: Tensor,
    sigmas: Tensor,
    noise: Noise,
    *,
    eta: float = 1.0,
    s_noise: float = 1.0,
    process: Process = EXPLODING,
) -> Steps:
    """Algorithm 1 with its inner point halfway in lambda, and ancestral noise."""
    for sigma, sigma_next in pairwise(sigmas):
        denoised = denoise(x, sigma)
        down, scale, up = descent(sigma, sigma_next, eta, process)
        if down == 0:
            x = x + slope(x, sigma, denoised) * (down - sigma)
        else:
            middle = inner(sigma, down, process)
            x_2 = moved(process, x, sigma, middle, denoised)
            x = moved(process, x, sigma, down, denoise(x_2, middle))
        if sigma_next > 0:
            x = scale * x + noise(sigma, sigma_next) * s_noise * up
        yield Step(x, denoised, sigma)


def inner(sigma: Tensor, down: Tensor, process: Process) -> Tensor:
    """Halfway in lambda; from pure noise, where that is infinite, a little below it."""
    return halfway(sigma, down, process=process) if process.alpha(sigma) > 0 else sigma.new_tensor(0.9999)


def moved(process: Process, x: Tensor, sigma: Tensor, sigma_next: Tensor, denoised: Tensor) -> Tensor:
    """The first-order step: the exact solution where the estimate stays the same (equation 4.1, DDIM)."""
    ratio = sigma_next / sigma
    return ratio * x + (process.alpha(sigma_next) - ratio * process.alpha(sigma)) * denoised
