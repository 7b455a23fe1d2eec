"""Alternatives in texts: nested, escaped, never closed, beside comments."""

from collections.abc import Sequence

import pytest

from workflows.dynamic_text import with_choices_made


def last(choices: Sequence[str]) -> str:
    return choices[-1]


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("a {b|c} d", "a c d"),
        ("{a|{b|c}!}", "c!"),
        ("{a|b", "b"),
        ("a|b}", "a|b}"),
        (r"\{a\|b\}", "{a|b}"),
        (r"a\\b", r"a\\b"),
        (r"a\b", r"a\b"),
        ("{}", ""),
        ("a /* {b|c} */d // e\nf", "a d \nf"),
    ],
)
def test_a_choice_is_made_in_each_pair_of_braces(text: str, meant: str) -> None:
    assert with_choices_made(text, last) == meant


def test_inner_choices_are_made_first_and_all_alternatives_are_offered() -> None:
    asked: list[Sequence[str]] = []

    def first(choices: Sequence[str]) -> str:
        asked.append(list(choices))
        return choices[0]

    assert with_choices_made("{a {b|c}|d|}", first) == "a b"
    assert asked == [["b", "c"], ["a b", "d", ""]]
