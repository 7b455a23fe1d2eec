"""`%date:…%` and `%Node.widget%` in names of files, as the editor fills them in before a prompt is sent."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

WRITERS = frozenset(
    {"SaveImage", "SaveVideo", "SaveAnimatedWEBP", "SaveWEBM", "SaveAudio", "SaveGLB", "SaveAnimatedPNG"}
    | {"CLIPSave", "VAESave", "ModelSave", "LoraSave", "SaveLatent"}
)
"""Node types whose `filename_prefix` the editor fills in."""
MARK = re.compile(r"%([^%]+)%")
DATE = re.compile(r"d{1,2}|M{1,2}|h{1,2}|m{1,2}|s{1,2}|yyyy|yy")
UNFIT = re.compile(r'[/?<>\\:*|"\x00-\x1f\x7f]')
Lookup = Callable[[str, str], Any]


def writes_files(node: Mapping[str, Any]) -> bool:
    """Whether the editor fills in this node's file name."""
    return node.get("type") in WRITERS


def with_names_replaced(text: str, now: datetime, lookup: Lookup) -> str:
    """The text with dates and values filled in; `lookup` gives the value of a node's widget, or None."""

    def filled(match: re.Match[str]) -> str:
        mark = match[1]
        if mark.startswith("date:"):
            return dated(mark.removeprefix("date:"), now)
        parts = mark.split(".")
        value = lookup(parts[0], parts[1]) if len(parts) == 2 and parts[1] else None
        return match[0] if value is None else UNFIT.sub("_", spelt(value))

    return MARK.sub(filled, text)


def dated(pattern: str, now: datetime) -> str:
    """A date in the pattern's words: `d dd M MM h hh m mm s ss yy yyyy`."""
    parts = {"d": now.day, "M": now.month, "h": now.hour, "m": now.minute, "s": now.second}

    def part(match: re.Match[str]) -> str:
        word = match[0]
        if word[0] == "y":
            return str(now.year) if len(word) == 4 else str(now.year)[2:]
        return str(parts[word[0]]).rjust(len(word), "0")

    return DATE.sub(part, pattern)


def spelt(value: Any) -> str:
    """A value as the editor spells it: whole floats without a point, words for yes and no in lower case."""
    if value is None or isinstance(value, bool):
        return "" if value is None else str(value).lower()
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)
