"""Texts with alternatives, `{a|b}`, of which one is chosen before a prompt is sent."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

Choose = Callable[[Sequence[str]], str]
COMMENT = re.compile(r"/\*.*?\*/|//[^\n]*", re.DOTALL)
ESCAPED = "{}|\\"


def with_choices_made(text: str, choose: Choose) -> str:
    r"""A text with every `{a|b}` replaced by one of its alternatives, and without comments.

    Braces nest; one that is never closed counts as closed by the end.
    `\{`, `\}` and `\|` stand for themselves.
    """
    source = COMMENT.sub("", text)
    open_braces: list[list[str]] = [[""]]
    at = 0
    while at < len(source):
        at += _read(source, at, open_braces, choose)
    while len(open_braces) > 1:
        _close(open_braces, choose)
    return open_braces[0][0]


def _read(source: str, at: int, open_braces: list[list[str]], choose: Choose) -> int:
    """Take one letter, or an escaped one, into the choice being read; gives how many were read."""
    letter, inner = source[at], open_braces[-1]
    following = source[at + 1 : at + 2]
    if letter == "\\" and following and following in ESCAPED:
        inner[-1] += "\\\\" if following == "\\" else following
        return 2
    if letter == "{":
        open_braces.append([""])
    elif letter == "}" and len(open_braces) > 1:
        _close(open_braces, choose)
    elif letter == "|" and len(open_braces) > 1:
        inner.append("")
    else:
        inner[-1] += letter
    return 1


def _close(open_braces: list[list[str]], choose: Choose) -> None:
    choices = open_braces.pop()
    open_braces[-1][-1] += choose(choices)
