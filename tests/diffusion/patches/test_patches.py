"""Models changed without training, over a small real one."""

from typing import Any

import pytest
import torch
from torch import Tensor

from diffusion.guidance.estimates import (
    perpendicular_negative,
    perturbed_attention,
    rescaled,
    spread,
    spread_kept,
)
from diffusion.guidance.guidance import CFGGuider
from diffusion.hooks import Place
from diffusion.model import Model
from diffusion.patches.deep_shrink import Shrink, deep_shrink
from diffusion.patches.freeu import base_width, freeu, freeu_v2, scaled_low_frequencies
from diffusion.patches.tome import matching, merging_tokens
from diffusion.samplers import SAMPLERS
from diffusion.sampling import sample, schedule
from tests.diffusion.patches.guided import estimates, guided
from tests.diffusion.small_runs import noise, small_model, text

LATENT = torch.zeros(1, 4, 8, 8)


def run(model: Model, scale: float = 3.0, steps: int = 2, **more: Any) -> Tensor:
    """What a short run gives."""
    guider = CFGGuider(model, text(1), text(2), scale)
    sigmas = schedule(model.prediction, "normal", steps)
    return sample(guider, noise(1, 4, 8, 8), LATENT, SAMPLERS["euler"], sigmas, seed=3, **more).latent


PLAIN = run(small_model())

CHANGES: dict[str, Any] = {
    "freeu": lambda model: freeu(model, 1.1, 1.2, 0.9, 0.2),
    "freeu_v2": lambda model: freeu_v2(model, 1.3, 1.4, 0.9, 0.2),
    "deep shrink": lambda model: deep_shrink(model, Shrink(1, 2.0, 0.0, 1.0)),
    "perturbed attention": lambda model: perturbed_attention(model, 3.0),
    "rescaled": lambda model: rescaled(model, 0.7),
    "perpendicular negative": lambda model: perpendicular_negative(model, text(9), 0.9),
    "token merging": lambda model: merging_tokens(model, 0.5),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_change_changes_the_picture_the_same_way_each_time_and_leaves_the_model(name: str) -> None:
    model = small_model()
    changed = CHANGES[name](model)
    first, again = run(changed), run(changed)
    assert first.isfinite().all()
    assert torch.equal(first, again)
    assert (first - PLAIN).abs().max() > 5e-5
    assert not model.hooks


NEUTRAL: dict[str, Any] = {
    "freeu": lambda model: freeu(model, 1.0, 1.0, 1.0, 1.0),
    "freeu_v2": lambda model: freeu_v2(model, 1.0, 1.0, 1.0, 1.0),
    "deep shrink that never acts": lambda model: deep_shrink(model, Shrink(1, 2.0, 1.0, 1.0)),
    "deep shrink by nothing": lambda model: deep_shrink(model, Shrink(1, 1.0)),
    "perturbed attention": lambda model: perturbed_attention(model, 0.0),
    "rescaled": lambda model: rescaled(model, 0.0),
    "token merging": lambda model: merging_tokens(model, 0.0),
}


@pytest.mark.parametrize("name", NEUTRAL)
def test_a_change_of_no_strength_changes_nothing(name: str) -> None:
    torch.testing.assert_close(run(NEUTRAL[name](small_model())), PLAIN, rtol=1e-3, atol=1e-3)


def test_scaling_low_frequencies_scales_a_flat_picture_and_keeps_the_finest() -> None:
    flat = torch.full((1, 1, 8, 8), 2.0)
    torch.testing.assert_close(scaled_low_frequencies(flat, 0.25), flat * 0.25)
    fine = torch.tensor([1.0, -1.0]).repeat(8, 4)[None, None]
    torch.testing.assert_close(scaled_low_frequencies(fine, 0.25), fine)


def test_the_width_is_that_of_the_first_layer() -> None:
    model = small_model()
    with model.backbone.use() as unet:
        assert base_width(model) == unet.sizes.channels


def test_the_spread_is_that_of_each_row() -> None:
    assert spread(torch.tensor([[1.0, 3.0], [0.0, 4.0]])).flatten().tolist() == pytest.approx(
        [2**0.5, 8**0.5]
    )


def test_the_estimate_keeps_a_share_of_the_positives_spread_within_its_window() -> None:
    positive, _ = estimates()
    plain = guided(small_model())
    found = guided(spread_kept(small_model(), 1.0, 0.0, 1.0))
    torch.testing.assert_close(found.std(), positive.std())
    torch.testing.assert_close(found / plain, torch.full_like(plain, (found / plain).mean().item()))
    half = guided(spread_kept(small_model(), 0.5, 0.0, 1.0))
    torch.testing.assert_close(half, (found + plain) / 2)
    for start, end in ((0.9, 1.0), (0.0, 0.1)):
        assert torch.equal(guided(spread_kept(small_model(), 1.0, start, end)), plain)


def tokens(height: int, width: int) -> Tensor:
    """Random tokens, 2×(height·width)×5."""
    return torch.randn(2, height * width, 5, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize(("height", "width"), [(4, 4), (5, 7), (2, 3)])
@pytest.mark.parametrize("share", [0.25, 0.5, 0.9])
def test_merging_leaves_fewer_tokens_and_unmerging_as_many_as_before(
    height: int, width: int, share: float
) -> None:
    x = tokens(height, width)
    found = matching(x, (height, width), int(x.shape[1] * share), torch.Generator().manual_seed(0))
    assert found is not None
    merged = found.merge(x)
    others = height * width - (height // 2) * (width // 2)
    assert merged.shape[1] == x.shape[1] - min(int(x.shape[1] * share), others)
    back = found.unmerge(merged)
    assert back.shape == x.shape
    kept = found.kept.expand(-1, -1, x.shape[-1])
    torch.testing.assert_close(back.gather(1, kept), x.gather(1, kept))


def test_equal_tokens_survive_merging_unchanged() -> None:
    x = torch.ones(1, 16, 3)
    found = matching(x, (4, 4), 8, torch.Generator().manual_seed(0))
    assert found is not None
    torch.testing.assert_close(found.unmerge(found.merge(x)), x)


@pytest.mark.parametrize(("height", "width", "merged"), [(1, 8, 4), (8, 1, 4), (4, 4, 0)])
def test_nothing_is_merged_where_there_is_no_square_or_no_share(height: int, width: int, merged: int) -> None:
    assert matching(tokens(height, width), (height, width), merged, torch.Generator()) is None


def test_two_merging_changes_on_one_model_work_and_start_afresh_each_run() -> None:
    model = merging_tokens(merging_tokens(small_model(), 0.25), 0.25)
    assert torch.equal(run(model), run(model))


def test_a_pair_of_hooks_is_started_once_for_a_run() -> None:
    hooks = merging_tokens(small_model(), 0.5).hooks
    started = [hooks.for_run() for _ in range(2)]
    for each in started:
        (merge,), (unmerge,) = each["attention.self.input"], each["attention.self.output"]
        assert merge.__self__ is unmerge.__self__  # type: ignore[attr-defined] # bound methods
    assert started[0]["attention.self.input"] != started[1]["attention.self.input"]
    assert isinstance(Place("middle", 0), Place)
