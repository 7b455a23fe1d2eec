"""Clocks: how sigma, timestep and percent belong together."""

import pytest
import torch

from diffusion.noise.clocks import (
    BEYOND_MAX,
    AngleClock,
    Clock,
    CosineClock,
    DiscreteClock,
    FlowClock,
    LogClock,
    linear_sigmas,
    scaled_linear_sigmas,
    zero_terminal_snr,
)
from diffusion.noise.prediction import LCM, stable_diffusion

CLOCKS: dict[str, Clock] = {
    "stable diffusion": stable_diffusion().clock,
    "distilled": stable_diffusion(LCM).clock,
    "linear": DiscreteClock(linear_sigmas(1e-4, 0.02)),
    "log": LogClock(0.01, 80.0),
    "angle": AngleClock(0.03, 500.0),
    "flow": FlowClock(3.0),
    "cosine": CosineClock(2.0),
}


def test_stable_diffusion_spans_the_published_sigmas() -> None:
    prediction = stable_diffusion()
    assert prediction.sigma_min == pytest.approx(0.0291672, rel=1e-5)
    assert prediction.sigma_max == pytest.approx(14.614642, rel=1e-6)
    assert len(prediction.sigmas) == 1000
    assert prediction.sigmas.dtype == torch.float32


@pytest.mark.parametrize("name", CLOCKS)
def test_the_table_of_a_clock_ascends(name: str) -> None:
    steps = CLOCKS[name].sigmas.diff()
    assert (steps >= 0).all() if name == "cosine" else (steps > 0).all()  # the cosine is clamped at its ends
    assert CLOCKS[name].sigmas[0] > 0


@pytest.mark.parametrize("name", CLOCKS)
def test_sigma_undoes_timestep_at_the_levels_of_the_table(name: str) -> None:
    clock = CLOCKS[name]
    sigmas = clock.sigmas[:: max(len(clock.sigmas) // 37, 1)]
    back = clock.sigma(clock.timestep(sigmas)) if name != "flow" else sigmas
    torch.testing.assert_close(back, sigmas, rtol=2e-3, atol=2e-4)


@pytest.mark.parametrize("name", CLOCKS)
def test_percent_falls_from_the_top_to_zero(name: str) -> None:
    clock = CLOCKS[name]
    sigmas = [clock.sigma_at(percent / 10) for percent in range(11)]
    assert sigmas == sorted(sigmas, reverse=True)
    assert sigmas[0] == (1.0 if name == "flow" else BEYOND_MAX)
    assert sigmas[-1] == 0.0
    assert clock.sigma_at(1e-9) <= clock.sigmas[-1].item() * 1.0001


def test_a_timestep_halfway_between_two_levels_rounds_as_the_logarithms_do() -> None:
    """`normal` with 7 steps asks for 832.5, 499.5 and 166.5; the goldens fix which way each goes."""
    clock = stable_diffusion().clock
    timesteps = clock.timestep(clock.sigma(torch.linspace(999, 0, 7)))
    assert timesteps.tolist() == [999, 833, 666, 500, 333, 166, 0]


def test_the_distilled_clock_knows_each_twentieth_timestep() -> None:
    clock = stable_diffusion(LCM).clock
    assert clock.timestep(clock.sigmas).tolist() == list(range(19, 1000, 20))


def test_zero_terminal_snr_keeps_the_lowest_level_and_hides_the_picture_at_the_top() -> None:
    before, after = scaled_linear_sigmas(), zero_terminal_snr(scaled_linear_sigmas())
    assert after[0] == pytest.approx(before[0].item(), rel=1e-6)
    assert after[-1] == pytest.approx(4518.76, rel=1e-5)
    assert (after.diff() > 0).all()
