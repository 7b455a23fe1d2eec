"""Words become embeddings: chunks of 77, weights against the empty text, learned vectors, two towers."""

import logging
from collections.abc import Mapping
from dataclasses import replace

import pytest
import torch

from diffusion.residency.budget import Residency, Resident
from diffusion.residency.precision import Precision
from diffusion.text.clip import ClipText, TextSizes
from diffusion.text.encoding import TextEncoder
from diffusion.text.recipes import STABLE_DIFFUSION, clip_rule
from diffusion.text.tokenizer import Vocabulary
from diffusion.text.tokens import Find, Frame, Token, Tokens, no_embeddings
from diffusion.text.tower import Tower, emphasised
from tests.diffusion.small_models import TEXT, seeded, weights_of

CLIP = Vocabulary.read()
START, END = 49_406, 49_407
LARGE = TextSizes(width=128, layers=2, heads=2, inner=64, activation="gelu", projection=32)


def tower(key: str, sizes: TextSizes, residency: Residency, pad: int = END, **usage: object) -> Tower:
    weights = weights_of(seeded(lambda: ClipText(sizes), len(key) + sizes.width))
    resident = Resident(residency, "text", weights, lambda: ClipText(sizes), (key, sizes))
    rule = replace(clip_rule(-1, True, pad), **usage)  # type: ignore[arg-type]
    return Tower(key, resident, sizes.layers, sizes.width, CLIP, rule)


@pytest.fixture
def residency() -> Residency:
    return Residency(Precision("fp32"), "cpu")


def single(residency: Residency, find: Find = no_embeddings) -> TextEncoder:
    return TextEncoder((tower("l", TEXT, residency),), STABLE_DIFFUSION["l",], find)


def numbers(chunk: list[Token]) -> list[int | torch.Tensor]:
    return [token for token, _ in chunk]


def test_a_text_is_framed_and_padded(residency: Residency) -> None:
    chunks = single(residency).tokenize("a (red:1.5) apple")["l"]
    assert len(chunks) == 1
    assert numbers(chunks[0]) == [START, 320, 736, 3055, END] + [END] * 72
    assert [weight for _, weight in chunks[0][:5]] == [1, 1, 1.5, 1, 1]


def test_padding_is_the_familys(residency: Residency) -> None:
    encoder = TextEncoder((tower("h", LARGE, residency, pad=0),))
    assert numbers(encoder.tokenize("a")["h"][0])[:4] == [START, 320, END, 0]


def test_a_long_stretch_is_cut_and_a_short_one_moves_on() -> None:
    def stretch(count: int) -> list[Token]:
        return [(7, 1.0)] * count

    lengths = {
        (75,): [75],
        (76,): [75, 1],
        (150,): [75, 75],
        (74, 3): [74, 3],
        (70, 8): [75, 3],
        (75, 1): [75, 1],
        (): [0],
    }
    for given, filled in lengths.items():
        chunks = Frame(START, END, 0, 77, 77).chunks([stretch(count) for count in given])
        assert [numbers(chunk).count(7) for chunk in chunks] == filled, given
        assert all(len(chunk) == 77 and chunk[0][0] == START for chunk in chunks)
        assert all(numbers(chunk).count(END) == 1 for chunk in chunks)


def test_every_chunk_adds_its_vectors_and_the_first_gives_the_pooled(residency: Residency) -> None:
    encoder = single(residency)
    short, long = encoder.text("cat"), encoder.text("cat " * 100)
    assert short.cond.shape == (1, 77, 64)
    assert long.cond.shape == (1, 154, 64)
    tokens = encoder.tokenize("cat " * 100)
    first = encoder.encode({"l": tokens["l"][:1]})
    assert torch.allclose(long.cond[:, :77], first.cond, atol=1e-5)
    assert long.pooled is not None
    assert first.pooled is not None
    assert torch.allclose(long.pooled, first.pooled, atol=1e-5)


def test_a_weight_moves_a_vector_away_from_the_empty_text(residency: Residency) -> None:
    encoder = single(residency)
    plain, strong, empty = (encoder.text(text).cond for text in ("a cat", "a (cat:1.5)", ""))
    assert torch.allclose(strong[:, 2], empty[:, 2] + 1.5 * (plain[:, 2] - empty[:, 2]), atol=1e-5)
    others = [position for position in range(77) if position != 2]
    assert torch.allclose(strong[:, others], plain[:, others], atol=1e-5)


def test_a_weight_of_one_is_exactly_nothing() -> None:
    cond, empty = torch.randn(1, 3, 4), torch.randn(3, 4)
    assert torch.equal(emphasised(cond, empty, torch.ones(1, 3, 1)), cond)


def test_clip_skip_takes_an_earlier_layer_and_leaves_the_encoder_alone(residency: Residency) -> None:
    encoder = single(residency)
    last, skipped = encoder.text("a cat"), encoder.with_last_layer(-2).text("a cat")
    assert not torch.allclose(last.cond, skipped.cond)
    assert torch.equal(encoder.with_last_layer(-1).text("a cat").cond, last.cond)
    assert torch.equal(encoder.with_last_layer(-20).text("a cat").cond, last.cond), "deeper than the model"
    assert torch.equal(encoder.text("a cat").cond, last.cond)


