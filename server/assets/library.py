"""The assets: files of the folders with the hash of their bytes, found by id, hash or what is said of them.

Big files are read in a thread of their own, and only when somebody asks; nothing here holds the loop.
"""

import asyncio
import logging
import os
import sqlite3
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from aiohttp import web

from execution.files.folders import Folders
from server.answers import dumps
from server.assets import records
from server.assets.hashing import Stamp, Stopped, digest
from server.assets.places import Place, path_of
from server.assets.records import Asset, Wanted
from server.database import Database
from server.files import content_type

logger = logging.getLogger(__name__)
EAGER_BYTES = 64 * 2**20
"""Files up to this size are hashed when they are noted; larger ones when their hash is asked for."""
Write = Callable[[sqlite3.Connection], Any]


class Assets:
    """All assets of one server. What a method returned is on disk."""

    def __init__(self, file: Path, folders: Folders) -> None:
        self._database = Database(file, records.SCHEMA)
        self._folders = folders
        self._stop = threading.Event()
        self._reader = ThreadPoolExecutor(1, thread_name_prefix="asset-hasher")
        self._hashing: set[Place] = set()

    def close(self) -> None:
        """Stop reading files, then close the tables."""
        self._stop.set()
        self._reader.shutdown(cancel_futures=True)
        self._database.close()

    # noting files

    async def note(
        self, place: Place, job: str | None = None, hash: str | None = None, read: bool = False
    ) -> Asset | None:
        """The asset of a place's file as it is now, made if need be; None when there is no file.

        `hash` is that of the bytes, where it is known already; `job` the one that made the file. A large file
        is not read for its hash unless `read` says so.
        """
        seen = await self._stat(place)
        if seen is None:
            await self._database.write(lambda connection: records.forget_file(connection, place))
            return None
        path, stamp = seen
        if hash is None:
            hash, stamp = await self._hash(place, path, stamp, read)
        asset: Asset = await self._database.write(
            lambda connection: entered(connection, place, stamp, hash, job)
        )
        return asset

    async def _stat(self, place: Place) -> tuple[Path, Stamp] | None:
        return await asyncio.to_thread(stat_place, self._folders, place)

    async def _hash(self, place: Place, path: Path, stamp: Stamp, read: bool) -> tuple[str | None, Stamp]:
        """The hash if it is known, the file is small or is to be read, and the stamp that belongs to it."""
        known = await self._database.read(lambda connection: records.known(connection, place))
        if known is not None and known.stamp == stamp and known.hash is not None:
            return known.hash, stamp
        return await self._digest(path) if read or stamp.size <= EAGER_BYTES else (None, stamp)

    async def _digest(self, path: Path) -> tuple[str | None, Stamp]:
        """Read a file for its hash; long ones one after another."""
        small = await asyncio.to_thread(os.path.getsize, path) <= EAGER_BYTES
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(None if small else self._reader, digest, path, self._stop)

    async def note_many(self, found: Sequence[tuple[Place, Stamp]]) -> int:
        """Note files that a scan found, without reading them; how many were new or had changed."""

        def work(connection: sqlite3.Connection) -> int:
            news = 0
            for place, stamp in found:
                known = records.known(connection, place)
                if known is None or known.stamp != stamp:
                    entered(connection, place, stamp, None, None)
                    news += 1
            return news

        news: int = await self._database.write(work)
        return news

    async def hash_later(self, asset: Asset) -> None:
        """Read the file of an asset whose hash is unknown; for the background."""
        if asset.hash is not None or asset.place in self._hashing:
            return
        self._hashing.add(asset.place)
        try:
            await self.note(asset.place, read=True)
        except (Stopped, OSError, web.HTTPNotFound) as error:
            logger.info("%s could not be hashed: %s", asset.place.file_path, error)
        finally:
            self._hashing.discard(asset.place)

    # finding

    async def find(self, asset: str) -> Asset | None:
        """An asset by its id."""
        return await self._database.read(lambda connection: records.select_one(connection, "id = ?", asset))

    async def first_of(self, hash: str, name: str | None = None) -> Asset | None:
        """The oldest asset of these bytes, perhaps only one of this name."""
        where, values = ("hash = ? AND name = ?", (hash, name)) if name else ("hash = ?", (hash,))
        return await self._database.read(lambda connection: records.select_one(connection, where, *values))

    async def whereabouts(self, asset: Asset) -> tuple[Place, Path] | None:
        """Where an asset's bytes are now; None when they are gone."""
        path = await self._checked(asset.place, asset.hash)
        if path is not None:
            return asset.place, path
        return await self.by_hash(asset.hash) if asset.hash is not None else None

    async def by_hash(self, hash: str, kind: str | None = None) -> tuple[Place, Path] | None:
        """A file of these bytes, perhaps only of a kind; each is looked at before it is trusted."""
        for known in await self._database.read(lambda connection: records.holders(connection, hash)):
            if kind is None or known.place.kind == kind:
                path = await self._checked(known.place, hash)
                if path is not None:
                    return known.place, path
        return None

    async def _checked(self, place: Place, hash: str | None) -> Path | None:
        """The path of a place if its bytes have this hash (any, if None); a changed file is noted anew."""
        seen = await self._stat(place)
        if seen is None:
            await self._database.write(lambda connection: records.forget_file(connection, place))
            return None
        path, stamp = seen
        known = await self._database.read(lambda connection: records.known(connection, place))
        actual = known.hash if known is not None and known.stamp == stamp else None
        if actual is None and hash is not None:
            actual, stamp = await self._digest(path)
            await self._database.write(lambda connection: entered(connection, place, stamp, actual, None))
        return path if hash is None or actual == hash else None

    async def page(self, wanted: Wanted) -> tuple[list[Asset], int, str | None]:
        """A part of a list: assets, how many there are in all, and the next cursor."""
        return await self._database.read(lambda connection: records.select_page(connection, wanted))

    async def count_tags(
        self, wanted: Wanted, prefix: str = "", most: int = 100, offset: int = 0
    ) -> tuple[list[tuple[str, int]], int]:
        """Tags of the wanted assets with how often, and how many tags there are."""
        return await self._database.read(
            lambda connection: records.count_tags(connection, wanted, prefix, most, offset)
        )

    # changing

    async def refer(self, hash: str, name: str | None, described: Mapping[str, Any]) -> Asset | None:
        """A new asset of bytes that are here already; None when they are not. See `describe`."""
        found = await self.by_hash(hash)
        if found is None:
            return None
        place, path = found
        size, now = (await asyncio.to_thread(path.stat)).st_size, time.time()
        name = name or place.last
        asset = Asset(
            str(uuid.uuid4()), place, name, hash, size, content_type(name), now, now, now, tags=place.tags
        )
        await self._database.write(lambda connection: records.enter(connection, asset))
        return await self.describe(asset.id, described)

    async def describe(self, asset: str, described: Mapping[str, Any]) -> Asset | None:
        """Set what is said of an asset: `name`, `type`, `preview`, `expires`, `metadata`; add `tags`.

        Gives the asset as it is then; None when there is none.
        """
        columns = {
            name: described[name] for name in ("name", "type", "preview", "expires") if name in described
        }
        if "metadata" in described:
            columns["metadata"] = dumps(described["metadata"])
        tags = tuple(described.get("tags", ()))

        def work(connection: sqlite3.Connection) -> Asset | None:
            if columns:
                records.change(connection, asset, columns)
            records.tag(connection, asset, tags)
            return records.select_one(connection, "id = ?", asset)

        changed: Asset | None = await self._database.write(work)
        return changed

    async def untag(self, asset: str, tags: Iterable[str]) -> None:
        """Take tags away from an asset."""
        gone = tuple(tags)
        await self._database.write(lambda connection: records.untag(connection, asset, gone))

    async def used(self, assets: Iterable[Asset]) -> None:
        """Note that assets were put to use now."""
        ids, now = [asset.id for asset in assets], time.time()

        def work(connection: sqlite3.Connection) -> None:
            for each in ids:
                records.change(connection, each, {"accessed": now})

        await self._database.write(work)

    async def delete(self, asset: Asset, with_content: bool) -> None:
        """Drop an asset; also its file, if it is wanted, no model, and no other asset's."""

        def work(connection: sqlite3.Connection) -> bool:
            shared = records.shares(connection, asset)
            records.remove(connection, asset.id)
            return shared

        shared: bool = await self._database.write(work)
        if with_content and not shared and not asset.place.is_model:
            path = await self._checked(asset.place, asset.hash)
            if path is not None:
                await asyncio.to_thread(path.unlink, True)
            await self._database.write(lambda connection: records.forget_file(connection, asset.place))

    async def expire(self) -> int:
        """Delete the assets whose time has run out, with their files; how many those were."""
        rows: list[Asset] = await self._database.read(records.expired)
        for asset in rows:
            await self.delete(asset, with_content=True)
        return len(rows)

    async def prune(self) -> int:
        """Tag the assets whose files are gone as missing; how many that now are."""
        places: list[Place] = await self._database.read(records.places)
        gone = await asyncio.to_thread(without_files, self._folders, places)

        def work(connection: sqlite3.Connection) -> int:
            before = records.missing(connection)
            for place in gone:
                records.forget_file(connection, place)
            return records.missing(connection) - before

        marked: int = await self._database.write(work)
        return marked

    # repeated requests

    async def answered(self, session: str, key: str) -> tuple[str, Asset] | None:
        """What a request with this key asked for, and the asset that it was given."""
        return await self._database.read(lambda connection: records.answered(connection, session, key))

    async def answer_once(self, session: str, key: str, request: str, asset: Asset) -> None:
        """Remember that a request with this key was given an asset."""
        await self._database.write(
            lambda connection: records.answer_once(connection, session, key, request, asset.id)
        )


