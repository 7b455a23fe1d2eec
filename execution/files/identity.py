"""What tells that a file is still the same: more than its size and time, which copies and archives keep."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import IO, NamedTuple

END_BYTES = 64 * 1024
"""How much is read of a file's start and of its end; of a file up to twice that it is all."""


class Stamp(NamedTuple):
    """The state of a file: its path, size, times of change (of the content; of the entry), and its ends."""

    path: str
    size: int
    changed: int
    touched: int
    inode: int
    ends: str


class Trace(NamedTuple):
    """What a look at a folder says of a file: enough to tell that nobody replaced what was just written."""

    size: int
    changed: int
    inode: int


def stamp_of(path: Path) -> Stamp:
    """The state of a file.

    Raises:
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        status = os.fstat(file.fileno())
        ends = _ends(file, status.st_size)
    times = status.st_mtime_ns, status.st_ctime_ns
    return Stamp(str(path), status.st_size, *times, status.st_ino, ends)


def trace_of(path: Path) -> Trace | None:
    """The trace of a file; None when there is none."""
    try:
        status = path.stat()
    except OSError:
        return None
    return Trace(status.st_size, status.st_mtime_ns, status.st_ino)


def _ends(file: IO[bytes], size: int) -> str:
    digest = hashlib.blake2b(file.read(END_BYTES), digest_size=16)
    if size > END_BYTES:
        file.seek(max(END_BYTES, size - END_BYTES))
        digest.update(file.read(END_BYTES))
    return digest.hexdigest()
