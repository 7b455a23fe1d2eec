"""iPNDM (Zhang & Chen 2022, arXiv 2204.13902): Adams-Bashforth on the slope, with even or uneven weights."""

from __future__ import annotations

from collections import deque
from itertools import pairwise

from torch import Tensor

from diffusion.samplers.contract import Denoiser, Step, Steps, slope

EVEN = ((1.0,), (3 / 2, -1 / 2), (23 / 12, -16 / 12, 5 / 12), (55 / 24, -59 / 24, 37 / 24, -9 / 24))


def ipndm(denoise: Denoiser, x: Tensor, sigmas: Tensor, *, max_order: int = 4) -> Steps:
    """The textbook weights, as if all steps were equal."""
    slopes: deque[Tensor] = deque(maxlen=max_order)  # newest first
    for sigma, sigma_next in pairwise(sigmas):
        denoised = denoise(x, sigma)
        slopes.appendleft(slope(x, sigma, denoised))
        if sigma_next == 0:
            x = denoised
        else:
            mean = sum(w * d for w, d in zip(EVEN[len(slopes) - 1], slopes, strict=True))
            x = x + mean * (sigma_next - sigma)
        yield Step(x, denoised, sigma)


def ipndm_v(denoise: Denoiser, x: Tensor, sigmas: Tensor, *, max_order: int = 4) -> Steps:
    """Weights that know how long each of the last steps was."""
    slopes: deque[Tensor] = deque(maxlen=max_order)
    for i, (sigma, sigma_next) in enumerate(pairwise(sigmas)):
        denoised = denoise(x, sigma)
        slopes.appendleft(slope(x, sigma, denoised))
        if sigma_next == 0:
            x = denoised
        else:
            lengths = sigmas.diff()[: i + 1].flip(0)[: len(slopes)]
            mean = sum(w * d for w, d in zip(uneven(lengths), slopes, strict=True))
            x = x + mean * (sigma_next - sigma)
        yield Step(x, denoised, sigma)


def uneven(h: Tensor) -> list[Tensor]:
    """Adams-Bashforth weights for steps of lengths h, newest first; the fourth order is the authors' own."""
    one = h.new_ones(())
    if len(h) == 1:
        return [one]
    ratio = h[0] / h[1]
    weights = [1 + ratio / 2, -ratio / 2]
    if len(h) == 2:
        return weights
    h0, h1, h2 = h[:3]
    r12 = h1 / h2
    bend = (1 - h0 / (3 * (h0 + h1)) * (h0 * (h0 + h1)) / (h1 * (h1 + h2))) / 2
    weights = [weights[0] + bend, weights[1] - (1 + r12) * bend, bend * r12]
    if len(h) == 3:
        return weights
    h3 = h[3]
    twist = (1 - h0 / (3 * (h0 + h1))) / 2 + (1 - h0 / (2 * (h0 + h1))) * h0 / (6 * (h0 + h1 + h2))
    twist = twist * (h0 * (h0 + h1) * (h0 + h1 + h2)) / (h1 * (h1 + h2) * (h1 + h2 + h3))
    reach = h1 * (h1 + h2) / (h2 * (h2 + h3))
    return [
        weights[0] + twist,
        weights[1] - (1 + r12 + reach) * twist,
        weights[2] + (r12 + reach * (1 + h2 / h3)) * twist,
        -twist * reach * r12,
    ]
