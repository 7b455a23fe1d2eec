"""RES (Zhang et al. 2023, arXiv 2308.02157): refined exponential multistep of second order."""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor

from diffusion.samplers.contract import Denoiser, Noise, PairDenoiser, Step, Steps, descent, no_noise


class _Past(NamedTuple):
    estimate: Tensor
    sigma: Tensor  # at which it was made
    down: Tensor  # how far its step went before noise was put back


def res_multistep_ancestral(
    denoise: Denoiser, x: Tensor, sigmas: Tensor, noise: Noise, *, eta: float = 1.0, s_noise: float = 1.0
) -> Steps:
    """The last two estimates, weighted by the phi functions over each step, and ancestral noise."""
    past = None
    for sigma, sigma_next in pairwise(sigmas):
        denoised = denoise(x, sigma)
        down, _, up = descent(sigma, sigma_next, eta)
        x = _moved(x, denoised, sigma, down, past)
        if sigma_next > 0 and eta:
            x = x + noise(sigma, sigma_next) * s_noise * up
        past = _Past(denoised, sigma, down)
        yield Step(x, denoised, sigma)


def res_multistep_ancestral_cfg_pp(
    denoise: PairDenoiser, x: Tensor, sigmas: Tensor, noise: Noise, *, eta: float = 1.0, s_noise: float = 1.0
) -> Steps:
    """CFG++: the guided estimate shifts x, the unguided ones carry it on."""
    past = None
    for sigma, sigma_next in pairwise(sigmas):
        denoised, unguided = denoise.pair(x, sigma)
        down, _, up = descent(sigma, sigma_next, eta)
        x = _moved(x + (denoised - unguided), unguided, sigma, down, past)
        if past is None or down == 0:  # the first-order step shifts by the whole correction instead
            x = x + (1 - down / sigma) * (denoised - unguided)
        if sigma_next > 0 and eta:
            x = x + noise(sigma, sigma_next) * s_noise * up
        past = _Past(unguided, sigma, down)
        yield Step(x, denoised, sigma)


def res_multistep(denoise: Denoiser, x: Tensor, sigmas: Tensor) -> Steps:
    """Without noise."""
    return res_multistep_ancestral(denoise, x, sigmas, no_noise, eta=0.0)


def res_multistep_cfg_pp(denoise: PairDenoiser, x: Tensor, sigmas: Tensor) -> Steps:
    """CFG++ without noise."""
    return res_multistep_ancestral_cfg_pp(denoise, x, sigmas, no_noise, eta=0.0)


def _moved(x: Tensor, estimate: Tensor, sigma: Tensor, down: Tensor, past: _Past | None) -> Tensor:
    if past is None or down == 0:
        return estimate + down / sigma * (x - estimate)
    h = (sigma / down).log()
    c2 = (past.down / past.sigma).log() / h
    phi_1 = (-h).expm1() / -h
    phi_2 = (phi_1 - 1) / -h
    b2 = torch.nan_to_num(phi_2 / c2, nan=0.0)
    return down / sigma * x + h * ((phi_1 - b2) * estimate + b2 * past.estimate)
