"""The editor's files and packs' web folders: no links out, no difference between what is absent and what is
closed.
"""

import asyncio
import gzip
import hashlib
import os
import threading
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from aiohttp import web

from server.answers import not_found
from server.files import matches, open_regular, send_file, state_of
from server.safety import PAGE_POLICY

TYPES: Mapping[str, str] = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".mjs": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".json": "application/json",
    ".webmanifest": "application/manifest+json",
    ".map": "application/json",
    ".md": "text/markdown; charset=utf-8",
    ".txt": "text/plain; charset=utf-8",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".webp": "image/webp",
    ".gif": "image/gif",
    ".ico": "image/x-icon",
    ".woff": "font/woff",
    ".woff2": "font/woff2",
    ".ttf": "font/ttf",
    ".wasm": "application/wasm",
    ".mp3": "audio/mpeg",
    ".mp4": "video/mp4",
    ".webm": "video/webm",
}
PACKED = ("text/", "application/json", "application/manifest", "image/svg", "application/wasm", "font/ttf")
MOST_KEPT = 32 * 2**20
MOST_FILE = 4 * 2**20
YEAR = 365 * 24 * 3600


@dataclass(frozen=True)
class Kept:
    """A small file in memory, as it is and packed."""

    raw: bytes
    zipped: bytes | None
    etag: str

    @property
    def size(self) -> int:
        return len(self.raw) + len(self.zipped or b"")


def inside(root: Path, relative: str) -> Path:
    """A path below `root`; 404 for one that leads out, however it is spelled."""
    parts = relative.split("/")
    unfit = any(
        part in ("", ".", "..") or "\\" in part or ":" in part or not part.isprintable() for part in parts
    )
    if unfit or parts[-1].startswith("."):
        not_found()
    real = os.path.realpath(root)
    path = os.path.realpath(os.path.join(real, *parts))
    if not path.startswith(real.rstrip(os.sep) + os.sep):
        not_found()
    return Path(path)


class Statics:
    """Sends files of trusted folders, from memory where they are small."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[object, ...], Kept] = OrderedDict()
        self._size = 0
        self._lock = threading.Lock()

    async def send(self, request: web.Request, path: Path) -> web.StreamResponse:
        """Send a file, packed if the client can unpack it; 304 if it has it; for a year if it asks for this
        very content by ?v=.
        """
        kind = TYPES.get(path.suffix.lower(), "application/octet-stream")
        headers = {"Content-Type": kind, "Content-Security-Policy": PAGE_POLICY, "Cache-Control": "no-cache"}
        kept = await asyncio.to_thread(self._keep, path, kind)
        if kept is None:
            return await send_file(request, path, headers)
        headers |= {"ETag": kept.etag, "Vary": "Accept-Encoding"}
        if request.query.get("v") == kept.etag.strip('"'):
            headers["Cache-Control"] = f"max-age={YEAR}, immutable"
        if matches(request.headers.get("If-None-Match", ""), kept.etag):
            return web.Response(status=304, headers=headers)
        if kept.zipped is not None and "gzip" in request.headers.get("Accept-Encoding", ""):
            return web.Response(body=kept.zipped, headers={**headers, "Content-Encoding": "gzip"})
        return web.Response(body=kept.raw, headers=headers)

    def _keep(self, path: Path, kind: str) -> Kept | None:
        file, status = open_regular(path)
        with file:
            if status.st_size > MOST_FILE:
                return None
            key = (str(path), *state_of(status))
            with self._lock:
                if key in self._kept:
                    self._kept.move_to_end(key)
                    return self._kept[key]
            kept = packed(file.read(), kind)
        with self._lock:
            if key not in self._kept:
                self._kept[key] = kept
                self._size += kept.size
            while self._size > MOST_KEPT and len(self._kept) > 1:
                self._size -= self._kept.popitem(last=False)[1].size
        return kept


def packed(raw: bytes, kind: str) -> Kept:
    """A file's bytes with their packed form, where packing pays."""
    zipped = gzip.compress(raw, 6, mtime=0) if kind.startswith(PACKED) and len(raw) > 512 else None
    return Kept(raw, zipped, f'"{hashlib.blake2b(raw, digest_size=9).hexdigest()}"')
