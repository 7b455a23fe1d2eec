"""Names of tensors rewritten by rules."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

Rule = tuple[str, str]  # a regular expression, and what stands there instead


def ruled(name: str, rules: Sequence[Rule]) -> str:
    """A name after every rule, one after the other."""
    for pattern, replacement in rules:
        name = re.sub(pattern, replacement, name)
    return name


def numbers_behind(names: Mapping[str, object], prefix: str) -> set[int]:
    """The numbers that follow a prefix in some name."""
    cut = len(prefix)
    return {int(name[cut:].partition(".")[0]) for name in names if name.startswith(prefix)}
