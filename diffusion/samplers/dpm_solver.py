"""DPM-Solver (Lu et al. 2022, arXiv 2206.00927) in its fast and adaptive forms, in time t = -log sigma.

eps is the noise estimate (x - denoised) / sigma; the solvers of order 1 to 3 are the paper's, singlestep.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise

import torch
from torch import Tensor

from diffusion.samplers.contract import Denoiser, Noise, Step, Steps, descent


def dpm_fast(
    denoise: Denoiser, x: Tensor, sigmas: Tensor, noise: Noise, *, eta: float = 0.0, s_noise: float = 1.0
) -> Steps:
    """As many evaluations as the schedule has steps, spent on uniform steps in t of order 3, 3, …, 2, 1."""
    sigma_max, sigma_min = ends(sigmas)
    if sigma_max == sigma_min:
        yield _jump(denoise, x, sigmas[0])
        return
    evaluations = len(sigmas) - 1
    orders = _orders(evaluations)
    times = torch.linspace(-math.log(sigma_max), -math.log(sigma_min), evaluations // 3 + 2)
    for order, (t, t_next) in zip(orders, pairwise(times), strict=True):
        down, up = _lowered(t, t_next, times[-1], eta)
        stage = _Stage(denoise, x, t)
        x = stage.reach(order, down)
        if eta:
            x = x + up * s_noise * noise(_sigma(t), _sigma(t_next))
        yield Step(x, stage.denoised, _sigma(t))


def dpm_adaptive(
    denoise: Denoiser,
    x: Tensor,
    sigmas: Tensor,
    noise: Noise,
    *,
    order: int = 3,
    rtol: float = 0.05,
    atol: float = 0.0078,
    h_init: float = 0.05,
    pcoeff: float = 0.0,
    icoeff: float = 1.0,
    dcoeff: float = 0.0,
    accept_safety: float = 0.81,
    eta: float = 0.0,
    s_noise: float = 1.0,
) -> Steps:
    """Step sizes chosen so that orders 1 and 2 (or 2 and 3) agree; only the ends of the schedule matter."""
    sigma_max, sigma_min = ends(sigmas)
    if sigma_max == sigma_min:
        yield _jump(denoise, x, sigmas[0])
        return
    t, end = torch.tensor(-math.log(sigma_max)), torch.tensor(-math.log(sigma_min))
    control = StepSize(abs(h_init), pcoeff, icoeff, dcoeff, 1.5 if eta else order, accept_safety)
    previous = x
    while t < end - 1e-5:
        t_next = torch.minimum(end, t + control.h)
        down, up = _lowered(t, t_next, end, eta)
        stage = _Stage(denoise, x, t)
        low = stage.reach(1, down) if order == 2 else stage.reach(2, down, r=1 / 3)
        high = stage.reach(order, down)
        tolerance = (rtol * torch.maximum(low.abs(), previous.abs())).clamp(min=atol)
        if control.accepts(((low - high) / tolerance).square().mean().sqrt().item()):
            previous, x = low, high
            if eta:
                x = x + up * s_noise * noise(_sigma(t), _sigma(t_next))
            t = t_next
        yield Step(x, stage.denoised, _sigma(t))


def ends(sigmas: Tensor) -> tuple[float, float]:
    """The first and the last positive sigma."""
    return sigmas[0].item(), sigmas[sigmas > 0][-1].item()


def _jump(denoise: Denoiser, x: Tensor, sigma: Tensor) -> Step:
    """All that can be done in a schedule of one positive level."""
    denoised = denoise(x, sigma)
    return Step(denoised, denoised, sigma)


def _orders(evaluations: int) -> list[int]:
    whole = evaluations // 3
    return [3] * (whole - 1) + [2, 1] if evaluations % 3 == 0 else [3] * whole + [evaluations % 3]


def _sigma(t: Tensor) -> Tensor:
    return (-t).exp()


def _lowered(t: Tensor, t_next: Tensor, end: Tensor, eta: float) -> tuple[Tensor, Tensor]:
    """The time to aim for and the noise to put back, not going below the end."""
    if not eta:
        return t_next, torch.zeros(())
    down = torch.minimum(end, -descent(_sigma(t), _sigma(t_next), eta).down.log())
    return down, (_sigma(t_next) ** 2 - _sigma(down) ** 2).sqrt()


@dataclass
class _Stage:
    """The evaluations that solvers of different order share when they start from the same x and t."""

    denoise: Denoiser
    x: Tensor
    t: Tensor
    known: dict[float, Tensor] = field(default_factory=dict)

    def eps(self, x: Tensor, t: Tensor, r: float) -> Tensor:
        if r not in self.known:
            self.known[r] = (x - self.denoise(x, _sigma(t))) / _sigma(t)
        return self.known[r]

    @property
    def denoised(self) -> Tensor:
        return self.x - _sigma(self.t) * self.known[0.0]

    def reach(self, order: int, t_next: Tensor, r: float | None = None) -> Tensor:
        """x at t_next by the solver of this order, its first inner time at share `r` of the way."""
        if order == 1:
            return self._first(t_next)
        return self._second(t_next, r or 1 / 2) if order == 2 else self._third(t_next)

    def _first(self, t_next: Tensor, r: float = 1.0) -> Tensor:
        """DPM-Solver-1 over share r of the way."""
        h = t_next - self.t
        return self.x - _sigma(self.t + r * h) * (r * h).expm1() * self.eps(self.x, self.t, 0.0)

    def _second(self, t_next: Tensor, r1: float) -> Tensor:
        h = t_next - self.t
        eps = self.eps(self.x, self.t, 0.0)
        eps_r1 = self.eps(self._first(t_next, r1), self.t + r1 * h, r1)
        return self._first(t_next) - _sigma(t_next) / (2 * r1) * h.expm1() * (eps_r1 - eps)

    def _third(self, t_next: Tensor, r1: float = 1 / 3, r2: float = 2 / 3) -> Tensor:
        h = t_next - self.t
        eps = self.eps(self.x, self.t, 0.0)
        eps_r1 = self.eps(self._first(t_next, r1), self.t + r1 * h, r1)
        s2 = self.t + r2 * h
        bend = (r2 * h).expm1() / (r2 * h) - 1
        u2 = self._first(t_next, r2) - _sigma(s2) * (r2 / r1) * bend * (eps_r1 - eps)
        eps_r2 = self.eps(u2, s2, r2)
        return self._first(t_next) - _sigma(t_next) / r2 * (h.expm1() / h - 1) * (eps_r2 - eps)


class StepSize:
    """A PID controller of the step size h (Söderlind 2003): grows and shrinks it with the inverse error."""

    def __init__(self, h: float, p: float, i: float, d: float, order: float, safety: float) -> None:
        self.h = h
        self.exponents = ((p + i + d) / order, -(p + 2 * d) / order, d / order)
        self.safety = safety
        self.inverses: tuple[float, float] | None = None  # of the last two accepted errors

    def accepts(self, error: float) -> bool:
        """Whether a step with this error stands; h is what to try next either way."""
        inverse = 1 / (error + 1e-8)
        last, older = self.inverses or (inverse, inverse)
        terms: Iterator[float] = (e**b for e, b in zip((inverse, last, older), self.exponents, strict=True))
        factor = 1 + math.atan(math.prod(terms) - 1)
        self.h *= factor
        accepted = factor >= self.safety
        self.inverses = (inverse, last) if accepted else (last, older)
        return accepted
