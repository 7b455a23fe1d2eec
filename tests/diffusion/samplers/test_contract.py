"""The ancestral step that all ancestral samplers share."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from diffusion.noise.prediction import EXPLODING, FLOW, Process
from diffusion.samplers.contract import descent, halfway, slope

levels = st.floats(0.01, 0.98).map(lambda s: torch.tensor(s, dtype=torch.float64))


@settings(deadline=None)
@given(levels, levels, st.floats(0, 1))
def test_going_down_and_noising_up_again_ends_at_the_next_level(
    a: torch.Tensor, b: torch.Tensor, eta: float
) -> None:
    sigma, sigma_next = max(a, b) + 1e-3, min(a, b)
    for process in (EXPLODING, FLOW):
        down, scale, up = descent(sigma, sigma_next, eta, process)
        assert down <= sigma_next * (1 + 1e-9)
        torch.testing.assert_close((scale * down) ** 2 + up**2, sigma_next**2)
        torch.testing.assert_close(scale * process.alpha(down), process.alpha(sigma_next))


@pytest.mark.parametrize("process", [EXPLODING, FLOW], ids=["exploding", "flow"])
def test_without_eta_nothing_is_put_back(process: Process) -> None:
    down, scale, up = descent(torch.tensor(0.9), torch.tensor(0.4), 0.0, process)
    assert (down.item(), scale.item()) == pytest.approx((0.4, 1.0))
    assert up.item() == pytest.approx(0.0, abs=1e-3)


def test_more_noise_than_the_next_level_is_never_put_back() -> None:
    down, _, up = descent(torch.tensor(10.0), torch.tensor(1.0), 50.0)
    assert (down.item(), up.item()) == (0.0, 1.0)


@pytest.mark.parametrize(("eta", "expected"), [(0.0, (0.5, 0.0)), (1.0, (0.0, 0.5)), (0.6, (0.4, 0.3))])
def test_from_no_signal_at_all_any_share_can_be_put_back(eta: float, expected: tuple[float, float]) -> None:
    down, _, up = descent(torch.tensor(torch.inf), torch.tensor(0.5), eta)
    assert (down.item(), up.item()) == pytest.approx(expected)


def test_halfway_is_the_geometric_middle_of_an_exploding_process() -> None:
    assert halfway(torch.tensor(9.0), torch.tensor(4.0)).item() == pytest.approx(6.0)
    assert halfway(torch.tensor(9.0), torch.tensor(1.0), r=0.25).item() == pytest.approx(9**0.75)


def test_following_the_slope_to_zero_gives_the_estimate() -> None:
    x, denoised, sigma = torch.tensor(7.0), torch.tensor(2.0), torch.tensor(3.0)
    assert (x - sigma * slope(x, sigma, denoised)).item() == 2.0
