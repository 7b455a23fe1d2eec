"""Schedules: the noise levels a sampler steps through, and what can be done to them."""

import re
from typing import Annotated, Literal, NamedTuple

import torch

from diffusion.noise import schedules, tuned_schedules
from diffusion.noise import sigmas as levels
from diffusion.sampling import schedule
from execution.declare.node import Output, Range, Tip, node
from nodes.sample.sampling import Denoise, SchedulerName, SomeModel, Steps, present
from nodes.sockets import Sigmas

StepCount = Annotated[Steps, Tip("How many steps.")]
Level = Annotated[float, Range(0.0, 5000.0, step=0.01, round=False)]
Highest = Annotated[Level, Tip("The noise level to start from.")]
Lowest = Annotated[Level, Tip("The last noise level above 0.")]
Share = Annotated[Denoise, Tip("Below 1 only the last steps are given, for changing a picture.")]
Given = Annotated[Sigmas, Tip("The noise levels.")]


class Halves(NamedTuple):
    """A schedule cut in two."""

    high_sigmas: Sigmas
    low_sigmas: Sigmas


@node("BasicScheduler", category="sampling/custom_sampling/schedulers")
def basic(model: SomeModel, scheduler: SchedulerName, steps: StepCount = 20, denoise: Share = 1.0) -> Sigmas:
    """BasicScheduler.

    A schedule for a model, by its name.
    """
    return schedule(present(model).prediction, scheduler, steps, denoise)


@node("ManualSigmas", category="sampling/custom_sampling/schedulers", v3=True, experimental=True)
def manual(
    sigmas: Annotated[str, Tip("Numbers with commas or blanks between, the last one mostly 0.")] = "1, 0.5",
) -> Annotated[Sigmas, Output("SIGMAS")]:
    """ManualSigmas.

    A schedule written down number by number.
    """
    found = re.findall(r"[-+]?(?:\d*\.)?\d+\.?(?:[eE][-+]?\d+)?", sigmas)
    if not found:
        raise ValueError(f"input 'sigmas' is {sigmas!r}, which holds no number; write some such as 1, 0.5, 0")
    return torch.tensor([float(each) for each in found])


@node("KarrasScheduler", category="sampling/custom_sampling/schedulers")
def karras(
    steps: StepCount = 20,
    sigma_max: Highest = 14.614642,
    sigma_min: Lowest = 0.0291675,
    rho: Annotated[
        float, Range(0.0, 100.0, step=0.01, round=False), Tip("Higher gives more steps to low noise.")
    ] = 7.0,
) -> Sigmas:
    """KarrasScheduler.

    The schedule of Karras et al. (2022).
    """
    return schedules.karras(steps, sigma_min, sigma_max, rho)


@node("ExponentialScheduler", category="sampling/custom_sampling/schedulers")
def exponential(
    steps: StepCount = 20, sigma_max: Highest = 14.614642, sigma_min: Lowest = 0.0291675
) -> Sigmas:
    """ExponentialScheduler.

    Even steps in the logarithm of the noise level.
    """
    return schedules.exponential(steps, sigma_min, sigma_max)


@node("PolyexponentialScheduler", category="sampling/custom_sampling/schedulers")
def polyexponential(
    steps: StepCount = 20,
    sigma_max: Highest = 14.614642,
    sigma_min: Lowest = 0.0291675,
    rho: Annotated[
        float, Range(0.0, 100.0, step=0.01, round=False), Tip("1 is exponential; higher falls faster.")
    ] = 1.0,
) -> Sigmas:
    """PolyexponentialScheduler.

    A power of even steps in the logarithm of the noise level.
    """
    return schedules.polyexponential(steps, sigma_min, sigma_max, rho)


@node("VPScheduler", category="sampling/custom_sampling/schedulers")
def vp(
    steps: StepCount = 20,
    beta_d: Annotated[Level, Tip("How fast the noise grows in training.")] = 19.9,
    beta_min: Annotated[Level, Tip("The noise's growth at the start of training.")] = 0.1,
    eps_s: Annotated[
        float, Range(0.0, 1.0, step=0.0001, round=False), Tip("The earliest time that is used.")
    ] = 0.001,
) -> Sigmas:
    """VPScheduler.

    Even steps in the time of a variance-preserving process.
    """
    return schedules.variance_preserving(steps, beta_d, beta_min, eps_s)


@node("LaplaceScheduler", category="sampling/custom_sampling/schedulers")
def laplace(
    steps: StepCount = 20,
    sigma_max: Highest = 14.614642,
    sigma_min: Lowest = 0.0291675,
    mu: Annotated[
        float, Range(-10.0, 10.0, step=0.1, round=False), Tip("Where, in log sigma, most steps lie.")
    ] = 0.0,
    beta: Annotated[
        float, Range(0.0, 10.0, step=0.1, round=False), Tip("How widely the steps are spread.")
    ] = 0.5,
) -> Sigmas:
    """LaplaceScheduler.

    Most steps around one noise level, as a Laplace distribution spreads them.
    """
    return schedules.laplace(steps, sigma_min, sigma_max, mu, beta)


@node("BetaSamplingScheduler", category="sampling/custom_sampling/schedulers")
def beta_sampling(
    model: SomeModel,
    steps: StepCount = 20,
    alpha: Annotated[
        float, Range(0.0, 50.0, step=0.01, round=False), Tip("Lower gives more steps to high noise.")
    ] = 0.6,
    beta: Annotated[
        float, Range(0.0, 50.0, step=0.01, round=False), Tip("Lower gives more steps to low noise.")
    ] = 0.6,
) -> Sigmas:
    """BetaSamplingScheduler.

    Steps spread as a beta distribution.
    """
    return schedules.beta(present(model).prediction, steps, alpha, beta)


