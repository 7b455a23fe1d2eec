"""The schedule nodes."""

from collections.abc import Callable
from typing import Any

import pytest
import torch

from diffusion.noise.schedules import SCHEDULES

Call = Callable[..., Any]


@pytest.fixture
def model(call: Call) -> Any:
    """A small model."""
    return call("UNETLoader", unet_name="unet.safetensors", weight_dtype="default")[0]


def falls_to_zero(sigmas: torch.Tensor) -> bool:
    """Whether a schedule falls all the way and ends in 0."""
    return bool((sigmas.diff() < 0).all()) and sigmas[-1] == 0


@pytest.mark.parametrize("name", SCHEDULES)
def test_every_named_schedule_falls_to_zero(call: Call, model: Any, name: str) -> None:
    (sigmas,) = call("BasicScheduler", model=model, scheduler=name, steps=6, denoise=1.0)
    assert falls_to_zero(sigmas)
    (part,) = call("BasicScheduler", model=model, scheduler=name, steps=6, denoise=0.5)
    assert len(part) == 7
    assert part[0] < sigmas[0]


@pytest.mark.parametrize(
    ("name", "inputs", "length"),
    [
        ("KarrasScheduler", {}, 21),
        ("ExponentialScheduler", {}, 21),
        ("PolyexponentialScheduler", {"rho": 2.0}, 21),
        ("VPScheduler", {}, 21),
        ("AlignYourStepsScheduler", {"model_type": "SDXL", "steps": 7}, 8),
        ("GITSScheduler", {"coeff": 1.0, "steps": 5, "denoise": 0.6}, 4),
        ("OptimalStepsScheduler", {"model_type": "FLUX", "steps": 9}, 10),
    ],
)
def test_schedules_of_numbers_alone_fall_to_zero(
    call: Call, name: str, inputs: dict[str, Any], length: int
) -> None:
    (sigmas,) = call(name, **inputs)
    assert len(sigmas) == length
    assert falls_to_zero(sigmas)


def test_the_laplace_schedule_stays_between_its_bounds(call: Call) -> None:
    (sigmas,) = call("LaplaceScheduler", steps=9, sigma_max=10.0, sigma_min=0.5)
    assert len(sigmas) == 9
    assert (sigmas.diff() <= 0).all()
    assert (sigmas.max().item(), sigmas.min().item()) == (10.0, 0.5)


def test_schedules_that_know_the_model(call: Call, model: Any) -> None:
    (beta,) = call("BetaSamplingScheduler", model=model, steps=5, alpha=1.0, beta=1.0)
    assert falls_to_zero(beta)
    (turbo,) = call("SDTurboScheduler", model=model, steps=2, denoise=0.5)
    assert len(turbo) == 3
    assert falls_to_zero(turbo)
    (start,) = call("SamplingPercentToSigma", model=model, sampling_percent=0.0, return_actual_sigma=True)
    assert start == pytest.approx(model.prediction.sigma_max)
    (end,) = call("SamplingPercentToSigma", model=model, sampling_percent=1.0, return_actual_sigma=False)
    assert end == 0


SIGMAS = torch.tensor([8.0, 4.0, 2.0, 1.0, 0.0])


@pytest.mark.parametrize(
    ("name", "inputs", "expected"),
    [
        ("SplitSigmas", {"step": 1}, [[8, 4], [4, 2, 1, 0]]),
        ("SplitSigmasDenoise", {"denoise": 0.5}, [[8, 4, 2], [2, 1, 0]]),
        ("FlipSigmas", {}, [[0.0001, 1, 2, 4, 8]]),
        ("SetFirstSigma", {"sigma": 9.0}, [[9, 4, 2, 1, 0]]),
        (
            "ExtendIntermediateSigmas",
            {"steps": 2, "start_at_sigma": 4.0, "end_at_sigma": 2.0, "spacing": "linear"},
            [[8, 4, 3, 2, 1.5, 1, 0]],
        ),
    ],
)
def test_schedules_are_cut_turned_and_divided(
    call: Call, name: str, inputs: dict[str, Any], expected: list[list[float]]
) -> None:
    for found, wanted in zip(call(name, sigmas=SIGMAS, **inputs), expected, strict=True):
        assert found.tolist() == pytest.approx(wanted)
    assert SIGMAS.tolist() == [8, 4, 2, 1, 0]
