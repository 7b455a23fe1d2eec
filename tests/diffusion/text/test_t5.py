"""T5's encoders give what `transformers` gives of the same weights."""

import pytest
import torch
from transformers import T5Config, T5EncoderModel, UMT5Config, UMT5EncoderModel

from diffusion.errors import Mismatch
from diffusion.text.t5 import T5, T5Sizes, t5_sizes
from diffusion.text.tower import Reading
from diffusion.weights.loading import build_empty
from diffusion.weights.shapes import Unlike
from tests.diffusion.small_models import as_weights, seeded, weights_of
from tests.diffusion.text.small_encoders import OLD_T5, PILE_T5, T5_XXL

SIZES = [T5_XXL, OLD_T5, PILE_T5]
NUMBERS = torch.tensor([[5, 900, 3, 17, 1, 0, 0], [8, 2, 2, 1, 0, 0, 0]])
MASK = (NUMBERS != 0).long()


def theirs(sizes: T5Sizes, module: T5) -> torch.nn.Module:
    """`transformers`' whole encoder with the same weights."""
    make, model = (UMT5Config, UMT5EncoderModel) if sizes.own_biases else (T5Config, T5EncoderModel)
    config = make(
        vocab_size=sizes.vocabulary,
        d_model=sizes.width,
        d_kv=sizes.head_width,
        d_ff=sizes.inner,
        num_layers=sizes.layers,
        num_heads=sizes.heads,
        feed_forward_proj="gated-gelu" if sizes.gated else "relu",
        dropout_rate=0.0,
    )
    encoder = model(config).eval()
    encoder.load_state_dict({**module.state_dict(), "encoder.embed_tokens.weight": module.shared.weight})
    return encoder  # type: ignore[no-any-return]


@pytest.mark.parametrize("sizes", SIZES, ids=["t5", "old", "pile"])
@pytest.mark.parametrize("mask", [None, MASK], ids=["open", "masked"])
def test_states_equal_those_of_the_library(sizes: T5Sizes, mask: torch.Tensor | None) -> None:
    module = seeded(lambda: T5(sizes))
    reading = Reading(module.embed(NUMBERS), NUMBERS, mask)
    with torch.no_grad():
        wanted = theirs(sizes, module)(NUMBERS, attention_mask=mask, output_hidden_states=True)
        last = module.encode(reading, -1, True, True)
        earlier = module.encode(reading, -3, False, True)
    torch.testing.assert_close(last.hidden, wanted.last_hidden_state)
    torch.testing.assert_close(earlier.hidden, wanted.hidden_states[-3])
    assert last.pooled is None


@pytest.mark.parametrize("sizes", SIZES, ids=["t5", "old", "pile"])
def test_sizes_are_read_off_the_tensors(sizes: T5Sizes) -> None:
    weights = weights_of(seeded(lambda: T5(sizes)))
    assert t5_sizes(weights) == sizes
    build_empty(lambda: T5(sizes), weights)


def test_what_is_no_t5_is_said() -> None:
    with pytest.raises(Unlike, match=r"shared\.weight"):
        t5_sizes(as_weights({"x": torch.zeros(1)}))


def test_pictures_are_refused() -> None:
    with pytest.raises(Mismatch, match="cannot look at pictures"):
        seeded(lambda: T5(T5_XXL)).see(torch.zeros(1, 8, 8, 3))