@node("SDTurboScheduler", category="sampling/custom_sampling/schedulers")
def sd_turbo(
    model: SomeModel,
    steps: Annotated[int, Range(1, 10), Tip("How many steps.")] = 1,
    denoise: Annotated[float, Range(0, 1.0, step=0.01), Tip("Below 1 the first steps are left out.")] = 1.0,
) -> Sigmas:
    """SDTurboScheduler.

    The few noise levels that turbo models were trained for.
    """
    return schedules.sd_turbo(present(model).prediction, steps, denoise)


@node("AlignYourStepsScheduler", category="sampling/custom_sampling/schedulers", display_name=None, v3=True)
def align_your_steps(
    model_type: Annotated[Literal["SD1", "SDXL", "SVD"], Tip("The family of the model.")],
    steps: StepCount = 10,
    denoise: Share = 1.0,
) -> Sigmas:
    """Align Your Steps Scheduler.

    Noise levels that were optimised for a family, best with about ten steps.
    """
    return tuned_schedules.align_your_steps(model_type, steps, denoise)


@node("GITSScheduler", category="sampling/custom_sampling/schedulers", display_name=None)
def gits(
    coeff: Annotated[float, Range(0.8, 1.5, step=0.05), Tip("Higher gives more steps to low noise.")] = 1.2,
    steps: Annotated[int, Range(2, 1000), Tip("How many steps.")] = 10,
    denoise: Share = 1.0,
) -> Sigmas:
    """GITS Scheduler.

    Noise levels chosen by the geometry of sampling paths, for few steps.
    """
    return tuned_schedules.gits(coeff, steps, denoise)


@node("OptimalStepsScheduler", category="sampling/custom_sampling/schedulers", display_name=None, v3=True)
def optimal_steps(
    model_type: Annotated[Literal["FLUX", "Wan", "Chroma"], Tip("The family of the model.")],
    steps: Annotated[int, Range(3, 1000), Tip("How many steps.")] = 20,
    denoise: Share = 1.0,
) -> Sigmas:
    """Optimal Steps Scheduler.

    Noise levels that were optimised for a flow model.
    """
    return tuned_schedules.optimal_steps(model_type, steps, denoise)


# What can be done to a schedule


@node("SplitSigmas", category="sampling/custom_sampling/sigmas")
def split(
    sigmas: Given, step: Annotated[int, Range(0, 10000), Tip("How many steps the first part has.")] = 0
) -> Halves:
    """SplitSigmas.

    Cuts a schedule in two that share the level at the cut.
    """
    return Halves(*levels.split(sigmas, step))


@node("SplitSigmasDenoise", category="sampling/custom_sampling/sigmas")
def split_denoise(
    sigmas: Given,
    denoise: Annotated[Denoise, Tip("The second part's share of the steps.")] = 1.0,
) -> Halves:
    """SplitSigmasDenoise.

    Cuts a schedule in two, the second with a share of the steps.
    """
    return Halves(*levels.split_by_denoise(sigmas, denoise))


@node("FlipSigmas", category="sampling/custom_sampling/sigmas")
def flip(sigmas: Given) -> Sigmas:
    """FlipSigmas.

    Turns a schedule round, so that sampling adds noise instead.
    """
    return levels.flipped(sigmas)


@node("SetFirstSigma", category="sampling/custom_sampling/sigmas")
def set_first(
    sigmas: Given,
    sigma: Annotated[float, Range(0.0, 20000.0, step=0.001, round=False), Tip("The new level.")] = 136.0,
) -> Sigmas:
    """SetFirstSigma.

    Changes the noise level a schedule starts from.
    """
    return levels.with_first(sigmas, sigma)


@node("ExtendIntermediateSigmas", category="sampling/custom_sampling/sigmas")
def extend(
    sigmas: Given,
    steps: Annotated[int, Range(1, 100), Tip("In how many steps each step is divided.")] = 2,
    start_at_sigma: Annotated[
        float,
        Range(-1.0, 20000.0, step=0.01, round=False),
        Tip("Steps that start at this level or below are divided; -1 is no limit."),
    ] = -1.0,
    end_at_sigma: Annotated[
        float,
        Range(0.0, 20000.0, step=0.01, round=False),
        Tip("Steps that start below this level stay as they are."),
    ] = 12.0,
    *,
    spacing: Annotated[Literal["linear", "cosine", "sine"], Tip("How the levels in between are spread.")],
) -> Sigmas:
    """ExtendIntermediateSigmas.

    Divides the steps of a part of a schedule.
    """
    return levels.extended(sigmas, steps, start_at_sigma, end_at_sigma, spacing)


@node("SamplingPercentToSigma", category="sampling/custom_sampling/sigmas")
def percent_to_sigma(
    model: SomeModel,
    sampling_percent: Annotated[
        float, Range(0.0, 1.0, step=0.0001), Tip("The share of the way from noise to picture.")
    ] = 0.0,
    return_actual_sigma: Annotated[
        bool, Tip("At 0 and 1 give the model's highest and lowest level, not the bounds used for ranges.")
    ] = False,
) -> Annotated[float, Output("sigma_value")]:
    """SamplingPercentToSigma.

    The noise level at a share of the way.
    """
    return levels.percent_to_sigma(present(model).prediction, sampling_percent, actual=return_actual_sigma)