def stat_place(folders: Folders, place: Place) -> tuple[Path, Stamp] | None:
    """Path and stamp of a place's file; blocks."""
    path = path_of(folders, place)
    try:
        return (path, Stamp.of(path.stat())) if path is not None else None
    except OSError:
        return None


def without_files(folders: Folders, places: Iterable[Place]) -> list[Place]:
    """The places that have no file; blocks."""
    return [place for place in places if stat_place(folders, place) is None]


def entered(
    connection: sqlite3.Connection, place: Place, stamp: Stamp, hash: str | None, job: str | None
) -> Asset:
    """The asset of a file that was seen, made unless there is one of these bytes; others of the place are
    missing now.
    """
    hash = records.see(connection, place, stamp, hash)
    records.read_at_last(connection, place, stamp.size, hash)
    found = records.select_one(connection, "kind = ? AND file = ? AND hash IS ?", *place, hash)
    if found is None:
        now = time.time()
        kind = content_type(place.last)
        found = Asset(
            str(uuid.uuid4()),
            place,
            place.last,
            hash,
            stamp.size,
            kind,
            now,
            now,
            now,
            job=job,
            tags=place.tags,
        )
        records.enter(connection, found)
    if job is not None and found.job is None:
        records.change(connection, found.id, {"job": job})
    records.mark(connection, place, hash)
    return records.select_one(connection, "id = ?", found.id) or found
