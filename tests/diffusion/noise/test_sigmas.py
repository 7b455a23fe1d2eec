"""Tools on schedules."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from diffusion.noise.clocks import BEYOND_MAX
from diffusion.noise.prediction import stable_diffusion
from diffusion.noise.schedules import karras
from diffusion.noise.sigmas import (
    extended,
    flipped,
    percent_to_sigma,
    split,
    split_by_denoise,
    with_first,
)

SIGMAS = karras(12, 0.03, 14.6)
NONE = torch.zeros(0)


@settings(deadline=None)
@given(st.integers(0, 12))
def test_the_halves_of_a_split_share_the_sigma_at_the_cut(step: int) -> None:
    high, low = split(SIGMAS, step)
    assert high[-1] == low[0]
    assert torch.equal(torch.cat([high, low[1:]]), SIGMAS)


@pytest.mark.parametrize(("denoise", "steps"), [(1.0, 12), (0.6, 7), (0.5, 6), (0.0, 0)])
def test_the_second_part_of_a_split_takes_its_share_of_the_steps(denoise: float, steps: int) -> None:
    high, low = split_by_denoise(SIGMAS, denoise)
    assert len(low) - 1 == steps
    assert len(high) - 1 == 12 - steps


def test_turning_round_gives_no_zero_to_start_from() -> None:
    turned = flipped(SIGMAS)
    assert turned[0].item() == pytest.approx(0.0001)
    assert torch.equal(turned[1:], SIGMAS.flip(0)[1:])
    assert SIGMAS[-1] == 0
    assert not len(flipped(NONE))


def test_a_first_sigma_replaces_the_first_only() -> None:
    changed = with_first(SIGMAS, 20.0)
    assert changed[0] == 20.0
    assert torch.equal(changed[1:], SIGMAS[1:])
    assert not len(with_first(NONE, 1.0))


@pytest.mark.parametrize("spacing", ["linear", "cosine", "sine"])
def test_extending_keeps_the_levels_and_adds_between_those_in_range(spacing: str) -> None:
    longer = extended(SIGMAS, 3, -1.0, 5.0, spacing)
    inside = int((SIGMAS >= 5.0).sum())
    assert len(longer) == len(SIGMAS) + 2 * inside
    assert set(SIGMAS.tolist()) <= set(longer.tolist())
    assert (longer.diff() < 0).all()


def test_spacings_lean_to_one_side() -> None:
    linear, cosine, sine = (extended(SIGMAS, 2, -1.0, 5.0, name)[1] for name in ("linear", "cosine", "sine"))
    assert cosine < linear < sine


def test_extending_starts_below_its_upper_bound() -> None:
    longer = extended(SIGMAS, 2, 7.0, 4.0)
    assert torch.equal(longer[:3], SIGMAS[:3])
    assert len(longer) > len(SIGMAS)


def test_percent_gives_the_models_own_ends_on_request() -> None:
    prediction = stable_diffusion()
    assert percent_to_sigma(prediction, 0.0) == BEYOND_MAX
    assert percent_to_sigma(prediction, 1.0) == 0.0
    assert percent_to_sigma(prediction, 0.0, actual=True) == prediction.sigma_max
    assert percent_to_sigma(prediction, 1.0, actual=True) == prediction.sigma_min
    assert percent_to_sigma(prediction, 0.5, actual=True) == percent_to_sigma(prediction, 0.5)
