"""Gradient estimation (Permenter & Yuan 2023, arXiv 2306.04848): the slope corrected by its last change."""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor

from diffusion.samplers.contract import Denoiser, PairDenoiser, Step, Steps, slope


def gradient_estimation(denoise: Denoiser, x: Tensor, sigmas: Tensor, *, ge_gamma: float = 2.0) -> Steps:
    """Equation 15: Euler along gamma · d + (1 - gamma) · d_last."""
    last = None
    for sigma, sigma_next in pairwise(sigmas):
        denoised = denoise(x, sigma)
        d = slope(x, sigma, denoised)
        x = x + (d + _change(d, last, ge_gamma)) * (sigma_next - sigma) if sigma_next > 0 else denoised
        last = d
        yield Step(x, denoised, sigma)


def gradient_estimation_cfg_pp(
    denoise: PairDenoiser, x: Tensor, sigmas: Tensor, *, ge_gamma: float = 2.0
) -> Steps:
    """CFG++: the slope is the unguided one, started from the guided estimate."""
    last = None
    for sigma, sigma_next in pairwise(sigmas):
        denoised, unguided = denoise.pair(x, sigma)
        d = slope(x, sigma, unguided)
        x = denoised + d * sigma_next
        if sigma_next > 0:
            x = x + _change(d, last, ge_gamma) * (sigma_next - sigma)
        last = d
        yield Step(x, denoised, sigma)


def _change(d: Tensor, last: Tensor | None, gamma: float) -> Tensor:
    return (gamma - 1) * (d - last) if last is not None else d.new_zeros(())
