"""The network compiled; a backend that only counts stands where a compiler would be."""

from typing import Any

import torch

from diffusion.guidance.guidance import CFGGuider
from diffusion.model import Model
from diffusion.patches.compiling import compiled, without_checks
from diffusion.patches.freeu import freeu
from diffusion.samplers import SAMPLERS
from diffusion.sampling import sample, schedule
from tests.diffusion.small_runs import noise, small_model, text


def run(model: Model, asked: list[int]) -> torch.Tensor:
    """What a run gives that asks whether to go on."""
    guider = CFGGuider(model, text(1), text(2), 3.0)
    sigmas, start = schedule(model.prediction, "normal", 2), torch.zeros(1, 4, 8, 8)
    check = lambda: asked.append(1)  # noqa: E731
    return sample(guider, noise(1, 4, 8, 8), start, SAMPLERS["euler"], sigmas, check=check).latent


def test_a_compiled_model_gives_the_same_and_is_compiled_whole_and_once() -> None:
    graphs: list[Any] = []

    def counting(graph: torch.fx.GraphModule, inputs: Any) -> Any:
        graphs.append(graph)
        return graph.forward

    plain, asked = run(small_model(), []), list[int]()
    model = compiled(small_model(), counting)
    torch.testing.assert_close(run(model, asked), plain, rtol=1e-4, atol=1e-4)
    first = len(graphs)
    assert 1 <= first <= 3
    run(model, asked)
    assert len(graphs) == first, "the second run finds it compiled"
    assert asked, "the steps still ask"


def test_changes_inside_are_compiled_too() -> None:
    model = freeu(small_model(), 1.1, 1.2, 0.9, 0.2)
    expected = run(model, [])
    torch.testing.assert_close(run(compiled(model, "eager"), []), expected, rtol=1e-4, atol=1e-4)


def test_only_what_asks_and_what_is_outside_is_left_out() -> None:
    model = compiled(freeu(small_model(), 1.1, 1.2, 0.9, 0.2), "eager")
    assert list(without_checks(model.hooks)) == ["block.output"]
    assert not without_checks(compiled(small_model(), "eager").hooks)
