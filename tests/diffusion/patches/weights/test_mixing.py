"""Models with other weights: factors and mixtures."""

import pytest
import torch

from diffusion.model import Model
from diffusion.networks.unet import UNetSizes
from diffusion.patches.weights.mixing import (
    UnlikeModels,
    attention_factors,
    by_prefix,
    merged,
    mixed,
    times,
    with_more,
)
from diffusion.weights.loading import Patches
from tests.diffusion.small_runs import small_model

OTHER = UNetSizes.even((1,), (1,), blocks=1, channels=32, context=64, heads=2, norm_groups=8)


def weight(model: Model, name: str = "out.2.weight") -> torch.Tensor:
    """A weight as the model uses it."""
    with model.backbone.use(patches=model.weight_patches) as unet:
        return unet.get_parameter(name).clone()


def doubled(model: Model) -> Model:
    """The model with all weights doubled."""
    return model.with_patches({name: (times(2.0),) for name in model.backbone.weights})


def test_only_the_projections_of_the_layer_are_multiplied() -> None:
    names = ["a.attn1.to_q.weight", "a.attn2.to_q.weight", "a.attn1.to_out.0.bias", "a.attn1.norm.weight"]
    patches = attention_factors(names, "attn1", {"to_q": 2.0, "to_out.0": 3.0})
    assert set(patches) == {"a.attn1.to_q.weight", "a.attn1.to_out.0.bias"}
    assert patches["a.attn1.to_out.0.bias"][0](torch.ones(2)).tolist() == [3, 3]


@pytest.mark.parametrize(
    ("ratio", "share", "factor"), [(0.25, None, 1.75), (1.0, None, 1.0), (1.0, 1.0, 3.0), (2.0, -2.0, -2.0)]
)
def test_weights_are_mixed_with_the_patches_of_both(ratio: float, share: float | None, factor: float) -> None:
    model = small_model()
    given = None if share is None else (lambda name: share)
    mixture = merged(model, doubled(model), lambda name: ratio, given)
    torch.testing.assert_close(weight(mixture), weight(model) * factor)


def test_patches_of_the_first_model_come_before_the_mixture() -> None:
    model = small_model()
    mixture = merged(doubled(model), model, lambda name: 0.5)
    torch.testing.assert_close(weight(mixture), weight(model) * 1.5)


def test_models_of_different_kinds_are_not_mixed() -> None:
    with pytest.raises(UnlikeModels, match="same family"):
        merged(small_model(), small_model(OTHER), lambda name: 0.5)
    with pytest.raises(UnlikeModels):
        mixed(small_model().backbone.weights, small_model(OTHER).backbone.weights, lambda name: 0.5)


@pytest.mark.parametrize(
    ("name", "expected"),
    [("input_blocks.0", 0.1), ("input_blocks.10", 0.3), ("out.2.weight", 0.2), ("time_embed.0", 0.1)],
)
def test_the_longest_prefix_decides_and_the_first_where_none_fits(name: str, expected: float) -> None:
    assert by_prefix({"input": 0.1, "out": 0.2, "input_blocks.10": 0.3})(name) == expected


class Text:
    """Enough of a text encoder: patches by tower."""

    def __init__(self, patches: dict[str, Patches]) -> None:
        self.patches = patches

    def with_patches(self, patches: dict[str, Patches]) -> "Text":
        """Other patches."""
        return Text(patches)


def test_more_patches_of_a_text_encoder_follow_those_that_are_there() -> None:
    first, second = times(2.0), times(3.0)
    before = Text({"l": {"a": (first,)}})
    after = with_more(before, {"l": {"a": (second,), "b": (second,)}, "g": {"c": (first,)}})  # type: ignore[arg-type] # enough
    assert after.patches == {"l": {"a": (first, second), "b": (second,)}, "g": {"c": (first,)}}
    assert before.patches == {"l": {"a": (first,)}}
