"""The fast and the adaptive DPM-Solver."""

import pytest
import torch

from diffusion.noise.schedules import karras
from diffusion.samplers import SAMPLERS
from diffusion.samplers.dpm_solver import StepSize
from tests.diffusion.samplers.gaussian_data import GaussianData, run


@pytest.mark.parametrize("steps", range(1, 13))
def test_fast_spends_one_evaluation_a_step(steps: int) -> None:
    data, sigmas = GaussianData(), karras(steps, 0.05, 14.0)
    run(SAMPLERS["dpm_fast"], data, data.start(14.0, 1, 1, 4, 4), sigmas)
    assert data.evaluations == steps


@pytest.mark.parametrize("order", [2, 3])
def test_adaptive_reaches_the_solution_and_works_harder_for_less_error(order: int) -> None:
    sigmas, errors, work = karras(5, 0.05, 10.0).double(), [], []
    for rtol in (0.05, 0.001):
        data = GaussianData(deviation=1.0)
        x = data.start(10.0, 1, 1, 8, 8)
        sampler = SAMPLERS["dpm_adaptive"].with_options(order=order, rtol=rtol, atol=rtol / 6)
        steps = run(sampler, data, x, sigmas)
        exact = data.solution(x, sigmas[0], sigmas[-2])
        errors.append((steps[-1].x - exact).abs().max().item())
        work.append(data.evaluations)
    assert errors[1] < errors[0] / 3 < 0.05
    assert work[1] > work[0]


def test_adaptive_sees_only_the_ends_of_the_schedule() -> None:
    data = GaussianData()
    x = data.start(14.0, 1, 1, 4, 4)
    ends = [run(SAMPLERS["dpm_adaptive"], data, x, karras(n, 0.05, 14.0))[-1].x for n in (4, 20)]
    assert torch.equal(*ends)


def test_a_schedule_of_one_level_gives_the_estimate() -> None:
    data, sigmas = GaussianData(), torch.tensor([14.0, 0.0])
    x = data.start(14.0, 1, 1, 4, 4)
    for name in ("dpm_fast", "dpm_adaptive"):
        (step,) = run(SAMPLERS[name], data, x, sigmas)
        assert torch.equal(step.x, data(x, sigmas[0]))


@pytest.mark.parametrize("name", ["dpm_fast", "dpm_adaptive"])
def test_eta_puts_noise_back(name: str) -> None:
    data, sigmas = GaussianData(), karras(60, 0.02, 14.0)
    x = data.start(14.0, 1, 4, 32, 32, dtype=torch.float32)
    noisy = SAMPLERS[name].with_options(eta=1.0)
    one, other = (run(noisy, data, x, sigmas, seed)[-1].x for seed in (1, 2))
    assert not torch.equal(one, other)
    assert one.std().item() == pytest.approx(0.5, rel=0.1)


def test_the_step_size_grows_after_small_errors_and_shrinks_after_large_ones() -> None:
    control = StepSize(0.05, 0.0, 1.0, 0.0, 3, 0.81)
    assert control.accepts(0.1)
    assert control.h > 0.05
    grown = control.h
    assert not control.accepts(50.0)
    assert control.h < grown
