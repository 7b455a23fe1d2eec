"""A text tower's sizes are read off shapes, and what shapes hide off the metadata."""

import pytest
import torch

from diffusion.text.clip import ClipText, TextSizes
from diffusion.text.clip_sizes import text_sizes
from diffusion.weights.shapes import Unlike
from tests.diffusion.small_models import as_weights

TEXTS = (
    TextSizes(),
    TextSizes(width=128, layers=2, heads=2, inner=512),
    TextSizes(width=1280, layers=4, heads=20, inner=5120, activation="gelu", projection=1280),
)


@pytest.mark.parametrize("sizes", TEXTS)
def test_any_text_tower_of_the_family_is_recognised(sizes: TextSizes) -> None:
    with torch.device("meta"):
        assert text_sizes(as_weights(ClipText(sizes).state_dict())) == sizes


def test_the_metadata_tells_what_shapes_do_not() -> None:
    with torch.device("meta"):
        text = ClipText(TextSizes(width=64, layers=1, heads=1, inner=64)).state_dict()
    metadata = {"nodeloom.text.heads": "2", "nodeloom.text.activation": "gelu"}
    assert (
        text_sizes(as_weights(text, metadata)).heads,
        text_sizes(as_weights(text, metadata)).activation,
    ) == (2, "gelu")


def test_what_is_missing_is_named() -> None:
    with pytest.raises(Unlike, match="token_embedding"):
        text_sizes(as_weights({}))
