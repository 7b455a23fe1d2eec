"""Maps of change: which places are let go at which step."""

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor

from diffusion.noise.prediction import stable_diffusion
from diffusion.patches.differential import differential, share_left
from tests.diffusion.small_runs import small_model

PREDICTION = stable_diffusion()
LEVELS = PREDICTION.clock.sigmas
WHOLE = [LEVELS[999].item(), LEVELS[500].item(), 0.0]
GREYS = torch.tensor([0.0, 0.25, 0.5, 0.75, 1.0])


def at(timestep: float, schedule: list[float]) -> Any:
    """A step of a run along a schedule, at a timestep."""
    sigma = PREDICTION.clock.sigma(torch.tensor(timestep))
    facts = {"denoising": SimpleNamespace(prediction=PREDICTION), "schedule": torch.tensor(schedule)}
    return SimpleNamespace(sigma=sigma, **facts)


@pytest.mark.parametrize("timestep", [999, 750, 500, 37, 0])
def test_what_is_left_is_even_in_timesteps_down_to_the_last_trained_one(timestep: int) -> None:
    assert share_left(at(float(timestep), WHOLE)) == pytest.approx(timestep / 999)


def test_a_run_that_stops_earlier_has_nothing_left_at_its_end() -> None:
    part = [LEVELS[800].item(), LEVELS[600].item(), LEVELS[400].item()]
    assert share_left(at(600.0, part)) == pytest.approx(0.5, abs=1e-3)
    assert share_left(at(400.0, part)) == pytest.approx(0.0, abs=1e-3)
    assert share_left(at(400.0, part[-1:])) == 1.0, "a run of one level has all of it before it"


def let_go(timestep: float, strength: float = 1.0) -> Tensor:
    """What the mask is at a step."""
    (hook,) = differential(small_model(), strength).hooks["noise_mask"]
    found: Tensor = hook(at(timestep, WHOLE), GREYS)
    return found


@pytest.mark.parametrize(
    ("timestep", "wanted"),
    [
        (999.0, [0, 0, 0, 0, 1]),
        (700.0, [0, 0, 0, 1, 1]),
        (400.0, [0, 0, 1, 1, 1]),
        (1.0, [0, 1, 1, 1, 1]),
        (0.0, [1, 1, 1, 1, 1]),
    ],
)
def test_the_darker_the_later_and_black_only_at_the_very_last_level(
    timestep: float, wanted: list[float]
) -> None:
    assert let_go(timestep).tolist() == wanted


def test_strength_blends_towards_the_mask_as_it_is() -> None:
    torch.testing.assert_close(let_go(400.0, 0.25), 0.25 * let_go(400.0) + 0.75 * GREYS)
    assert torch.equal(let_go(400.0, 0.0), let_go(400.0)), "0 counts as 1"
