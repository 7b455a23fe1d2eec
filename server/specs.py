"""What node types there are, as the workers said last: kept on disk, so that a start needs no worker to
answer.

The cache is keyed by the sources that declare types (paths, sizes, times). Choices that are files are filled
in when asked
for, and again only when a folder has changed.
"""

import asyncio
import gzip
import hashlib
import json
import logging
import os
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from execution.declare.spec import NodeSpec
from execution.files.folders import Folders, atomic_write
from execution.wire.messages import Loaded
from server.journal import lenient

logger = logging.getLogger(__name__)
FILES_KEPT = 4
GZIP_LEVEL = 5


@dataclass(frozen=True)
class Body:
    """An answer made once and sent often."""

    raw: bytes
    zipped: bytes
    etag: str

    @classmethod
    def of(cls, raw: bytes) -> "Body":
        digest = hashlib.blake2b(raw, digest_size=12).hexdigest()
        return cls(raw, gzip.compress(raw, GZIP_LEVEL, mtime=0), f'"{digest}"')


def sources(places: Iterable[Path]) -> Iterator[tuple[str, int, int]]:
    """Path, size and time of change of every Python source in files and folders."""
    for place in places:
        if place.is_file():
            status = place.stat()
            yield str(place), status.st_size, status.st_mtime_ns
        for folder, folders, files in os.walk(place):
            folders[:] = sorted(
                name for name in folders if not name.startswith(".") and name != "__pycache__"
            )
            for name in sorted(files):
                if name.endswith(".py"):
                    status = os.stat(os.path.join(folder, name))
                    yield os.path.join(folder, name), status.st_size, status.st_mtime_ns


def key_of(places: Iterable[Path]) -> str:
    """One hash for all sources and this Python."""
    digest = hashlib.blake2b(sys.version.encode(), digest_size=12)
    for source in sources(places):
        digest.update(repr(source).encode())
    return digest.hexdigest()


class Listings:
    """Names of files by folder kind, read again only when a folder's time of change moved."""

    def __init__(self, folders: Folders) -> None:
        self._folders = folders
        self._roots: dict[str, tuple[int, list[str]]] = {}

    def list(self, kind: str) -> Sequence[str]:
        """See `Folders.list`, which looks at every entry of a root each time; this looks at the root
        alone.
        """
        root = self._folders.roots.get(kind.partition(":")[0])
        if root is None:
            return self._folders.list(kind)
        try:
            changed = root.stat().st_mtime_ns
        except OSError:
            return []
        known = self._roots.get(kind)
        if known is None or known[0] != changed:
            known = self._roots[kind] = (changed, self._folders.list(kind))
        return known[1]


class Catalogue:
    """The node specs, and the bodies of /object_info made of them."""

    def __init__(self, folders: Folders, cache_dir: Path, declared_by: Sequence[Path]) -> None:
        self._listings = Listings(folders)
        self._cache_dir = cache_dir
        self._declared_by = declared_by
        self._known = asyncio.Event()
        self._made: tuple[Any, Body] | None = None
        self._making = asyncio.Lock()
        self._version = 0
        self.specs: dict[str, NodeSpec] = {}
        self.failures: dict[str, str] = {}
        self.packs: list[dict[str, Any]] = []
        self.replacements: list[dict[str, Any]] = []
        """What takes the place of types that have gone; see `workflows.replacements`."""
        self.from_cache = False
        self.refreshed = 0.0
        """When a worker was last asked for fresh types, by the monotonic clock."""

    # filling

    async def load(self) -> None:
        """Take the specs of an earlier run, if the sources are still those."""
        try:
            kept = await asyncio.to_thread(self._read)
            if kept is not None and not self._known.is_set():
                self.replacements = kept["replacements"]
                self._set(kept["specs"], kept["failures"], kept["packs"])
                self.from_cache = True
        except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
            logger.info("The cached node specs cannot be read: %s", error)

    def _file(self) -> Path:
        return self._cache_dir / f"specs-{key_of(self._declared_by)}.json"

    def _read(self) -> dict[str, Any] | None:
        file = self._file()
        return json.loads(file.read_bytes()) if file.exists() else None

    def _set(
        self, specs: Mapping[str, Any], failures: Mapping[str, str], packs: Sequence[dict[str, Any]]
    ) -> None:
        self.specs = {name: NodeSpec.from_json(shape) for name, shape in specs.items()}
        self.failures, self.packs = dict(failures), list(packs)
        self._version += 1
        self._known.set()

    async def replace(self, loaded: Loaded) -> bool:
        """Take what a worker has loaded; whether anything is new by it."""
        before = (self.specs, self.failures, self.replacements)
        self.replacements = [dict(each) for each in loaded.replacements]
        self._set(loaded.specs, loaded.failures, self.packs)
        self.from_cache = False
        changed = before != (self.specs, self.failures, self.replacements)
        if not changed:
            self._version -= 1
        await self._save()
        return changed

    async def describe_packs(self, packs: Sequence[dict[str, Any]]) -> None:
        """Keep what a worker says of its node packs."""
        if list(packs) != self.packs:
            self.packs = list(packs)
            await self._save()

    def refresh(self, name: str, shape: Mapping[str, Any]) -> None:
        """Take one type anew, with the choices it offers now."""
        spec = NodeSpec.from_json(shape)
        if self.specs.get(name) != spec:
            self.specs = {**self.specs, name: spec}
            self._version += 1

    async def _save(self) -> None:
        specs = {name: spec.to_json() for name, spec in self.specs.items()}
        rest = {"failures": self.failures, "packs": self.packs, "replacements": self.replacements}
        text = lenient({"specs": specs, **rest})
        try:
            await asyncio.to_thread(self._write, text.encode())
        except OSError as error:
            logger.warning("Node specs could not be cached: %s", error)

    def _write(self, text: bytes) -> None:
        file = self._file()
        if file.exists() and file.read_bytes() == text:
            return
        with atomic_write(file) as written:
            written.write(text)
        kept = sorted(
            self._cache_dir.glob("specs-*.json"), key=lambda each: each.stat().st_mtime, reverse=True
        )
        for old in kept[FILES_KEPT:]:
            old.unlink(missing_ok=True)

    # asking

    @property
    def is_known(self) -> bool:
        return self._known.is_set()

    async def wait(self, seconds: float) -> bool:
        """Wait until there are specs; False when there are none in time."""
        try:
            await asyncio.wait_for(self._known.wait(), seconds)
        except TimeoutError:
            return False
        return True

    def entry(self, name: str) -> dict[str, Any] | None:
        """One type's /object_info entry, with the files there are now."""
        spec = self.specs.get(name)
        return spec.object_info(self._listings.list) if spec else None

    async def body(self) -> Body:
        """The whole /object_info, made anew only if a type or a folder has changed."""
        state = await asyncio.to_thread(self._state)
        made = self._made
        if made is not None and made[0] == state:
            return made[1]
        async with self._making:
            if self._made is None or self._made[0] != state:
                self._made = (state, await asyncio.to_thread(self._make))
            return self._made[1]

    def _state(self) -> tuple[int, list[tuple[str, list[str]]]]:
        kinds = sorted({kind for spec in list(self.specs.values()) for kind in spec.folders.values()})
        return self._version, [(kind, list(self._listings.list(kind))) for kind in kinds]

    def _make(self) -> Body:
        specs = dict(self.specs)
        return Body.of(
            lenient({name: spec.object_info(self._listings.list) for name, spec in specs.items()}).encode()
        )