def test_a_layer_that_a_tower_does_not_have_is_its_last_one_normed(residency: Residency) -> None:
    encoder = TextEncoder((tower("l", TEXT, residency, layer=-2, normed=False),))
    normed = single(residency).text("a cat").cond
    assert torch.equal(encoder.with_last_layer(-4).text("a cat").cond, normed)
    assert not torch.allclose(encoder.with_last_layer(-1).text("a cat").cond, normed)
    assert not torch.allclose(encoder.with_last_layer(-3).text("a cat").cond, normed)


def both(residency: Residency) -> TextEncoder:
    small = tower("l", TEXT, residency, layer=-2, normed=False)
    large = tower("g", LARGE, residency, layer=-2, normed=False, pad=0)
    return TextEncoder((small, large), STABLE_DIFFUSION["l", "g"])


def test_two_towers_lie_side_by_side_and_the_second_gives_the_pooled(residency: Residency) -> None:
    encoder = both(residency)
    embedding = encoder.text("a cat")
    assert embedding.cond.shape == (1, 77, 64 + 128)
    assert embedding.pooled is not None
    assert embedding.pooled.shape == (1, 32)
    alone = TextEncoder(encoder.towers[1:]).text("a cat")
    assert torch.equal(embedding.cond[..., 64:], alone.cond)


def test_each_tower_may_be_given_its_own_text(residency: Residency) -> None:
    encoder = both(residency)
    tokens = encoder.tokenize("a cat")
    tokens["l"] = encoder.tokenize("a dog " * 60)["l"]
    embedding = encoder.encode(tokens)
    assert embedding.cond.shape == (1, 77, 192), "as far as both reach"
    assert torch.equal(embedding.cond[..., 64:], encoder.text("a cat").cond[..., 64:])


VECTORS: Mapping[str, Mapping[str, torch.Tensor]] = {
    "style": {"": torch.randn(3, 64)},
    "both": {"clip_l": torch.randn(1, 64), "clip_g": torch.randn(2, 128)},
    "wide": {"": torch.randn(1, 999)},
}


def test_learned_vectors_take_their_place_in_the_text(residency: Residency) -> None:
    encoder = single(residency, VECTORS.get)
    chunk = encoder.tokenize("a embedding:style, (embedding:style:1.2) b")["l"][0]
    kinds = ["v" if isinstance(token, torch.Tensor) else token for token, _ in chunk[:11]]
    assert kinds == [START, 320, "v", "v", "v", 267, "v", "v", "v", 321, END]
    assert [weight for _, weight in chunk[6:9]] == [1.2] * 3
    with_vector, without = encoder.text("a embedding:style"), encoder.text("a")
    assert not torch.allclose(with_vector.cond, without.cond)


def test_an_embedding_may_hold_vectors_for_each_tower(residency: Residency) -> None:
    tokens = replace(both(residency), find=VECTORS.get).tokenize("embedding:both")
    assert sum(isinstance(token, torch.Tensor) for token, _ in tokens["l"][0]) == 1
    assert sum(isinstance(token, torch.Tensor) for token, _ in tokens["g"][0]) == 2


def test_an_unknown_or_unfitting_embedding_is_ignored_and_said(
    residency: Residency, caplog: pytest.LogCaptureFixture
) -> None:
    encoder = single(residency, VECTORS.get)
    with caplog.at_level(logging.WARNING):
        assert encoder.tokenize("a embedding:nobody b") == encoder.tokenize("a b")
        assert encoder.tokenize("a embedding:nobody, b") == encoder.tokenize("a , b")
        assert encoder.tokenize("a embedding:wide") == encoder.tokenize("a")
    assert "no embedding 'nobody'" in caplog.text
    assert "'wide' has vectors of width 999" in caplog.text


def test_patches_reach_the_tower_they_name(residency: Residency) -> None:
    encoder = both(residency)
    name = "text_model.encoder.layers.0.mlp.fc1.weight"
    patched = encoder.with_patches({"g": {name: (lambda weight: weight * 2,)}})
    plain, changed = encoder.text("a cat").cond, patched.text("a cat").cond
    assert torch.equal(plain[..., :64], changed[..., :64])
    assert not torch.allclose(plain[..., 64:], changed[..., 64:])
    assert torch.equal(encoder.text("a cat").cond, plain)


def test_a_comma_behind_an_embeddings_name_is_text(residency: Residency) -> None:
    clip = replace(
        single(residency), find={"glow": {"": torch.ones(2, 64)}, "a,b": {"": torch.ones(1, 64)}}.get
    )
    wanted = clip.tokenize("an apple embedding:glow , dog")
    for text in (
        "an apple embedding:glow,dog",
        "an apple embedding:glow, dog",
        "an apple,embedding:glow,dog",
    ):
        found = clip.tokenize(text)
        assert [type(token) for token, _ in found["l"][0]].count(torch.Tensor) == 2, text
        if "apple embedding" in text:
            assert shapes(found) == shapes(wanted), text
    assert [type(token) for token, _ in clip.tokenize("embedding:a,b")["l"][0]].count(torch.Tensor) == 1


def shapes(tokens: Tokens) -> list[object]:
    """Token numbers, and the sizes of learned vectors."""
    return [
        tuple(token.shape) if isinstance(token, torch.Tensor) else token
        for chunk in tokens["l"]
        for token, _ in chunk
    ]


def test_who_asks_is_told_of_what_is_left_out(residency: Residency) -> None:
    told: list[str] = []
    clip = single(residency).telling(told.append)
    assert shapes(clip.tokenize("a embedding:nobody,dog")) == shapes(clip.tokenize("a ,dog"))
    assert told == ["There is no embedding 'nobody', so the text goes without it; see models/embeddings."]
