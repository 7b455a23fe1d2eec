"""Decoders give what `transformers` gives of the same weights at every layer; pictures take their places."""

from dataclasses import replace
from typing import Any

import pytest
import torch
import transformers

from diffusion.errors import Mismatch
from diffusion.text.decoders import (
    MAKES,
    Decoder,
    DecoderSizes,
    decoder_sizes,
    gemma_names,
    positions,
    qwen_user,
)
from diffusion.text.tower import ALL_LAYERS, Reading, Seen
from diffusion.weights.loading import build_empty
from diffusion.weights.shapes import Unlike
from tests.diffusion.small_models import as_weights, seeded, weights_of
from tests.diffusion.text.small_encoders import DECODERS, VISION

NUMBERS = torch.tensor([[2, 5, 90, 3, 17, 8, 1], [2, 8, 2, 9, 0, 0, 0]])
MASK = (NUMBERS != 0).long()


def theirs(sizes: DecoderSizes, module: Decoder) -> Any:
    """`transformers`' own model with the same weights."""
    make = MAKES[sizes.make]
    names = {
        "qwen2": "Qwen2Model",
        "llama": "LlamaModel",
        "gemma2": "Gemma2Model",
        "gemma3": "Gemma3TextModel",
    }
    every_sixth = ["full_attention" if (n + 1) % 6 == 0 else "sliding_attention" for n in range(sizes.layers)]
    rope: dict[str, Any] = {"rope_type": "default", "rope_theta": make.thetas[0][0]}
    if sizes.make == "gemma3":
        far = {"rope_type": "linear", "factor": make.thetas[1][1], "rope_theta": make.thetas[1][0]}
        rope = {"sliding_attention": rope, "full_attention": far}
    config = getattr(transformers, make.config)(
        vocab_size=sizes.vocabulary,
        hidden_size=sizes.width,
        intermediate_size=sizes.inner,
        num_hidden_layers=sizes.layers,
        num_attention_heads=sizes.heads,
        num_key_value_heads=sizes.groups,
        head_dim=make.head_width,
        rms_norm_eps=make.eps,
        rope_parameters=rope,
        pad_token_id=0,
        layer_types=every_sixth if sizes.make == "gemma3" else ["full_attention"] * sizes.layers,
        **make.options,
    )
    model = getattr(transformers, names[sizes.make])(config).eval()
    model.load_state_dict(module.model.state_dict())
    return model


@pytest.mark.parametrize("sizes", DECODERS.values(), ids=DECODERS)
@pytest.mark.parametrize("mask", [None, MASK], ids=["open", "masked"])
def test_states_equal_those_of_the_library(sizes: DecoderSizes, mask: torch.Tensor | None) -> None:
    module = seeded(lambda: Decoder(sizes))
    reading = Reading(module.embed(NUMBERS), NUMBERS, mask)
    with torch.no_grad():
        wanted = theirs(sizes, module)(NUMBERS, attention_mask=mask, output_hidden_states=True)
        last, earlier, every = (
            module.encode(reading, *how, True) for how in ((-1, True), (-2, False), (0, True))
        )
    shown = torch.ones_like(NUMBERS, dtype=torch.bool) if mask is None else mask.bool()
    torch.testing.assert_close(last.hidden[shown], wanted.last_hidden_state[shown], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(earlier.hidden[shown], wanted.hidden_states[-2][shown], rtol=1e-4, atol=1e-5)
    assert ALL_LAYERS == 0
    stacked = torch.stack(wanted.hidden_states, dim=1).movedim(1, -1)
    torch.testing.assert_close(every.hidden.movedim(1, -1)[shown], stacked[shown], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("sizes", DECODERS.values(), ids=DECODERS)
def test_sizes_are_read_off_the_tensors(sizes: DecoderSizes) -> None:
    weights = weights_of(seeded(lambda: Decoder(sizes)))
    assert decoder_sizes(weights, sizes.make) == sizes
    build_empty(lambda: Decoder(sizes), weights)


def test_what_is_no_decoder_is_said() -> None:
    with pytest.raises(Unlike, match=r"embed_tokens"):
        decoder_sizes(as_weights({"x": torch.zeros(1)}), "llama")


def test_gemmas_norms_are_rounded_where_one_is_added() -> None:
    half = torch.tensor([0.1, 1e-4], dtype=torch.float16)
    weights = gemma_names(
        as_weights({"model.norm.weight": half, "model.x.weight": half, "lm_head.weight": half})
    )
    assert set(weights) == {"model.norm.weight", "model.x.weight"}
    assert weights["model.norm.weight"].dtype == torch.float32
    assert torch.equal(weights.tensor("model.norm.weight"), (half + 1).float() - 1)
    assert torch.equal(weights.tensor("model.x.weight"), half)


def test_a_picture_stands_at_one_time_and_what_follows_counts_on_behind_its_longer_side() -> None:
    numbers = torch.zeros(1, 10, dtype=torch.long)
    places = positions(Reading(torch.zeros(1, 10, 4), numbers, None, (Seen(0, 2, 2, 3),)))[:, 0]
    assert places[0].tolist() == [0, 1, 2, 2, 2, 2, 2, 2, 5, 6]
    assert places[1].tolist() == [0, 1, 2, 2, 2, 3, 3, 3, 5, 6]
    assert places[2].tolist() == [0, 1, 2, 3, 4, 2, 3, 4, 5, 6]


def test_two_pictures_follow_each_other() -> None:
    numbers = torch.zeros(1, 9, dtype=torch.long)
    seen = (Seen(0, 1, 2, 2), Seen(0, 6, 1, 2))
    places = positions(Reading(torch.zeros(1, 9, 4), numbers, None, seen))[:, 0]
    assert places[0].tolist() == [0, 1, 1, 1, 1, 3, 4, 4, 6]
    assert places[2].tolist() == [0, 1, 2, 1, 2, 3, 4, 5, 6]


def test_one_without_a_picture_encoder_cannot_look() -> None:
    with pytest.raises(Mismatch, match="cannot look at pictures"):
        seeded(lambda: Decoder(DECODERS["qwen2"])).see(torch.zeros(1, 56, 56, 3))


def test_one_with_a_picture_encoder_gives_features_of_its_own_width() -> None:
    sizes = replace(DECODERS["qwen2"], vision=VISION)
    features, rows, columns = seeded(lambda: Decoder(sizes)).see(torch.rand(1, 60, 90, 3))
    assert (rows, columns) == (2, 3)
    assert features.shape == (6, sizes.width)


@pytest.mark.parametrize(
    ("numbers", "count"),
    [
        ([], 0),
        ([5, 6], 0),
        ([151644, 5, 151644, 872, 198, 7], 5),
        ([151644, 5, 151644, 9, 198, 7], 2),
        ([151644, 5, 6], 0),
        ([151644, 5, 151644, 872, 198], 2),
        ([151644, 5, 151644, 872, 198, 7, 151644], 5),
    ],
)
def test_a_template_ends_where_the_users_words_begin(numbers: list[int], count: int) -> None:
    assert qwen_user([(number, 1.0) for number in numbers]) == count
