"""Schedules: falling sigmas ending in 0, the noise levels a run steps through.

Those that know a model take its `Prediction` first; the ones every KSampler offers are listed in `SCHEDULES`.
All return float32 tensors of steps + 1 sigmas unless they say otherwise.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import numpy as np
import torch
from scipy import stats
from torch import Tensor

from diffusion.noise.prediction import Prediction

Schedule = Callable[[Prediction, int], Tensor]
NOTHING = 1e-5  # a noise level that counts as 0


def ending_in_zero(sigmas: Tensor) -> Tensor:
    return torch.cat([sigmas.float(), torch.zeros(1)])


# Pure numbers


def karras(steps: int, sigma_min: float, sigma_max: float, rho: float = 7.0) -> Tensor:
    """Karras et al. 2022, equation 5."""
    ramp = torch.linspace(0, 1, steps)
    low, high = sigma_min ** (1 / rho), sigma_max ** (1 / rho)
    return ending_in_zero((high + ramp * (low - high)) ** rho)


def exponential(steps: int, sigma_min: float, sigma_max: float) -> Tensor:
    """Uniform in log sigma."""
    return ending_in_zero(torch.linspace(math.log(sigma_max), math.log(sigma_min), steps).exp())


def polyexponential(steps: int, sigma_min: float, sigma_max: float, rho: float = 1.0) -> Tensor:
    """A polynomial in log sigma; rho = 1 is `exponential`."""
    ramp = torch.linspace(1, 0, steps) ** rho
    low, high = math.log(sigma_min), math.log(sigma_max)
    return ending_in_zero((ramp * (high - low) + low).exp())


def variance_preserving(
    steps: int, beta_d: float = 19.9, beta_min: float = 0.1, eps_s: float = 1e-3
) -> Tensor:
    """The continuous VP process of Song et al. 2021, in the letters of Karras et al. 2022, table 1."""
    t = torch.linspace(1, eps_s, steps)
    return ending_in_zero(torch.expm1(beta_d * t**2 / 2 + beta_min * t).sqrt())


def laplace(steps: int, sigma_min: float, sigma_max: float, mu: float = 0.0, beta: float = 0.5) -> Tensor:
    """Quantiles of a Laplace density over log sigma (Hang & Gu 2024, 2407.03297). [steps], no final 0."""
    x = torch.linspace(0, 1, steps)
    centred = 0.5 - x
    log_sigma = mu - beta * centred.sign() * torch.log(1 - 2 * centred.abs() + 1e-5)
    return log_sigma.exp().clamp(sigma_min, sigma_max)


# Those that read a model's clock


def simple(prediction: Prediction, steps: int) -> Tensor:
    """Every (T / steps)-th level of the table from the top."""
    table = prediction.sigmas
    picked = [table[-(1 + int(i * len(table) / steps))] for i in range(steps)]
    return ending_in_zero(torch.stack(picked))


def ddim_uniform(prediction: Prediction, steps: int) -> Tensor:
    """DDIM's stride through the table, from its second level up. May hold one sigma more than asked for."""
    table = prediction.sigmas
    return ending_in_zero(table[1 :: max(len(table) // steps, 1)].flip(0))


def normal(prediction: Prediction, steps: int) -> Tensor:
    """Uniform in the model's timestep, both ends included."""
    first, last = _ends(prediction)
    if abs(prediction.clock.sigma(torch.tensor(last)).item()) < NOTHING:  # the lower end is the 0 itself
        levels = prediction.clock.sigma(torch.linspace(first, last, steps + 1))
        return ending_in_zero(levels[:-1])
    return ending_in_zero(prediction.clock.sigma(torch.linspace(first, last, steps)))


def sgm_uniform(prediction: Prediction, steps: int) -> Tensor:
    """Uniform in the model's timestep, the lower end left out (Stability's generative-models)."""
    first, last = _ends(prediction)
    return ending_in_zero(prediction.clock.sigma(torch.linspace(first, last, steps + 1)[:-1]))


def _ends(prediction: Prediction) -> tuple[float, float]:
    clock = prediction.clock
    return clock.timestep(clock.sigmas[-1]).item(), clock.timestep(clock.sigmas[0]).item()


def beta(prediction: Prediction, steps: int, alpha: float = 0.6, beta: float = 0.6) -> Tensor:
    """Timesteps at quantiles of a beta distribution (Lee et al. 2024, arXiv 2407.12173), without repeats."""
    table = prediction.sigmas
    quantiles = stats.beta.ppf(1 - np.linspace(0, 1, steps, endpoint=False), alpha, beta)
    timesteps = dict.fromkeys(np.rint(quantiles * (len(table) - 1)).astype(int).tolist())
    return ending_in_zero(table[list(timesteps)])


def linear_quadratic(prediction: Prediction, steps: int, threshold: float = 0.025) -> Tensor:
    """Half the steps remove noise linearly up to the share `threshold`, the rest quadratically (Mochi)."""
    if steps == 1:
        return torch.tensor([1.0, 0.0]) * prediction.sigma_max
    linear = steps // 2
    rest = steps - linear
    slope = threshold / linear
    bend = (linear - threshold * steps) / (linear * rest**2)
    tilt = slope - 2 * bend * linear
    level = bend * linear**2
    removed = [i * slope for i in range(linear)]
    removed += [bend * i**2 + tilt * i + level for i in range(linear, steps)] + [1.0]
    return (1 - torch.tensor(removed)) * prediction.sigma_max


def kl_optimal(prediction: Prediction, steps: int) -> Tensor:
    """Uniform in atan(sigma) (Sabour et al. 2024, arXiv 2404.14507, theorem 3.1)."""
    ramp = torch.arange(steps) / max(steps - 1, 1)
    low, high = math.atan(prediction.sigma_min), math.atan(prediction.sigma_max)
    return ending_in_zero((ramp * low + (1 - ramp) * high).tan())


def sd_turbo(prediction: Prediction, steps: int, denoise: float = 1.0) -> Tensor:
    """SD Turbo's trained timesteps, each hundredth from the top (Sauer et al. 2023, arXiv 2311.17042)."""
    start = 10 - int(10 * denoise)
    timesteps = torch.arange(10, 0, -1)[start : start + steps] * 100 - 1
    return ending_in_zero(prediction.clock.sigma(timesteps))


def ltxv(
    steps: int,
    max_shift: float = 2.05,
    base_shift: float = 0.95,
    *,
    stretch: bool = True,
    terminal: float = 0.1,
    tokens: int = 4096,
) -> Tensor:
    """LTX-Video's flow schedule: shifted by the number of tokens, stretched to end at `terminal` before 0."""
    slope = (max_shift - base_shift) / (4096 - 1024)
    shift = math.exp(tokens * slope + base_shift - 1024 * slope)
    t = torch.linspace(1, 0, steps + 1)[:-1]
    sigmas = shift / (shift + (1 / t - 1))
    if stretch:
        sigmas = 1 - (1 - sigmas) * (1 - terminal) / (1 - sigmas[-1])
    return ending_in_zero(sigmas)


SCHEDULES: Mapping[str, Schedule] = {
    "simple": simple,
    "sgm_uniform": sgm_uniform,
    "karras": lambda prediction, steps: karras(steps, prediction.sigma_min, prediction.sigma_max),
    "exponential": lambda prediction, steps: exponential(steps, prediction.sigma_min, prediction.sigma_max),
    "ddim_uniform": ddim_uniform,
    "beta": beta,
    "normal": normal,
    "linear_quadratic": linear_quadratic,
    "kl_optimal": kl_optimal,
}
