"""Guidance: how estimates combine, and what hooks may do about it."""

from collections.abc import Mapping
from typing import Any

import pytest
import torch
from torch import Tensor

from diffusion.conditioning import Setting, prepare
from diffusion.guidance.guidance import (
    BasicGuider,
    Call,
    CFGGuider,
    DualCFGGuider,
    Guided,
    Guider,
    PerpNegGuider,
    classifier_free,
    perp_neg,
)
from diffusion.hooks import Hooks
from diffusion.model import Model
from tests.diffusion.small_runs import denoising, noise, small_model, text

MODEL = small_model()
X, SIGMA = noise(1, 4, 8, 8) * 5, torch.tensor(5.0)
POSITIVE, NEGATIVE, OTHER = text(1), text(2), text(3)


def guided(guider: Guider) -> Guided:
    setting = Setting(guider.model, torch.zeros(1, 4, 8, 8))
    return Guided(guider, denoising(guider.model, setting), prepare(guider.conditionings, setting))


def estimate(conditioning: list[list[Any]]) -> Tensor:
    return guided(BasicGuider(MODEL, conditioning))(X, SIGMA)


def asked(denoiser: Guided) -> list[tuple[str, ...]]:
    """Which conditionings each call of the backbone serves, from now on."""
    names: list[tuple[str, ...]] = []

    def note(call: Mapping[str, Any], x: Tensor, t: Tensor, *given: Any) -> Any:
        names.append(call["names"])
        *inputs, predict = given
        return predict(x, t, *inputs)

    denoiser.denoising.hooks = denoiser.denoising.hooks.adding("backbone.call", note)
    return names


def test_classifier_free_guidance_extrapolates_from_the_negative() -> None:
    found = guided(CFGGuider(MODEL, POSITIVE, NEGATIVE, 3.0))(X, SIGMA)
    positive, negative = estimate(POSITIVE), estimate(NEGATIVE)
    torch.testing.assert_close(found, negative + 3 * (positive - negative), rtol=1e-4, atol=1e-4)


def test_at_scale_one_the_negative_is_not_asked() -> None:
    denoiser = guided(CFGGuider(MODEL, POSITIVE, NEGATIVE, 1.0))
    names = asked(denoiser)
    torch.testing.assert_close(denoiser(X, SIGMA), estimate(POSITIVE), rtol=1e-4, atol=1e-4)
    assert names == [("positive",)]


def test_cfg_plus_plus_gets_the_negative_even_at_scale_one() -> None:
    denoised, negative = guided(CFGGuider(MODEL, POSITIVE, NEGATIVE, 1.0)).pair(X, SIGMA)
    torch.testing.assert_close(denoised, estimate(POSITIVE), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(negative, estimate(NEGATIVE), rtol=1e-4, atol=1e-4)
    both = guided(BasicGuider(MODEL, POSITIVE)).pair(X, SIGMA)
    assert torch.equal(*both)


@pytest.mark.parametrize("nested", [False, True])
def test_dual_guidance_leads_from_negative_over_middle_to_positive(nested: bool) -> None:
    guider = DualCFGGuider(MODEL, POSITIVE, OTHER, NEGATIVE, scale=2.0, middle_scale=3.0, nested=nested)
    positive, middle, negative = map(estimate, (POSITIVE, OTHER, NEGATIVE))
    plain = negative + 3 * (middle - negative) + 2 * (positive - middle)
    inner = middle + 2 * (positive - middle)
    expected = negative + 3 * (inner - negative) if nested else plain
    torch.testing.assert_close(guided(guider)(X, SIGMA), expected, rtol=1e-4, atol=1e-4)


def test_perp_neg_avoids_only_what_is_perpendicular() -> None:
    empty, positive = torch.zeros(1, 1, 1, 2), torch.tensor([2.0, 0.0]).view(1, 1, 1, 2)
    negative = torch.tensor([5.0, 1.0]).view(1, 1, 1, 2)
    assert perp_neg(positive, negative, empty, 1.0, 1.0).flatten().tolist() == [2.0, -1.0]
    assert perp_neg(positive, positive, empty, 1.0, 3.0).flatten().tolist() == [6.0, 0.0]


def test_the_perp_neg_guider_uses_its_three_texts() -> None:
    found = guided(PerpNegGuider(MODEL, POSITIVE, NEGATIVE, OTHER, 4.0, 0.5))(X, SIGMA)
    expected = perp_neg(estimate(POSITIVE), estimate(NEGATIVE), estimate(OTHER), 0.5, 4.0)
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-3)


