"""Texts and single values, called as functions."""

from typing import Any

import pytest

from nodes.logic import primitive
from nodes.text import strings

CASES: list[tuple[Any, Any]] = [
    (strings.concatenate("a", "b", "-"), "a-b"),
    (strings.substring("nodeloom", 4, 8), "loom"),
    (strings.substring("nodeloom", -4, -1), "loo"),
    (strings.length("größe"), 5),
    (strings.convert_case("one two", "UPPERCASE"), "ONE TWO"),
    (strings.convert_case("One Two", "lowercase"), "one two"),
    (strings.convert_case("one TWO", "Capitalize"), "One two"),
    (strings.convert_case("one two", "Title Case"), "One Two"),
    (strings.trim("  x ", "Both"), "x"),
    (strings.trim("  x ", "Left"), "x "),
    (strings.trim("  x ", "Right"), "  x"),
    (strings.replace("a.a", ".", "-"), "a-a"),
    (strings.contains("Loom", "loom"), False),
    (strings.contains("Loom", "loom", False), True),
    (strings.compare("loom", "lo", "Starts With"), True),
    (strings.compare("loom", "OM", "Ends With"), False),
    (strings.compare("loom", "OM", "Ends With", False), True),
    (strings.compare("loom", "loom", "Equal"), True),
    (strings.regex_match("a1", r"[A-Z]\d"), True),
    (strings.regex_match("a1", r"[A-Z]\d", case_insensitive=False), False),
    (strings.regex_match("x\ny", "^y", multiline=True), True),
    (strings.regex_match("x\ny", "x.y", dotall=True), True),
    (strings.regex_extract("k1 k2", r"k(\d)", "First Match"), "k1"),
    (strings.regex_extract("k1 k2", r"k(\d)", "All Matches"), "k1\nk2"),
    (strings.regex_extract("k1 k2", r"k(\d)", "First Group"), "1"),
    (strings.regex_extract("k1 k2", r"k(\d)", "All Groups"), "1\n2"),
    (strings.regex_extract("k1 k2", r"k(\d)", "All Groups", group_index=5), ""),
    (strings.regex_extract("k1", "z", "First Match"), ""),
    (strings.regex_extract("ab", "(x)?b", "First Group"), ""),
    (strings.regex_replace("k1 k2", r"k(\d)", r"\1"), "1 2"),
    (strings.regex_replace("k1 k2", "k", "", count=1), "1 k2"),
    (primitive.string("x"), "x"),
    (primitive.string_multiline("x\ny"), "x\ny"),
    (primitive.integer(-3), -3),
    (primitive.real(0.5), 0.5),
    (primitive.boolean(True), True),
]


def test_each_node_gives_what_it_says() -> None:
    for number, (result, expected) in enumerate(CASES):
        assert result == expected, f"case {number}"


def test_a_broken_pattern_is_named() -> None:
    with pytest.raises(ValueError, match=r"'regex_pattern' is not a regular expression: .*check '\('"):
        strings.regex_match("x", "(")
