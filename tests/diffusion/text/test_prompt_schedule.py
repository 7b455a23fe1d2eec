"""Texts that change over a run."""

import pytest

from diffusion.text.prompt_schedule import Span, at_step, spans, together


@pytest.mark.parametrize(
    ("text", "first", "last"),
    [
        ("a [cat:dog:0.5] runs", "a cat runs", "a dog runs"),
        ("a [cat:dog:3] runs", "a cat runs", "a dog runs"),
        ("a [big:0.25] cat", "a  cat", "a big cat"),
        ("a [big::0.25] cat", "a big cat", "a  cat"),
        ("[(a:1.2):(b:0.8):.5]", "(a:1.2)", "(b:0.8)"),
        ("[a:[b:c:0.7]:0.3]", "a", "c"),
        ("[a|b]", "a", "b"),
        ("[a|b|c]", "a", "a"),
        ("[word]", "[word]", "[word]"),
        ("[a:b:c]", "[a:b:c]", "[a:b:c]"),
        ("[a:b:c:0.5]", "[a:b:c:0.5]", "[a:b:c:0.5]"),
        ("[a:b:-1]", "[a:b:-1]", "[a:b:-1]"),
        ("[a:b:nan]", "[a:b:nan]", "[a:b:nan]"),
        (r"\[a:b:0.5\]", r"\[a:b:0.5\]", r"\[a:b:0.5\]"),
        ("[a:b:0.5", "[a:b:0.5", "[a:b:0.5"),
        ("[[[a]]]", "[[[a]]]", "[[[a]]]"),
        ("[a:b:99]", "a", "a"),
    ],
)
def test_what_is_said_at_the_first_and_the_last_of_ten_steps(text: str, first: str, last: str) -> None:
    assert (at_step(text, 0, 10), at_step(text, 9, 10)) == (first, last)


def test_a_change_falls_between_two_steps() -> None:
    assert spans("[a:b:0.5]", 4) == [Span("a", 0.0, 0.375), Span("b", 0.375, 1.0)]
    assert spans("x", 7) == [Span("x", 0.0, 1.0)]


def test_turns_are_taken_each_step() -> None:
    assert [each.text for each in spans("[a|b]", 4)] == ["a", "b", "a", "b"]


def test_texts_that_steer_together_have_weights() -> None:
    assert together("a cat AND a (dog:1.3) :0.5 AND x") == [("a cat", 1.0), ("a (dog:1.3)", 0.5), ("x", 1.0)]
    assert together("SAND and band") == [("SAND and band", 1.0)]
    assert together("a cat :2") == [("a cat :2", 1.0)]
    assert together(" AND a") == [("a", 1.0)]
