"""Clocks: how a noise level, a network's own timestep and the share of a run that is done belong together.

Also the tables of noise levels that networks were trained on, as sigmas of the variance-exploding scale.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol, TypeVar

import torch
from torch import Tensor

Time = TypeVar("Time", float, Tensor)
BEYOND_MAX = 999999999.9  # "from the very start": above every sigma a run can begin with


class Clock(Protocol):
    """Sigma, the network's timestep, and the share of the way (`percent`) a run has gone."""

    @property
    def sigmas(self) -> Tensor:
        """The table schedules pick from: ascending, shape [T], without the final 0."""

    def timestep(self, sigma: Tensor) -> Tensor:
        """The timestep the network is told for `sigma`."""

    def sigma(self, timestep: Tensor) -> Tensor:
        """The inverse, for any real timestep."""

    def sigma_at(self, percent: float) -> float:
        """The sigma reached after `percent` (0…1) of the way; above all at 0, zero at 1."""


@dataclass(frozen=True, eq=False)
class DiscreteClock:
    """A table of trained noise levels (DDPM); between them, log sigma is interpolated.

    `levels` are ascending, best in float64: timesteps halfway between two entries are rounded by their
    logarithms. `every` > 1 is a distilled model that knows each `every`-th timestep only (latent consistency
    models).
    """

    levels: Tensor
    every: int = 1

    @cached_property
    def sigmas(self) -> Tensor:
        return self.levels.float()

    @cached_property
    def log_sigmas(self) -> Tensor:
        return self.levels.log().float()

    def timestep(self, sigma: Tensor) -> Tensor:
        nearest = (sigma.log().reshape(-1, 1) - self.log_sigmas.to(sigma.device)).abs().argmin(1)
        return (nearest * self.every + self.every - 1).view(sigma.shape)

    def sigma(self, timestep: Tensor) -> Tensor:
        t = ((timestep.float() - (self.every - 1)) / self.every).clamp(0, len(self.sigmas) - 1)
        low, high, w = t.floor().long(), t.ceil().long(), t.frac()
        logs = self.log_sigmas.to(timestep.device)
        return ((1 - w) * logs[low] + w * logs[high]).exp()

    def sigma_at(self, percent: float) -> float:
        if not 0 < percent < 1:
            return BEYOND_MAX if percent <= 0 else 0.0
        steps = len(self.sigmas) * self.every - 1
        return self.sigma(torch.tensor((1 - percent) * steps)).item()


@dataclass(frozen=True)
class LogClock:
    """EDM's continuous clock, timestep = ln(sigma) / 4, with a log-uniform table for schedules."""

    sigma_min: float = 0.002
    sigma_max: float = 120.0

    @cached_property
    def sigmas(self) -> Tensor:
        return torch.linspace(math.log(self.sigma_min), math.log(self.sigma_max), 1000).exp()

    def timestep(self, sigma: Tensor) -> Tensor:
        return 0.25 * sigma.log()

    def sigma(self, timestep: Tensor) -> Tensor:
        return (timestep / 0.25).exp()

    def sigma_at(self, percent: float) -> float:
        if not 0 < percent < 1:
            return BEYOND_MAX if percent <= 0 else 0.0
        low, high = math.log(self.sigma_min), math.log(self.sigma_max)
        return math.exp(low + (high - low) * (1 - percent))


@dataclass(frozen=True)
class AngleClock(LogClock):
    """The continuous clock of v-prediction models: timestep = 2/pi · atan(sigma)."""

    def timestep(self, sigma: Tensor) -> Tensor:
        return sigma.atan() / math.pi * 2

    def sigma(self, timestep: Tensor) -> Tensor:
        return (timestep * math.pi / 2).tan()


@dataclass(frozen=True)
class UnitClock(LogClock):
    """The clock of a flow in the dress of an exploding process: timestep = sigma / (sigma + 1)."""

    def timestep(self, sigma: Tensor) -> Tensor:
        return sigma / (sigma + 1)

    def sigma(self, timestep: Tensor) -> Tensor:
        return torch.where(timestep >= 1, self.sigma_max, timestep / (1 - timestep))


