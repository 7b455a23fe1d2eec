"""Models that are cut into several files, `NAME-00001-of-00003.safetensors` and so on, shown once."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from pathlib import Path

from execution.files.identity import Stamp, stamp_of

SHARD = re.compile(r"(?P<stem>.+)-(?P<number>\d{5})-of-(?P<count>\d{5})(?P<suffix>\.\w+)")


def first_of(name: str) -> str:
    """The name of the first file of the model that a file belongs to; its own where the model is one file."""
    shard = SHARD.fullmatch(name)
    return f"{shard['stem']}-00001-of-{shard['count']}{shard['suffix']}" if shard else name


def shown_once(names: Iterable[str]) -> list[str]:
    """Names without the further files of models whose first is among them."""
    names = set(names)
    return sorted(name for name in names if name == first_of(name) or first_of(name) not in names)


def stamp_of_all(path: Path) -> Stamp:
    """The state of a file and of those that belong to its model.

    Raises:
        OSError: it cannot be read.
    """
    stamp, shard = stamp_of(path), SHARD.fullmatch(path.name)
    if shard is None:
        return stamp
    beside = sorted(each for each in path.parent.iterdir() if first_of(each.name) == first_of(path.name))
    every = [stamp_of(each) for each in beside]
    ends = hashlib.blake2b(repr(every).encode(), digest_size=16).hexdigest()
    return stamp._replace(size=sum(each.size for each in every), ends=ends)