def hooked(scale: float, point: str, hook: Any) -> Guided:
    return guided(CFGGuider(MODEL.with_hook(point, hook), POSITIVE, NEGATIVE, scale))


def test_a_hook_before_changes_what_is_combined() -> None:
    def same(call: Call, estimates: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        return {**estimates, "negative": estimates["positive"]}

    found = hooked(7.0, "guidance.before", same)(X, SIGMA)
    torch.testing.assert_close(found, estimate(POSITIVE), rtol=1e-4, atol=1e-4)


def test_a_hook_instead_of_combining_always_gets_the_negative_and_may_fall_back() -> None:
    seen: list[tuple[set[str], float]] = []

    def half(call: Call, predictions: Mapping[str, Tensor], scale: float, combine: Any) -> Tensor:
        seen.append((set(predictions), scale))
        found: Tensor = combine(predictions, scale / 2)
        return found

    found = hooked(1.0, "guidance.combine", half)(X, SIGMA)
    expected = classifier_free(estimate(POSITIVE), estimate(NEGATIVE), 0.5)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)
    assert seen == [({"positive", "negative"}, 1.0)]


def test_hooks_after_run_in_order_and_may_ask_for_the_negative() -> None:
    class WithNegative:
        needs_negative = True

        def __call__(
            self, call: Call, denoised: Tensor, predictions: Mapping[str, Tensor], scale: float
        ) -> Tensor:
            return denoised - predictions["negative"]

    def double(call: Call, denoised: Tensor, predictions: Mapping[str, Tensor], scale: float) -> Tensor:
        return denoised * 2

    model = MODEL.with_hook("guidance.after", WithNegative(), double)
    found = guided(CFGGuider(model, POSITIVE, NEGATIVE, 1.0))(X, SIGMA)
    torch.testing.assert_close(found, 2 * (estimate(POSITIVE) - estimate(NEGATIVE)), rtol=1e-3, atol=1e-3)
    names = asked(denoiser := hooked(1.0, "guidance.after", double))
    denoiser(X, SIGMA)
    assert names == [("positive",)]


def test_a_hook_can_ask_for_estimates_by_name_or_of_another_text_with_hooks_of_its_own() -> None:
    def louder(place: object, out: Tensor) -> Tensor:
        return out * 2

    more = Hooks().adding("attention.cross.output", louder)
    found: dict[str, Tensor] = {}

    def ask(call: Call, denoised: Tensor, predictions: Mapping[str, Tensor], scale: float) -> Tensor:
        found["named"] = call.estimate("positive")
        found["other"] = call.estimate(OTHER)
        found["hooked"] = call.estimate("positive", hooks=more)
        found["elsewhere"] = call.estimate("positive", x=call.x * 2)
        assert (call.step, call.model.backbone, call.sigma) == (0, MODEL.backbone, SIGMA)
        assert torch.equal(call.schedule, torch.tensor([14.0, 0.0]))
        return denoised

    hooked(1.0, "guidance.after", ask)(X, SIGMA)
    louder_model = MODEL.with_hooks(more)
    expected = {
        "named": estimate(POSITIVE),
        "other": estimate(OTHER),
        "hooked": guided(BasicGuider(louder_model, POSITIVE))(X, SIGMA),
        "elsewhere": guided(BasicGuider(MODEL, POSITIVE))(X * 2, SIGMA),
    }
    for name, tensor in expected.items():
        torch.testing.assert_close(found[name], tensor, rtol=1e-4, atol=1e-4)


def test_guiders_name_what_they_need() -> None:
    def needs(guider: Guider) -> set[str]:
        return set(guider.needs())

    model: Model = MODEL
    assert needs(BasicGuider(model, POSITIVE)) == {"positive"}
    assert needs(CFGGuider(model, POSITIVE, NEGATIVE, 2.0)) == {"positive", "negative"}
    assert needs(DualCFGGuider(model, POSITIVE, OTHER, NEGATIVE)) == {"positive", "middle", "negative"}
    assert needs(PerpNegGuider(model, POSITIVE, NEGATIVE, OTHER)) == {"positive", "negative", "empty"}
