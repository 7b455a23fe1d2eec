"""Files on their way: hidden, locked by who writes them, and swept up when that process is gone.

A name is `.XXXXXXXX.part`, in the folder where the file will be. The lock ends with its process, however that
ends; so a file of such a name that nobody has locked was left behind by a kill.
"""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import IO

try:
    import fcntl
except ImportError:  # Windows, where an open file cannot be removed anyway
    fcntl = None  # type: ignore[assignment]

PREFIX, SUFFIX = ".", ".part"
NAME = re.compile(r"\.[a-z0-9_]{8}\.part")


def claimed(folder: Path) -> tuple[IO[bytes], Path]:
    """A new file on its way to `folder`, open for writing and reading, and locked until it is closed."""
    while True:
        descriptor, name = tempfile.mkstemp(prefix=PREFIX, suffix=SUFFIX, dir=folder)
        if fcntl is not None:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        if os.fstat(descriptor).st_nlink:
            return os.fdopen(descriptor, "w+b"), Path(name)
        os.close(descriptor)  # a sweep came between


def sweep(roots: Iterable[Path]) -> tuple[int, int]:
    """Remove what lies abandoned below `roots`, through no link; how many were, and how many are in use."""
    removed = in_use = 0
    for root in roots:
        for folder, _, names in os.walk(root):
            for name in filter(NAME.fullmatch, names):
                if abandoned(Path(folder, name)):
                    removed += 1
                else:
                    in_use += 1
    return removed, in_use


def abandoned(path: Path) -> bool:
    """Remove a file unless it is in use; whether it is gone."""
    try:
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0))
    except FileNotFoundError:
        return True
    except OSError:  # another's, or a link
        return False
    try:
        if fcntl is not None:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        path.unlink(missing_ok=True)
    except OSError:
        return False
    finally:
        os.close(descriptor)
    return True
