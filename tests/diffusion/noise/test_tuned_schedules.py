"""Schedules that were searched for."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from diffusion.noise.tuned_schedules import (
    ALIGN_YOUR_STEPS,
    OPTIMAL_STEPS,
    align_your_steps,
    gits,
    gits_places,
    optimal_steps,
    read_off,
)

GOLDEN = Path(__file__).parents[2] / "golden" / "expected" / "sigmas__standalone.safetensors"


def test_they_equal_the_recorded_ones() -> None:
    expected = load_file(GOLDEN)
    torch.testing.assert_close(align_your_steps("SD1", 11, 0.8), expected["5/0.0"], rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(gits(1.2, 10), expected["6/0.0"], rtol=3e-5, atol=1e-6)


@pytest.mark.parametrize("name", ALIGN_YOUR_STEPS)
def test_align_your_steps_gives_its_ten_steps_as_published(name: str) -> None:
    assert align_your_steps(name, 10)[:-1].tolist() == pytest.approx(ALIGN_YOUR_STEPS[name][:-1])


@pytest.mark.parametrize("name", OPTIMAL_STEPS)
@pytest.mark.parametrize("steps", [3, 10, 20, 33])
def test_optimal_steps_fall_to_zero_in_as_many_steps_as_asked(name: str, steps: int) -> None:
    sigmas = optimal_steps(name, steps)
    assert len(sigmas) == steps + 1
    assert (sigmas.diff() < 0).all()
    assert sigmas[-1] == 0


def test_gits_has_a_falling_schedule_for_every_coefficient_and_number_of_steps() -> None:
    places = gits_places()
    assert list(places) == [f"{0.8 + 0.05 * i:.2f}" for i in range(15)]
    assert all(row == sorted(set(row), reverse=True) for rows in places.values() for row in rows)
    for coefficient in places:
        for steps in (2, 9, 20, 31):
            sigmas = gits(float(coefficient), steps)
            assert len(sigmas) == steps + 1, (coefficient, steps)
            assert (sigmas.diff() < 0).all(), (coefficient, steps)


def test_a_larger_coefficient_spends_more_steps_at_low_noise() -> None:
    assert (gits(1.5, 12)[1:-1] < gits(0.9, 12)[1:-1]).all()


@pytest.mark.parametrize("denoise", [0.0, 0.26, 0.5, 1.0])
def test_denoise_keeps_the_last_part(denoise: float) -> None:
    whole, part = gits(1.0, 10), gits(1.0, 10, denoise)
    assert len(part) == (round(10 * denoise) + 1 if denoise else 0)
    assert torch.equal(part, whole[len(whole) - len(part) :])


def test_reading_off_is_linear_in_log_sigma() -> None:
    assert read_off((100.0, 1.0), 2).tolist() == pytest.approx([100.0, 10.0, 1.0])
