"""Predictions: what a network's output means."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from diffusion.noise.clocks import DiscreteClock, LogClock, scaled_linear_sigmas
from diffusion.noise.prediction import (
    EDM,
    EDM_PLAYGROUND,
    EPS,
    EXPLODING,
    EXPLODING_FLOW,
    FLOW,
    LCM,
    TARGETS,
    Prediction,
    Process,
    V,
    continuous_edm,
    continuous_v,
    stable_diffusion,
)


def true_output(name: str, x: torch.Tensor, clean: torch.Tensor, sigma: float, data: float) -> torch.Tensor:
    """What a perfect network of this target answers."""
    total = sigma**2 + data**2
    return {
        "eps": (x - clean) / sigma,
        "lcm": (x - clean) / sigma,
        "flow": (x - clean) / sigma,
        "x0": clean,
        "img_to_img": clean,
        "v_prediction": (x * data**2 / total - clean) * math.sqrt(total) / (sigma * data),
        "edm_playground_v2.5": (clean - x * data**2 / total) * math.sqrt(total) / (sigma * data),
        "edm": (clean - x * data**2 / total) * math.sqrt(total) / (sigma * data),
        "cosmos_rflow": (x / (1 + sigma) - clean) * (1 + sigma) / sigma,
    }[name]


@pytest.mark.parametrize("name", sorted(TARGETS.keys() - {"lcm"}))
@pytest.mark.parametrize("data", [1.0, 0.5])
def test_a_perfect_network_gives_the_clean_latent(name: str, data: float) -> None:
    target = TARGETS[name]
    prediction = Prediction(target, LogClock(), data)
    clean, noise = torch.randn(2, 3, 4, 5, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    for sigma in (0.05, 0.7, 0.99):
        x = prediction.process.noised(clean, noise, torch.tensor(sigma))
        output = true_output(target.name, x, clean, sigma, data)
        rows = torch.full((3,), sigma, dtype=torch.float64)
        torch.testing.assert_close(prediction.denoised(output, x, rows), clean)


def test_the_input_of_eps_and_v_has_unit_variance() -> None:
    noise = torch.randn(4, 4, 64, 64, generator=torch.Generator().manual_seed(1))
    clean = torch.randn(4, 4, 64, 64, generator=torch.Generator().manual_seed(2))
    for prediction in (stable_diffusion(), stable_diffusion(V)):
        sigmas = torch.tensor([0.1, 1.0, 5.0, 14.0])
        shown = prediction.scaled(prediction.process.noised(clean, noise, sigmas), sigmas)
        assert shown.std(dim=(1, 2, 3)) == pytest.approx([1.0] * 4, abs=0.02)


def test_a_consistency_model_leaves_x_alone_at_timestep_zero() -> None:
    x, output = torch.ones(1, 4, 2, 2), torch.full((1, 4, 2, 2), 0.5)
    clock = DiscreteClock(scaled_linear_sigmas())  # undistilled, so that timestep 0 exists
    near, far = (Prediction(LCM, clock).denoised(output, x, clock.sigmas[t].view(1)) for t in (0, 999))
    torch.testing.assert_close(near, x)
    torch.testing.assert_close(far, x - 0.5 * clock.sigmas[999], rtol=1e-3, atol=1e-3)


def test_a_run_from_the_top_starts_from_pure_noise() -> None:
    prediction = stable_diffusion()
    top = prediction.sigma_max
    assert prediction.starts_from_pure_noise(top)
    assert prediction.starts_from_pure_noise(top * 2)
    assert not prediction.starts_from_pure_noise(top * 0.999)
    noise, clean = torch.full((1, 1, 1, 1), 2.0), torch.full((1, 1, 1, 1), 3.0)
    pure = EXPLODING.noised(clean, noise, torch.tensor(top), from_pure_noise=True)
    assert pure.item() == pytest.approx(3 + 2 * math.sqrt(1 + top**2))
    assert EXPLODING.noised(clean, noise, torch.tensor(top)).item() == pytest.approx(3 + 2 * top)


@settings(deadline=None)
@given(st.floats(0.01, 0.99))
def test_half_log_snr_is_undone_by_sigma(sigma: float) -> None:
    for process in (EXPLODING, FLOW):
        level = torch.tensor(sigma, dtype=torch.float64)
        torch.testing.assert_close(process.sigma(process.half_log_snr(level)), level)
        expected = math.log(process.alpha(level).item() / sigma)
        assert process.half_log_snr(level).item() == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("process", [EXPLODING, FLOW], ids=["exploding", "flow"])
def test_a_run_that_stops_early_hands_on_its_clean_part_unscaled(process: Process) -> None:
    clean, sigma = torch.randn(2, 3, 4, 4), torch.tensor(0.3)
    x = process.noised(clean, torch.zeros_like(clean), sigma)
    torch.testing.assert_close(process.handed_on(x, sigma), clean)


def test_the_continuous_clocks_reach_the_ends_they_were_given() -> None:
    for prediction in (continuous_edm(EDM, 0.002, 80.0), continuous_v(0.03, 500.0)):
        clock = prediction.clock
        assert isinstance(clock, LogClock)
        assert prediction.sigma_min == pytest.approx(clock.sigma_min, rel=1e-5)
        assert prediction.sigma_max == pytest.approx(clock.sigma_max, rel=1e-5)
    assert stable_diffusion().with_clock(LogClock()).target is EPS


def test_playground_is_edm_with_data_of_half_the_size() -> None:
    prediction = continuous_edm(TARGETS["edm_playground_v2.5"], 0.002, 80.0)
    assert prediction.sigma_data == 0.5
    assert continuous_edm(EDM, 0.002, 80.0).sigma_data == 1.0


def test_a_flow_in_an_exploding_dress_is_the_flow_itself() -> None:
    """With t = sigma / (sigma + 1), x · (1 - t) is a flow's x, and clean = x - t · velocity."""
    prediction = continuous_edm(EXPLODING_FLOW, 0.002, 80.0)
    sigma = torch.tensor([0.5, 80.0])
    t = prediction.clock.timestep(sigma)
    torch.testing.assert_close(t, sigma / (sigma + 1))
    torch.testing.assert_close(prediction.clock.sigma(t), sigma)
    assert prediction.clock.sigma(torch.tensor(1.0)).item() == 80.0
    clean, noise = torch.randn(2, 4, 2, 2), torch.randn(2, 4, 2, 2)
    x = prediction.process.noised(clean, noise, sigma, from_pure_noise=True)
    flowing = prediction.scaled(x, sigma)
    torch.testing.assert_close(flowing, FLOW.noised(clean, noise, t))
    torch.testing.assert_close(prediction.denoised(noise - clean, x, sigma), clean, rtol=1e-4, atol=1e-4)


def test_data_may_deviate_as_stated() -> None:
    assert continuous_edm(EDM, 0.002, 80.0, 0.5).sigma_data == 0.5
    assert continuous_edm(EDM_PLAYGROUND, 0.002, 80.0).sigma_data == 0.5
    assert continuous_edm(EDM, 0.002, 80.0).sigma_data == 1.0
