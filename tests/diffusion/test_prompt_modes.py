"""Four readings of weights, on a small text encoder of two towers."""

from typing import Any

import pytest
import torch

from diffusion.precision import Precision
from diffusion.prompt_modes import WAYS, Mode, bracketed, encode, tokens_of
from diffusion.prompt_syntax import Piece
from diffusion.residency import Residency
from diffusion.text import TextEncoder
from tests.diffusion.test_text import CLIP, LARGE, TEXT, tower

MODES: tuple[Mode, ...] = ("comfy", "a1111", "compel", "down_weight")


@pytest.fixture
def clip() -> TextEncoder:
    """A text encoder of two towers."""
    residency = Residency(Precision("fp32"), "cpu")
    return TextEncoder((tower("l", TEXT, residency), tower("g", LARGE, residency, padding=0)), CLIP)


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


def test_below_one_words_are_blended_with_their_absence(clip: TextEncoder) -> None:
    whole, without = clip.text("a red").cond, clip.text("a ").cond
    half = encode(clip, "a ( red:0.5)", "compel").cond  # tan(45°) is one: as much of either
    torch.testing.assert_close(half, (whole + without) / 2, atol=1e-5, rtol=1e-4)
    nothing = encode(clip, "a ( red:0)", "compel").cond
    torch.testing.assert_close(nothing, without, atol=2e-3, rtol=1e-2)


def test_the_fourth_mode_divides_by_the_greatest(clip: TextEncoder) -> None:
    found = encode(clip, "(a:2)( red:1)", "down_weight").cond
    torch.testing.assert_close(found, encode(clip, "a( red:0.5)", "compel").cond)
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
