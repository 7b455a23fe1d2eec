"""Writing files that are whole or not there, and numbering them without reading the folder each time."""

from __future__ import annotations

import os
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from execution.files.partial import claimed


@dataclass(frozen=True)
class SavePlace:
    """Where files go: `folder / "stem_00001_.png"`; `subfolder` is relative to the root, with `/`."""

    folder: Path
    stem: str
    counter: int
    subfolder: str

    def name(self, suffix: str, offset: int = 0) -> str:
        """The file name for the `offset`th reserved number, `suffix` with its dot."""
        return f"{self.stem}_{self.counter + offset:05}_{suffix}"

    def path(self, suffix: str, offset: int = 0) -> Path:
        """The whole path for the `offset`th reserved number."""
        return self.folder / self.name(suffix, offset)


class Counters:
    """The next free number of each file prefix; a folder is read once, then remembered. Thread-safe."""

    def __init__(self) -> None:
        """Know nothing yet."""
        self._lock = threading.Lock()
        self._next: dict[tuple[Path, str], int] = {}

    def reserve(self, folder: Path, stem: str, count: int = 1, fresh: bool = False) -> int:
        """Take `count` numbers, give the first; `fresh` reads the folder, for writers who do not reserve."""
        with self._lock:
            known = self._next.get((folder, stem))
            if known is None or fresh or not folder.is_dir():
                known = max(known or 1, highest_number(folder, stem) + 1)
            self._next[folder, stem] = known + count
            return known


def highest_number(folder: Path, stem: str) -> int:
    """The highest number N among files `stem_N_…` or `stem_N.…`; 0 when there is none."""
    pattern = re.compile(re.escape(stem) + r"_(\d+)(?:[_.]|$)", re.IGNORECASE if os.name == "nt" else 0)
    try:
        found = (pattern.match(name) for name in os.listdir(folder))
        return max((int(each.group(1)) for each in found if each), default=0)
    except FileNotFoundError:
        return 0


def filled_in(prefix: str, width: int = 0, height: int = 0, now: time.struct_time | None = None) -> str:
    """A file prefix with `%width%`, `%height%` and `%year%`, `%month%` … `%second%` replaced."""
    if "%" not in prefix:
        return prefix
    now = now or time.localtime()
    numbers = {
        "width": str(width),
        "height": str(height),
        "year": str(now.tm_year),
        "month": f"{now.tm_mon:02}",
        "day": f"{now.tm_mday:02}",
        "hour": f"{now.tm_hour:02}",
        "minute": f"{now.tm_min:02}",
        "second": f"{now.tm_sec:02}",
    }
    return re.sub(r"%(\w+)%", lambda found: numbers.get(found.group(1), found.group(0)), prefix)


@contextmanager
def atomic_write(path: Path) -> Iterator[IO[bytes]]:
    """Write beside `path`, flush to disk, then rename: a reader sees the old file or the whole new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    file, partial = claimed(path.parent)
    try:
        with file:
            yield file
            file.flush()
            os.fsync(file.fileno())
            os.chmod(partial, 0o666 & ~_umask())
            os.replace(partial, path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


def _umask() -> int:
    current = os.umask(0o022)
    os.umask(current)
    return current
