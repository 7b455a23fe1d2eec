"""The little language of prompts: weights by parentheses, escapes, and embeddings by name.

`(word:1.2)` sets a weight, `(word)` multiplies the weight around it by 1.1, `\\(` and `\\)` are plain
parentheses. Square brackets mean nothing. `embedding:name` at the start of a piece, or after a space, a comma
or a semicolon, stands for learned vectors.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from typing import NamedTuple

EMPHASIS = 1.1
MAX_DEPTH = 256
EMBEDDING = "embedding:"
MOST_NAMES = 16
"""Names that are looked for behind one `embedding:`."""
OPEN, CLOSE = "\x01", "\x02"  # escaped parentheses while groups are being found


class Piece(NamedTuple):
    """A stretch of text with one weight."""

    text: str
    weight: float


class Mention(NamedTuple):
    """A named embedding, and the text that followed it in the same stretch."""

    name: str
    rest: str


def weighted(text: str) -> list[Piece]:
    """The pieces of a prompt with their weights; what is not well formed stays text."""
    hidden = text.replace("\\(", OPEN).replace("\\)", CLOSE)
    pieces: list[Piece] = []
    pending = [(hidden, 1.0, 0)]
    while pending:
        stretch, weight, depth = pending.pop()
        found = [_opened(group, weight, depth) for group in groups(stretch)]
        if all(level == depth for _, _, level in found):
            pieces += [Piece(_plain(inner), weight) for inner, _, _ in found]
        else:
            pending += reversed(found)
    return pieces


def groups(text: str) -> Iterator[str]:
    """The text cut where parentheses open at, or return to, the outermost level."""
    start = level = 0
    for sign in re.finditer(r"[()]", text):
        position = sign.start()
        if sign[0] == "(":
            if level == 0 and position > start:
                yield text[start:position]
                start = position
            level += 1
        else:
            level -= 1
            if level == 0:
                yield text[start : position + 1]
                start = position + 1
    if start < len(text):
        yield text[start:]


def mentions(text: str) -> list[str | Mention]:
    """A piece's text cut before each `embedding:`, with the names taken out."""
    first, *others = re.split(rf"(?:[ \n]|(?<=[,;])){EMBEDDING}", text)
    if first.startswith(EMBEDDING):
        return [_mention(part) for part in (first.removeprefix(EMBEDDING), *others)]
    return [*([first] if first else []), *map(_mention, others)]


def possible_names(written: str) -> list[str]:
    """The names that a mention may mean, longest first: signs behind a name need not belong to it.

    `glow,dog` may be `glow,dog` or `glow` with a text behind it.
    """
    ends = [sign.start() for sign in re.finditer(r"(?<=[^,;.!?|\[\]{}\"'])[,;.!?|\[\]{}\"']", written)]
    return [written, *(written[:end] for end in reversed(ends[:MOST_NAMES]))]


def probable_name(written: str) -> str:
    """The name that a mention most likely means, where none of the possible ones is there."""
    return re.split(r"[,;|]", written)[0].rstrip(".!?") or written


def _opened(group: str, weight: float, depth: int) -> tuple[str, float, int]:
    """A parenthesised group without its parentheses and with its weight; anything else as it is."""
    if depth >= MAX_DEPTH or len(group) < 2 or group[0] != "(" or group[-1] != ")":
        return group, weight, depth
    inner, colon, number = group[1:-1].rpartition(":")
    stated = _number(number) if inner else None
    if stated is not None:
        return inner, stated, depth + 1
    return inner + colon + number, weight * EMPHASIS, depth + 1


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def unescaped(text: str) -> str:
    """A text whose escaped parentheses are plain ones."""
    return text.replace("\\(", "(").replace("\\)", ")")


def _plain(text: str) -> str:
    return text.replace(OPEN, "(").replace(CLOSE, ")")


def _mention(text: str) -> Mention:
    name, *rest = text.split() or [""]
    return Mention(name, " ".join(rest))
