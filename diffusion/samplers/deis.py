"""DEIS (Zhang & Chen 2022, arXiv 2204.13902) in its tAB form: slopes extrapolated in VP time."""

from __future__ import annotations

import math
from collections import deque
from itertools import pairwise

import torch
from torch import Tensor

from diffusion.samplers.contract import Denoiser, Step, Steps, slope

POINTS = 10_000  # of the rectangle rule the coefficients are defined by


def deis(denoise: Denoiser, x: Tensor, sigmas: Tensor, *, max_order: int = 3) -> Steps:
    """x moves by the integral of the extrapolated slope over sigma."""
    slopes: deque[Tensor] = deque(maxlen=max_order)  # newest first
    time = VPTime()
    for i, (sigma, sigma_next) in enumerate(pairwise(sigmas)):
        denoised = denoise(x, sigma)
        slopes.appendleft(slope(x, sigma, denoised))
        if sigma_next == 0:
            x = denoised
        elif i == 0:
            x = x + slopes[0] * (sigma_next - sigma)
        else:
            places = sigmas[i + 1 - len(slopes) : i + 1].flip(0)
            weights = time.integrals(places, sigma_next)
            x = x + sum(w * d for w, d in zip(weights, slopes, strict=True))
        yield Step(x, denoised, sigma)


class VPTime:
    """The time t of a variance-preserving SDE with linear beta, fitted to EDM's range of sigmas."""

    def __init__(self, sigma_min: float = 0.002, sigma_max: float = 80.0, eps_s: float = 1e-3) -> None:
        low, high = math.log(sigma_min**2 + 1), math.log(sigma_max**2 + 1)
        self.beta_d = 2 * (low / eps_s - high) / (eps_s - 1)
        self.beta_min = high - self.beta_d / 2

    def of(self, sigma: Tensor) -> Tensor:
        root = (self.beta_min**2 + 2 * self.beta_d * (sigma.double() ** 2 + 1).log()).sqrt()
        return (root - self.beta_min) / self.beta_d

    def rate(self, t: Tensor) -> Tensor:
        """dsigma/dt."""
        grown = (self.beta_d * t**2 / 2 + self.beta_min * t).exp()
        return (self.beta_d * t + self.beta_min) * grown / (2 * (grown - 1).sqrt())

    def integrals(self, places: Tensor, sigma_next: Tensor) -> Tensor:
        """∫ L_j(t) dsigma from places[0] to sigma_next, L_j being the Lagrange polynomials through places."""
        nodes, end = self.of(places), self.of(sigma_next)
        t = torch.linspace(nodes[0].item(), end.item(), POINTS, dtype=torch.float64)
        rate = self.rate(t) * (end - nodes[0]) / POINTS
        gaps = nodes[:, None] - nodes + torch.eye(len(nodes))
        terms = (t[:, None, None] - nodes) / gaps  # [points, j, k]: (t - t_k) / (t_j - t_k)
        terms.diagonal(dim1=1, dim2=2).fill_(1.0)
        return (rate[:, None] * terms.prod(-1)).sum(0).to(places.dtype)
