"""What a backbone predicts, and on which clock: the bridge from a network's output to `denoised`.

Notation, after Karras et al. 2022 (arXiv 2206.00364): x is the noisy latent, sigma its noise level, shape ()
or [B]. A `Process` says how clean latent and noise mix into x, a `Clock` translates between sigma and the
network's own timestep, a target turns the network's output into the clean estimate. `Prediction` joins the
three.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

import torch
from torch import Tensor

from diffusion.noise.clocks import (
    AngleClock,
    BentFlowClock,
    Clock,
    CosineClock,
    DiscreteClock,
    FlowClock,
    LogClock,
    UnitClock,
    scaled_linear_sigmas,
    zero_terminal_snr,
)


@dataclass(frozen=True)
class Process:
    """x = alpha(sigma) · clean + sigma · noise. Here alpha is 1: the variance explodes with sigma."""

    def alpha(self, sigma: Tensor) -> Tensor:
        return torch.ones_like(sigma)

    def half_log_snr(self, sigma: Tensor) -> Tensor:
        """lambda = log(alpha / sigma), the variable of the DPM-Solver family."""
        return -sigma.log()

    def sigma(self, half_log_snr: Tensor) -> Tensor:
        """The inverse of `half_log_snr`."""
        return (-half_log_snr).exp()

    def noised(self, clean: Tensor, noise: Tensor, sigma: Tensor, *, from_pure_noise: bool = False) -> Tensor:
        """The latent a run starts from. At the top of the clock the clean part counts as unit variance."""
        sigma = like(sigma, noise)
        return clean + noise * ((1 + sigma**2).sqrt() if from_pure_noise else sigma)

    def handed_on(self, x: Tensor, sigma: Tensor) -> Tensor:
        """What a run that stops at `sigma` returns: x on the scale of clean latents."""
        return x

    def solvable(self, sigmas: Tensor) -> Tensor:
        """The schedule without levels at which lambda would be infinite (but for the final 0)."""
        return sigmas


@dataclass(frozen=True)
class UnitProcess(Process):
    """The exploding process of a flow that only wears its dress: pure noise counts as any other level."""

    def noised(self, clean: Tensor, noise: Tensor, sigma: Tensor, *, from_pure_noise: bool = False) -> Tensor:
        return clean + noise * like(sigma, noise)


@dataclass(frozen=True)
class RectifiedFlow(Process):
    """alpha = 1 - sigma: straight lines between picture and noise (Liu et al. 2022, arXiv 2209.03003).

    Solvers in lambda begin at `highest` instead of pure noise.
    """

    highest: float = 1 - 1e-4

    def alpha(self, sigma: Tensor) -> Tensor:
        return 1 - sigma

    def half_log_snr(self, sigma: Tensor) -> Tensor:
        return -self.solvable(sigma).logit()

    def sigma(self, half_log_snr: Tensor) -> Tensor:
        return (-half_log_snr).sigmoid()

    def noised(self, clean: Tensor, noise: Tensor, sigma: Tensor, *, from_pure_noise: bool = False) -> Tensor:
        sigma = like(sigma, noise)
        return (1 - sigma) * clean + sigma * noise

    def handed_on(self, x: Tensor, sigma: Tensor) -> Tensor:
        return x / (1 - like(sigma, x))

    def solvable(self, sigmas: Tensor) -> Tensor:
        return torch.where(sigmas < 1, sigmas, self.highest)


NEARLY_NOISE = 1e-4  # of the way gone, where solvers begin that cannot begin at pure noise
EXPLODING = Process()
UNIT = UnitProcess()
FLOW = RectifiedFlow()


class Target(NamedTuple):
    """How a network's input is scaled and its output read. Both take sigma shaped to broadcast against x."""

    name: str
    process: Process
    scaled: Callable[[Tensor, Tensor, float], Tensor]  # (x, sigma, sigma_data) → what the network is shown
    denoised: Callable[[Tensor, Tensor, Tensor, float], Tensor]  # (output, x, sigma, sigma_data) → clean


def _unit_variance(x: Tensor, sigma: Tensor, sigma_data: float) -> Tensor:
    return x / (sigma**2 + sigma_data**2).sqrt()


def _as_is(x: Tensor, sigma: Tensor, sigma_data: float) -> Tensor:
    return x


def _from_v(output: Tensor, x: Tensor, sigma: Tensor, sigma_data: float) -> Tensor:
    """Salimans & Ho 2022 (arXiv 2202.00512), in Karras's preconditioning."""
    total = sigma**2 + sigma_data**2
    return x * sigma_data**2 / total - output * sigma * sigma_data / total.sqrt()


def _from_edm(output: Tensor, x: Tensor, sigma: Tensor, sigma_data: float) -> Tensor:
    """Karras et al. 2022, table 1."""
    total = sigma**2 + sigma_data**2
    return x * sigma_data**2 / total + output * sigma * sigma_data / total.sqrt()


def _from_eps(output: Tensor, x: Tensor, sigma: Tensor, sigma_data: float) -> Tensor:
    return x - output * sigma


def _from_x0(output: Tensor, x: Tensor, sigma: Tensor, sigma_data: float) -> Tensor:
    return output


def _unit_interval(x: Tensor, sigma: Tensor, sigma_data: float) -> Tensor:
    return x / (sigma + 1)


def _from_unit_interval_flow(output: Tensor, x: Tensor, sigma: Tensor, sigma_data: float) -> Tensor:
    """A flow over t = sigma / (1 + sigma), wrapped as a variance-exploding process."""
    t = sigma / (sigma + 1)
    return x * (1 - t) - output * t


