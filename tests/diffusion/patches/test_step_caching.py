"""Steps that are saved where little changes."""

import logging
from typing import Any

import pytest
import torch
from torch import Tensor

from diffusion.guidance.estimates import perturbed_attention
from diffusion.guidance.guidance import CFGGuider
from diffusion.hooks import Hooks
from diffusion.model import Model
from diffusion.networks.backbone import Inputs
from diffusion.patches.step_caching import Memory, easily_cached, lazily_cached
from diffusion.samplers import SAMPLERS
from diffusion.sampling import sample, schedule
from tests.diffusion.small_runs import noise, small_model, text

CHANGES = {"easy": easily_cached, "lazy": lazily_cached}


SPREAD = 0.3  # of the data that the network is made to know


def run(model: Model, steps: int = 12, scale: float = 3.0) -> tuple[Tensor, int]:
    """What a run gives, and how many calls it took of a network that knows Gaussian data exactly."""
    calls = []

    def exact(call: Any, x: Tensor, timesteps: Tensor, inputs: Inputs, hooks: Hooks, predict: Any) -> Tensor:
        calls.append(1)
        sigma = call["sigmas"].view(-1, 1, 1, 1)
        mean = torch.tensor([0.5 if number == 0 else 0.0 for number in call["parts"]]).view(-1, 1, 1, 1)
        mean = mean - 0.2 * bool(hooks["attention.self.attend"])
        return sigma * (x * (sigma**2 + 1).sqrt() - mean) / (SPREAD**2 + sigma**2)

    knowing = small_model().with_hook("backbone.call", exact).with_hooks(model.hooks)
    guider = CFGGuider(knowing, text(1), text(2), scale)
    sigmas = schedule(model.prediction, "karras", steps)
    found = sample(guider, noise(1, 4, 8, 8), torch.zeros(1, 4, 8, 8), SAMPLERS["euler"], sigmas, seed=3)
    return found.latent, len(calls)


@pytest.mark.parametrize("name", CHANGES)
def test_calls_are_saved_and_the_result_stays_near(name: str) -> None:
    plain, all_calls = run(small_model())
    model = CHANGES[name](small_model(), 0.2, 0.15, 0.95)
    found, calls = run(model)
    assert all_calls == 12
    assert 3 <= calls < 12
    assert (found - plain).norm() < 0.25 * plain.norm()
    assert torch.equal(run(model)[0], found)


@pytest.mark.parametrize("name", CHANGES)
@pytest.mark.parametrize(("threshold", "start", "end"), [(0.0, 0.0, 1.0), (3.0, 1.0, 1.0)])
def test_nothing_is_saved_without_threshold_or_outside_of_the_window(
    name: str, threshold: float, start: float, end: float
) -> None:
    plain, _ = run(small_model())
    found, calls = run(CHANGES[name](small_model(), threshold, start, end))
    assert calls == 12
    torch.testing.assert_close(found, plain, rtol=1e-4, atol=1e-4)


def test_calls_of_other_hooks_are_a_stream_of_their_own() -> None:
    plain, all_calls = run(perturbed_attention(small_model(), 1.0), scale=1.0)
    found, calls = run(easily_cached(perturbed_attention(small_model(), 1.0), 0.1, 0.15, 0.95), scale=1.0)
    assert all_calls == 24
    assert calls < 24
    assert (found - plain).norm() < 0.25 * plain.norm()


def test_what_is_saved_can_be_told(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        run(easily_cached(small_model(), 0.2, 0.0, 1.0, told=True))
    assert "positive and negative: saved" in caplog.text
    assert "positive and negative: computed" in caplog.text


def test_an_answer_is_foretold_from_the_rate_of_change() -> None:
    memory, asked = Memory(), []

    def compute() -> Tensor:
        asked.append(1)
        return torch.full((1, 2, 1, 1), 10.0 + len(asked))

    def at(value: float) -> Tensor:
        return torch.full((1, 3, 1, 1), value)

    assert not memory.answer(at(1.0), compute, 0.5)[1]
    assert not memory.answer(at(2.0), compute, 0.5)[1], "no rate is known yet"
    assert memory.rate == 1.0
    assert memory.answer(at(4.0), compute, 0.5) == (memory.v, True)
    assert memory.error == pytest.approx(2 / 12)
    assert memory.answer(at(1.0), compute, 0.5)[1]
    assert memory.error == pytest.approx(5 / 12), "the way adds up"
    assert not memory.answer(at(400.0), compute, 0.5)[1]
    assert memory.error == 0
    assert not memory.answer(torch.zeros(1, 3, 2, 2), compute, 0.5)[1], "another size is another stream"
