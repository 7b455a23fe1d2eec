"""Finding the files that are there: a walk over the folders, a batch at a time, one walk at once."""

import asyncio
import contextlib
import itertools
import logging
import os
import sqlite3
from collections.abc import Coroutine, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from execution.files.folders import Folders
from server.assets.hashing import Stamp
from server.assets.library import Assets, stat_place
from server.assets.places import MODELS, ROOTS, Place
from server.userfiles import walk

logger = logging.getLogger(__name__)
KINDS = (MODELS, *ROOTS)
UNWALKED = ("custom_nodes",)
BATCH = 256
Found = tuple[Place, Stamp]


@dataclass
class Scan:
    """How far a walk is."""

    scanned: int = 0
    created: int = 0
    errors: list[str] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        skipped = self.scanned - self.created
        return {"scanned": self.scanned, "total": self.scanned, "created": self.created, "skipped": skipped}


class Seeding:
    """Notes all files of some folders as assets."""

    def __init__(self, assets: Assets, folders: Folders) -> None:
        self._assets = assets
        self._folders = folders
        self._cancelled = False
        self.is_running = False
        self.last = Scan()

    @property
    def state(self) -> str:
        """The state in the words of the assets API."""
        return "IDLE" if not self.is_running else "CANCELLING" if self._cancelled else "RUNNING"

    def cancel(self) -> bool:
        """Stop a walk soon; whether there was one."""
        self._cancelled = self.is_running
        return self.is_running

    def start(self, kinds: Iterable[str] = KINDS, read: bool = False) -> Coroutine[None, None, None]:
        """A walk over `models`, `input`, `output`, `temp`, or some of them, to be awaited; `read` hashes what
        is there, too. The caller has seen that none is running.
        """
        self.is_running, self._cancelled, self.last = True, False, Scan()
        return self._walk(kinds, read)

    async def _walk(self, kinds: Iterable[str], read: bool) -> None:
        try:
            files = found_files(self._folders, tuple(kinds))
            while not self._cancelled and (batch := await asyncio.to_thread(next_batch, files)):
                self.last.scanned += len(batch)
                self.last.created += await self._assets.note_many(batch)
                for place, _ in batch if read else ():
                    await self._assets.note(place, read=True)
        except (OSError, sqlite3.Error) as error:
            logger.warning("The files could not all be noted as assets: %s", error)
            self.last.errors.append(str(error))
        finally:
            self.is_running = False


def next_batch(files: Iterator[Found]) -> list[Found]:
    """The next files of a walk; blocks."""
    return list(itertools.islice(files, BATCH))


def found_files(folders: Folders, kinds: Iterable[str]) -> Iterator[Found]:
    """Every file of the kinds with its stamp; blocks while it is walked."""
    for kind in kinds:
        if kind == MODELS:
            yield from models(folders)
            continue
        for name in root_names(folders, kind):
            seen = stat_place(folders, Place(kind, name))
            if seen is not None:
                yield Place(kind, name), seen[1]


def root_names(folders: Folders, root: str) -> Iterator[str]:
    """Names of the files in a root, hidden ones left out."""
    top = folders.roots[root]
    if os.path.isdir(top):
        for entry in walk(top, top, recurse=True):
            hidden = any(part.startswith(".") for part in entry.path.split("/"))
            if not entry.is_folder and not hidden:
                yield entry.path


def models(folders: Folders) -> Iterator[Found]:
    """Every model file, in the first of its kind's folders that has it, with its stamp."""
    for kind in folders.kinds:
        roots = folders.models(kind)
        for name in folders.list(kind) if kind not in UNWALKED else ():
            for root in roots:
                with contextlib.suppress(OSError):
                    yield Place(kind, name), Stamp.of(os.stat(root / name))
                    break