@dataclass(frozen=True)
class FlowClock:
    """Rectified flow: sigma in 0…1 is the time itself, bent by `shift` (Esser et al. 2024, section 5.3.2)."""

    shift: float = 1.0
    multiplier: float = 1000.0
    steps: int = 1000

    def bent(self, t: Time) -> Time:
        """The noise level at a time 0…1."""
        return self.shift * t / (1 + (self.shift - 1) * t)

    @cached_property
    def sigmas(self) -> Tensor:
        return self.bent(torch.arange(1, self.steps + 1) / self.steps)

    def timestep(self, sigma: Tensor) -> Tensor:
        return sigma * self.multiplier

    def sigma(self, timestep: Tensor) -> Tensor:
        return self.bent(timestep / self.multiplier)

    def sigma_at(self, percent: float) -> float:
        if not 0 < percent < 1:
            return 1.0 if percent <= 0 else 0.0
        return torch.tensor(self.bent(1.0 - percent)).item()  # in float32, like the table


@dataclass(frozen=True)
class BentFlowClock(FlowClock):
    """The flow's clock as FLUX writes it, bent by e^mu; sigma is the network's time."""

    mu: float = 1.15
    multiplier: float = 1.0
    steps: int = 10_000

    def bent(self, t: Time) -> Time:
        bend = math.exp(self.mu)
        return bend / (bend + (1 / t - 1))


@dataclass(frozen=True)
class CosineClock:
    """Stable Cascade's cosine schedule (Nichol & Dhariwal 2021, s = 0.008), its log-SNR moved by `shift`."""

    shift: float = 1.0
    steps: int = 10_000
    s: float = 0.008

    @cached_property
    def sigmas(self) -> Tensor:
        return self.sigma(torch.arange(1, self.steps + 1, dtype=torch.float64) / self.steps).float()

    def _alpha_bar(self, t: Tensor) -> Tensor:
        return torch.cos((t + self.s) / (1 + self.s) * math.pi / 2) ** 2

    def sigma(self, timestep: Tensor) -> Tensor:
        alpha_bar = self._alpha_bar(timestep) / self._alpha_bar(torch.zeros_like(timestep))
        if self.shift != 1.0:
            alpha_bar = torch.sigmoid(torch.logit(alpha_bar) + 2 * math.log(1 / self.shift))
        alpha_bar = alpha_bar.clamp(0.0001, 0.9999)
        return ((1 - alpha_bar) / alpha_bar).sqrt()

    def timestep(self, sigma: Tensor) -> Tensor:
        alpha_bar = 1 / (sigma**2 + 1)
        if self.shift != 1.0:
            alpha_bar = torch.sigmoid(torch.logit(alpha_bar) - 2 * math.log(1 / self.shift))
        angle = torch.acos((self._alpha_bar(torch.zeros_like(sigma)) * alpha_bar).sqrt().clamp(0, 1))
        return angle / (math.pi / 2) * (1 + self.s) - self.s

    def sigma_at(self, percent: float) -> float:
        if not 0 < percent < 1:
            return BEYOND_MAX if percent <= 0 else 0.0
        return self.sigma(torch.tensor(1.0 - percent)).item()


def scaled_linear_sigmas(start: float = 0.00085, end: float = 0.012, steps: int = 1000) -> Tensor:
    """Stable Diffusion's levels, betas linear in their square root. [steps] ascending, float64."""
    betas = torch.linspace(start**0.5, end**0.5, steps, dtype=torch.float64) ** 2
    return from_alpha_bar(torch.cumprod(1 - betas, 0))


def linear_sigmas(start: float, end: float, steps: int = 1000) -> Tensor:
    """DDPM's levels: betas linear in the step (Ho et al. 2020). [steps] ascending, float64."""
    betas = torch.linspace(start, end, steps, dtype=torch.float64)
    return from_alpha_bar(torch.cumprod(1 - betas, 0))


def zero_terminal_snr(sigmas: Tensor) -> Tensor:
    """The levels rescaled so that the last one hides the picture wholly (Lin et al. 2023, algorithm 1).

    An infinite last sigma cannot be computed with, so its alpha_bar is the smallest the half-precision tables
    hold.
    """
    root = (1 / (sigmas.double() ** 2 + 1)).sqrt()
    first, last = root[0], root[-1]
    alpha_bar = ((root - last) * first / (first - last)) ** 2
    alpha_bar[-1] = 4.8973451890853435e-08
    return from_alpha_bar(alpha_bar)


def from_alpha_bar(alpha_bar: Tensor) -> Tensor:
    """sigma of a variance-preserving process with this cumulative alpha, on the variance-exploding scale."""
    return ((1 - alpha_bar) / alpha_bar).sqrt()
