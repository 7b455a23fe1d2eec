"""Linear multistep: the last slopes, extrapolated by a polynomial in sigma and integrated exactly."""

from __future__ import annotations

from collections import deque
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from diffusion.samplers.contract import Denoiser, Step, Steps, slope


def lms(denoise: Denoiser, x: Tensor, sigmas: Tensor, *, order: int = 4) -> Steps:
    """Adams-Bashforth with uneven steps."""
    slopes: deque[Tensor] = deque(maxlen=order)  # newest first
    for i, (sigma, sigma_next) in enumerate(pairwise(sigmas)):
        denoised = denoise(x, sigma)
        slopes.appendleft(slope(x, sigma, denoised))
        if sigma_next == 0:
            x = denoised
        else:
            places = sigmas[max(0, i + 1 - order) : i + 1].flip(0)
            weights = lagrange_integrals(places, sigma, sigma_next)
            x = x + sum(w * d for w, d in zip(weights, slopes, strict=True))
        yield Step(x, denoised, sigma)


def lagrange_integrals(places: Tensor, start: Tensor, end: Tensor) -> Tensor:
    """The integral from start to end of each Lagrange polynomial through `places`. [len(places)]"""
    nodes = places.double().numpy()
    integrals = []
    for j, node in enumerate(nodes):
        others = np.delete(nodes, j)
        antiderivative = (np.poly1d(others, r=True) / np.prod(node - others)).integ()
        integrals.append(antiderivative(end.item()) - antiderivative(start.item()))
    return torch.tensor(integrals, dtype=places.dtype)
