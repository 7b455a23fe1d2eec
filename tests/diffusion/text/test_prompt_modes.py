"""Four readings of weights, on a small text encoder of two towers."""

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from compel import DownweightMode, EmbeddingsProvider

from diffusion.residency.budget import Residency
from diffusion.residency.precision import Precision
from diffusion.text.encoding import TextEncoder
from diffusion.text.prompt_modes import WAYS, Mode, bracketed, encode, tokens_of
from diffusion.text.prompt_syntax import Piece
from diffusion.text.tower import Tower
from tests.diffusion.text.test_encoding import CLIP, LARGE, TEXT, tower

MODES: tuple[Mode, ...] = ("comfy", "a1111", "compel", "down_weight")


@pytest.fixture
def clip() -> TextEncoder:
    """A text encoder of two towers."""
    residency = Residency(Precision("fp32"), "cpu")
    return TextEncoder((tower("l", TEXT, residency), tower("g", LARGE, residency, pad=0)))


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("a (b) c", [("a ", 1), ("b", 1.1), (" c", 1)]),
        ("[a]", [("a", 1 / 1.1)]),
        ("((a) b:2)", [("a", 2.2), (" b", 2)]),
        ("(a", [("a", 1.1)]),
        ("a)", [("a)", 1)]),
        (r"\(a\) \[b\]", [("(a) [b]", 1)]),
        ("a: b", [("a: b", 1)]),
        ("[a:0.5)]", [("a:0.5)", 1 / 1.1)]),
        ("", []),
    ],
)
def test_brackets_as_the_other_program_reads_them(text: str, wanted: list[Any]) -> None:
    found = bracketed(text)
    assert [each.text for each in found] == [text for text, _ in wanted]
    assert [each.weight for each in found] == pytest.approx([weight for _, weight in wanted])


@pytest.mark.parametrize("mode", MODES)
def test_without_weights_all_modes_say_the_same(clip: TextEncoder, mode: Mode) -> None:
    found = encode(clip, "a red apple", mode)
    torch.testing.assert_close(found.cond, clip.text("a red apple").cond)
    assert encode(clip, "", mode).cond.shape[1] == 77


def test_the_first_mode_is_the_references(clip: TextEncoder) -> None:
    torch.testing.assert_close(
        encode(clip, "a (red:1.5) [apple]", "comfy").cond,
        clip.text("a (red:1.5) [apple]").cond,
        atol=0,
        rtol=0,
    )


def test_multiplied_vectors_keep_the_mean_of_each_chunk_and_tower(clip: TextEncoder) -> None:
    plain, found = clip.text("a red apple").cond, encode(clip, "a (red:2) apple", "a1111").cond
    width = clip.towers[0].width
    for part in (slice(0, width), slice(width, None)):
        torch.testing.assert_close(found[..., part].mean(), plain[..., part].mean(), atol=1e-5, rtol=1e-3)
        ratio = found[..., part] / plain[..., part]
        torch.testing.assert_close(
            ratio[:, 2] / ratio[:, 1], torch.full_like(ratio[:, 2], 2), atol=1e-3, rtol=1e-3
        )
        torch.testing.assert_close(ratio[:, 3], ratio[:, 1], atol=1e-3, rtol=1e-3)


def test_above_one_the_third_mode_is_the_first(clip: TextEncoder) -> None:
    text = "a (red:1.5) apple"
    torch.testing.assert_close(encode(clip, text, "compel").cond, encode(clip, text, "comfy").cond)


class AsCompelWantsIt:
    """One tower and the vocabulary, called as transformers' are."""

    device, dtype = "cpu", torch.float32
    bos_token_id, eos_token_id, model_max_length = CLIP.start, CLIP.end, 77

    def __init__(self, tower: Tower) -> None:
        self.tower, self.pad_token_id = tower, tower.rule.frame.pad

    def __call__(self, first: Any, mask: Any = None, **options: Any) -> Any:
        """The numbers of texts, or the vectors of numbers."""
        if isinstance(first, list):
            return {"input_ids": [CLIP.encode(text) for text in first]}
        assert mask is None or bool(mask.all())
        with self.tower.resident.use() as module, torch.no_grad():
            return SimpleNamespace(last_hidden_state=module(first.long()).hidden)


@pytest.mark.parametrize(
    "pieces",
    [
        [("a red apple", 1.0)],
        [("a", 1.0), ("red", 1.4), ("apple", 1.0)],
        [("a", 1.0), ("red", 0.6), ("apple", 1.0)],
        [("a", 0.3), ("red", 1.5), ("apple", 0.8)],
        [("a", 1.0), ("red", 0.0), ("apple", 1.0)],
    ],
)
@pytest.mark.parametrize("tower_number", [0, 1])
def test_the_third_mode_equals_compel(
    clip: TextEncoder, pieces: list[tuple[str, float]], tower_number: int
) -> None:
    ours = WAYS["compel"](clip, [Piece(*each) for each in pieces], lambda: None).cond
    start = sum(each.width for each in clip.towers[:tower_number])
    tower = clip.towers[tower_number]
    seat: Any = AsCompelWantsIt(tower)
    provider = EmbeddingsProvider(seat, seat, downweight_mode=DownweightMode.REMOVE)
    texts, weights = zip(*pieces, strict=True)
    theirs = provider.get_embeddings_for_weighted_prompt_fragments([list(texts)], [list(weights)])
    torch.testing.assert_close(ours[..., start : start + tower.width], theirs, rtol=1e-3, atol=1e-4)


def test_below_one_words_are_blended_with_their_absence(clip: TextEncoder) -> None:
    weighted, without = encode(clip, "a ( red:0.5)", "comfy").cond, clip.text("a ").cond
    half = encode(clip, "a ( red:0.5)", "compel").cond  # tan(45°) is one: as much of either
    torch.testing.assert_close(half, (weighted + without) / 2, atol=1e-5, rtol=1e-4)
    nothing = encode(clip, "a ( red:0)", "compel").cond
    torch.testing.assert_close(nothing, without, atol=2e-3, rtol=1e-2)


def test_the_fourth_mode_divides_by_the_greatest_and_blends_the_plain_text(clip: TextEncoder) -> None:
    whole, without = clip.text("a red").cond, clip.text("a").cond
    found = encode(clip, "(a:2)( red:1)", "down_weight").cond
    torch.testing.assert_close(found, (whole + without) / 2, atol=1e-5, rtol=1e-4)
    alike = encode(clip, "(a:1)( red:0.5)", "down_weight").cond
    torch.testing.assert_close(found, alike)
    assert encode(clip, "(a:-1)", "down_weight").cond.isfinite().all()


def test_words_taken_out_may_leave_fewer_chunks(clip: TextEncoder) -> None:
    long = "apple " * 80
    assert encode(clip, f"a ({long}:0.5)", "compel").cond.shape[1] == 154


@pytest.mark.parametrize("mode", MODES)
def test_a_break_begins_a_new_chunk(clip: TextEncoder, mode: Mode) -> None:
    found = encode(clip, "a red BREAK apple", mode).cond
    first, second = clip.text("a red").cond, clip.text("apple").cond
    torch.testing.assert_close(found, torch.cat([first, second], dim=1))
    assert list(WAYS) == list(MODES)
    chunks = tokens_of(clip, [Piece("a BREAK b", 1.2)])["l"]
    assert [chunk[1][1] for chunk in chunks] == [1.2, 1.2]
    assert len(tokens_of(clip, [Piece("aBREAKb", 1.0)])["l"]) == 1
