"""ER-SDE (Cui et al. 2023, arXiv 2309.06169): extended reverse-time SDEs solved in sigma / alpha.

The noise is shaped by a function of lambda = sigma / alpha; `scaler` is h(lambda) of the paper's appendix.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import torch
from torch import Tensor

from diffusion.noise.prediction import EXPLODING, Process
from diffusion.samplers.contract import Denoiser, Noise, Step, Steps

Scaler = Callable[[Tensor], Tensor]
POINTS = 200  # of the rectangle rule for the integrals over the scaler


def er_sde_scaler(x: Tensor) -> Tensor:
    """The paper's ER-SDE 5."""
    return x * ((x**0.3).exp() + 10.0)


def reverse_time_scaler(eta: float) -> Scaler:
    """The usual reverse-time SDE at eta = 1, the ODE at 0."""
    return lambda x: x ** (eta + 1)


def er_sde(
    denoise: Denoiser,
    x: Tensor,
    sigmas: Tensor,
    noise: Noise,
    *,
    s_noise: float = 1.0,
    scaler: Scaler = er_sde_scaler,
    max_stage: int = 3,
    process: Process = EXPLODING,
) -> Steps:
    """Algorithms 1 to 3, by a Taylor series of up to three terms from the last estimates."""
    past: list[Tensor] = []  # the lambdas so far, newest first
    last = slope_last = None
    for sigma, sigma_next in pairwise(process.solvable(sigmas)):
        denoised = denoise(x, sigma)
        alpha, alpha_next = process.alpha(sigma), process.alpha(sigma_next)
        start, end = sigma / alpha, sigma_next / alpha_next
        if sigma_next == 0:
            x = denoised
            yield Step(x, denoised, sigma)
            continue
        r = scaler(end) / scaler(start)
        x = alpha_next / alpha * r * x + alpha_next * (1 - r) * denoised
        if max_stage >= 2 and past and last is not None:
            level, bend = _integrals(scaler, start, end)
            d = (denoised - last) / (start - past[0])
            x = x + alpha_next * (end - start + level * scaler(end)) * d
            if max_stage >= 3 and len(past) >= 2 and slope_last is not None:
                u = (d - slope_last) / ((start - past[1]) / 2)
                x = x + alpha_next * ((end - start) ** 2 / 2 + bend * scaler(end)) * u
            slope_last = d
        if s_noise:
            spread = (end**2 - start**2 * r**2).sqrt().nan_to_num(nan=0.0)
            x = x + alpha_next * noise(sigma, sigma_next) * s_noise * spread
        last, past = denoised, [start, *past[:1]]
        yield Step(x, denoised, sigma)


def _integrals(scaler: Scaler, start: Tensor, end: Tensor) -> tuple[Tensor, Tensor]:
    """∫ 1 / h(l) dl and ∫ (l - start) / h(l) dl over l from end to start."""
    width = (start - end) / POINTS
    places = end + torch.arange(POINTS) * width
    weights = width / scaler(places)
    return weights.sum(), (weights * (places - start)).sum()
