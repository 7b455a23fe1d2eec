"""Schedules against the recorded ones, and what all of them promise."""

import json
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file

from diffusion.noise.prediction import V, stable_diffusion
from diffusion.noise.schedules import (
    SCHEDULES,
    beta,
    exponential,
    karras,
    kl_optimal,
    laplace,
    linear_quadratic,
    ltxv,
    polyexponential,
    sd_turbo,
    variance_preserving,
)
from diffusion.sampling import schedule

GOLDEN = Path(__file__).parents[2] / "golden"
CASES = {
    case["name"]: case
    for case in json.loads((GOLDEN / "cases.json").read_text())
    if case["name"].startswith("sigmas/") and case["name"] != "sigmas/standalone"
}


@pytest.mark.parametrize("name", CASES)
def test_the_named_schedules_equal_the_recorded_ones(name: str) -> None:
    expected = load_file(GOLDEN / "expected" / f"{name.replace('/', '__')}.safetensors")
    for node in CASES[name]["want"]:
        asked = CASES[name]["workflow"][node]["inputs"]
        sigmas = schedule(stable_diffusion(), asked["scheduler"], asked["steps"], asked["denoise"])
        torch.testing.assert_close(sigmas, expected[f"{node}/0.0"], rtol=1e-6, atol=1e-6)


def test_the_pure_schedules_equal_the_recorded_ones() -> None:
    expected = load_file(GOLDEN / "expected" / "sigmas__standalone.safetensors")
    ours = {
        "1/0.0": karras(12, 0.03, 14.6, 7.0),
        "2/0.0": exponential(12, 0.03, 14.6),
        "3/0.0": polyexponential(12, 0.03, 14.6, 1.5),
        "4/0.0": variance_preserving(12, 19.9, 0.1, 0.001),
        "7/0.0": laplace(12, 0.03, 14.6, 0.0, 0.5),
    }
    for place, sigmas in ours.items():
        torch.testing.assert_close(sigmas, expected[place], rtol=1e-5, atol=1e-6)


@settings(deadline=None)
@given(st.sampled_from(sorted(SCHEDULES)), st.integers(1, 60))
def test_every_schedule_falls_to_zero_from_within_the_model(name: str, steps: int) -> None:
    prediction = stable_diffusion()
    sigmas = SCHEDULES[name](prediction, steps)
    assert sigmas.dtype == torch.float32
    assert (sigmas.diff() < 0).all()
    assert sigmas[-1] == 0
    assert sigmas[0] <= prediction.sigma_max * 1.000001
    if name not in ("ddim_uniform", "beta"):  # these follow the table, not the number asked for
        assert len(sigmas) == steps + 1


def test_the_names_stand_in_the_order_of_the_exported_choice() -> None:
    assert list(SCHEDULES) == [
        "simple",
        "sgm_uniform",
        "karras",
        "exponential",
        "ddim_uniform",
        "beta",
        "normal",
        "linear_quadratic",
        "kl_optimal",
    ]


def test_beta_never_repeats_a_level() -> None:
    sigmas = beta(stable_diffusion(), 900)
    assert len(sigmas) < 901
    assert (sigmas.diff() < 0).all()


def test_a_wider_beta_moves_the_steps_to_the_middle() -> None:
    ends, middle = (beta(stable_diffusion(), 20, width, width) for width in (0.6, 3.0))
    assert ends[2] > middle[2]
    assert ends[-3] < middle[-3]


def test_linear_quadratic_removes_the_threshold_in_the_first_half() -> None:
    prediction = stable_diffusion()
    sigmas = linear_quadratic(prediction, 10, threshold=0.1)
    assert sigmas[5].item() == pytest.approx(0.9 * prediction.sigma_max, rel=1e-5)
    assert linear_quadratic(prediction, 1).tolist() == [pytest.approx(prediction.sigma_max), 0.0]


def test_kl_optimal_is_defined_for_one_step() -> None:
    assert kl_optimal(stable_diffusion(V), 1).isfinite().all()


def test_sd_turbo_takes_each_hundredth_timestep_from_the_top() -> None:
    prediction = stable_diffusion()
    assert prediction.clock.timestep(sd_turbo(prediction, 3)[:-1]).tolist() == [999, 899, 799]
    assert prediction.clock.timestep(sd_turbo(prediction, 2, 0.5)[:-1]).tolist() == [499, 399]


def test_ltxv_is_stretched_to_its_terminal_level() -> None:
    sigmas = ltxv(8, stretch=True, terminal=0.2)
    assert sigmas[0].item() == pytest.approx(1.0)
    assert sigmas[-2].item() == pytest.approx(0.2, abs=1e-6)
    assert ltxv(8, stretch=False)[-2] > 0.2
    assert (ltxv(8, tokens=1024)[1:-2] < ltxv(8, tokens=8192)[1:-2]).all()