EPS = Target("eps", EXPLODING, _unit_variance, _from_eps)
V = Target("v_prediction", EXPLODING, _unit_variance, _from_v)
EDM = Target("edm", EXPLODING, _unit_variance, _from_edm)
EDM_PLAYGROUND = Target("edm_playground_v2.5", EXPLODING, _unit_variance, _from_edm)
X0 = Target("x0", EXPLODING, _unit_variance, _from_x0)
IMAGE_TO_IMAGE = Target("img_to_img", EXPLODING, _as_is, _from_x0)
EXPLODING_FLOW = Target("cosmos_rflow", UNIT, _unit_interval, _from_unit_interval_flow)
RECTIFIED_FLOW = Target("flow", FLOW, _as_is, _from_eps)
LCM = Target("lcm", EXPLODING, _unit_variance, _from_eps)

TARGETS: Mapping[str, Target] = {
    target.name: target
    for target in (EPS, V, EDM, EDM_PLAYGROUND, X0, IMAGE_TO_IMAGE, EXPLODING_FLOW, RECTIFIED_FLOW, LCM)
}


@dataclass(frozen=True)
class Prediction:
    """A target on a clock: everything a sampler needs to know about how a backbone was trained."""

    target: Target
    clock: Clock
    sigma_data: float = 1.0

    @cached_property
    def process(self) -> Process:
        process = self.target.process
        if isinstance(process, RectifiedFlow):
            return replace(process, highest=self.clock.sigma_at(NEARLY_NOISE))
        return process

    @property
    def sigmas(self) -> Tensor:
        return self.clock.sigmas

    @cached_property
    def sigma_min(self) -> float:
        return self.clock.sigmas[0].item()

    @cached_property
    def sigma_max(self) -> float:
        return self.clock.sigmas[-1].item()

    def starts_from_pure_noise(self, sigma: float) -> bool:
        """Whether a run beginning at `sigma` begins at the top of the clock."""
        return sigma > self.sigma_max or math.isclose(sigma, self.sigma_max, rel_tol=1e-5)

    def scaled(self, x: Tensor, sigma: Tensor) -> Tensor:
        """x as the network wants to see it."""
        return self.target.scaled(x, like(sigma, x), self.sigma_data)

    def denoised(self, output: Tensor, x: Tensor, sigma: Tensor) -> Tensor:
        """The clean estimate from the network's output at x."""
        sigma = like(sigma, x)
        clean = self.target.denoised(output, x, sigma, self.sigma_data)
        if self.target is LCM:
            return self._consistent(clean, x, sigma)
        return clean

    def _consistent(self, clean: Tensor, x: Tensor, sigma: Tensor) -> Tensor:
        """The boundary condition of latent consistency models (arXiv 2310.04378): identity at timestep 0."""
        t = self.clock.timestep(sigma) * 10.0
        c_skip = 0.25 / (t**2 + 0.25)
        c_out = t / (t**2 + 0.25).sqrt()
        return c_out * clean + c_skip * x

    def with_clock(self, clock: Clock) -> Prediction:
        return replace(self, clock=clock)


def like(sigma: Tensor, x: Tensor) -> Tensor:
    """sigma, shape () or [B], shaped to broadcast against x."""
    return sigma.view(-1, *(1,) * (x.ndim - 1)) if sigma.ndim == 1 else sigma


def stable_diffusion(target: Target = EPS, *, zero_snr: bool = False) -> Prediction:
    """Stable Diffusion's clock under any target; `lcm` gets the distilled clock of 50 levels."""
    sigmas = scaled_linear_sigmas()
    if zero_snr:
        sigmas = zero_terminal_snr(sigmas)
    return discrete(target, sigmas)


def discrete(target: Target, sigmas: Tensor) -> Prediction:
    """`target` on a table of levels, as ModelSamplingDiscrete sets it."""
    if target is LCM:
        every = len(sigmas) // 50
        return Prediction(target, DiscreteClock(sigmas[every - 1 :: every], every))
    return Prediction(target, DiscreteClock(sigmas))


def continuous_edm(
    target: Target, sigma_min: float, sigma_max: float, sigma_data: float | None = None
) -> Prediction:
    """EDM's clock, as ModelSamplingContinuousEDM sets it; for Playground v2.5 data deviate by a half.

    `sigma_data` states another deviation of the data.
    """
    if sigma_data is None:
        sigma_data = 0.5 if target is EDM_PLAYGROUND else 1.0
    clock = UnitClock if target is EXPLODING_FLOW else LogClock
    return Prediction(target, clock(sigma_min, sigma_max), sigma_data)


def continuous_v(sigma_min: float, sigma_max: float) -> Prediction:
    """v on the angle clock, as ModelSamplingContinuousV sets it."""
    return Prediction(V, AngleClock(sigma_min, sigma_max))


def rectified_flow(shift: float, *, multiplier: float = 1000.0, steps: int = 1000) -> Prediction:
    """Rectified flow on a bent clock; `multiplier` turns noise levels into the network's timesteps."""
    return Prediction(RECTIFIED_FLOW, FlowClock(shift, multiplier, steps))


def bent_flow(mu: float) -> Prediction:
    """Rectified flow as FLUX is trained on it: times bent by e^mu, 10,000 levels."""
    return Prediction(RECTIFIED_FLOW, BentFlowClock(mu=mu))


def cosine(shift: float) -> Prediction:
    """Noise predicted on Stable Cascade's cosine clock."""
    return Prediction(EPS, CosineClock(shift))


def along_tokens(tokens: float, low: tuple[float, float], high: tuple[float, float]) -> float:
    """The bend mu for a number of tokens, on the line through two (tokens, bend), as FLUX's code has it."""
    slope = (high[1] - low[1]) / (high[0] - low[0])
    return low[1] + slope * (tokens - low[0])
