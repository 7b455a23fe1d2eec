"""Texts that change while a picture is made: `[a:b:0.5]`, `[a:0.5]`, `[a::0.5]`, `[a|b]`, and `a AND b :0.7`.

The first goes from a to b at half of the steps (a number from 1 on counts steps), the next two add and remove
a; the fourth takes turns from step to step. `AND` parts texts that steer together, each by its weight.
What is in brackets otherwise stays, and so do escaped ones (`\\[`).
"""

from __future__ import annotations

import math
import re
from typing import NamedTuple

INNERMOST = re.compile(r"\[([^\[\]]*)\]")
HIDDEN = {"\\[": "\x03", "\\]": "\x04"}
KEPT_OPEN, KEPT_CLOSE = "\x05", "\x06"
AND = re.compile(r"\bAND\b")
WEIGHT = re.compile(r"^(.*?)(?::\s*([-+]?(?:\d+\.?|\d*\.\d+))\s*)?$", re.DOTALL)


class Span(NamedTuple):
    """A text and the part of the run it holds for, 0…1."""

    text: str
    start: float
    end: float


def together(text: str) -> list[tuple[str, float]]:
    """The texts that `AND` parts, each with the weight after its last colon (not one in parentheses)."""
    parts = AND.split(text)
    if len(parts) == 1:
        return [(text, 1.0)]
    found = (WEIGHT.match(part.strip()) for part in parts)
    return [
        (each[1].strip(), float(each[2] or 1.0)) for each in found if each is not None and each[1].strip()
    ]


def spans(text: str, steps: int) -> list[Span]:
    """What a text says over a run of `steps`; spans end half a step before the next one's first step."""
    texts = [at_step(text, step, steps) for step in range(steps)]
    starts = [step for step in range(steps) if step == 0 or texts[step] != texts[step - 1]]
    ends = [*starts[1:], steps]
    return [
        Span(
            texts[first], (first - 0.5) / steps if first else 0.0, (end - 0.5) / steps if end < steps else 1.0
        )
        for first, end in zip(starts, ends, strict=True)
    ]


def at_step(text: str, step: int, steps: int) -> str:
    """What a text says at one step, counted from 0."""
    for escaped, hidden in HIDDEN.items():
        text = text.replace(escaped, hidden)
    count = 1
    while count:
        text, count = INNERMOST.subn(lambda found: _chosen(found[1], step, steps), text)
    text = text.replace(KEPT_OPEN, "[").replace(KEPT_CLOSE, "]")
    for escaped, hidden in HIDDEN.items():
        text = text.replace(hidden, escaped)
    return text


def _chosen(inside: str, step: int, steps: int) -> str:
    """What stands for a bracket without brackets in it."""
    turns = _split(inside, "|")
    if len(turns) > 1:
        return turns[step % len(turns)]
    parts = _split(inside, ":")
    when = _step(parts[-1], steps) if len(parts) in (2, 3) else None
    if when is None:
        return KEPT_OPEN + inside + KEPT_CLOSE
    before, after = ("", parts[0]) if len(parts) == 2 else (parts[0], parts[1])
    return before if step < when else after


def _step(text: str, steps: int) -> int | None:
    """The step that a number names: below 1 it is a part of the run."""
    try:
        number = float(text)
    except ValueError:
        return None
    if not 0 <= number < math.inf:
        return None
    return int(number * steps) if number < 1 else min(int(number), steps)


def _split(text: str, mark: str) -> list[str]:
    """`text` cut at each `mark` that is in no parentheses."""
    parts, depth = [""], 0
    for character in text:
        depth = max(0, depth + (character == "(") - (character == ")"))
        if character == mark and depth == 0:
            parts.append("")
        else:
            parts[-1] += character
    return parts
