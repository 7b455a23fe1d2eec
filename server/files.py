"""Sending files. What users put on the server is never active content: only pictures, sound and film are
shown in place.
"""

import asyncio
import mimetypes
import os
import re
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO
from urllib.parse import quote

from aiohttp import web

from server.answers import not_found, refusal

INLINE_TYPES: Mapping[str, str] = {
    ".png": "image/png",
    ".apng": "image/apng",
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".webp": "image/webp",
    ".gif": "image/gif",
    ".bmp": "image/bmp",
    ".avif": "image/avif",
    ".tif": "image/tiff",
    ".tiff": "image/tiff",
    ".mp3": "audio/mpeg",
    ".ogg": "audio/ogg",
    ".opus": "audio/ogg",
    ".flac": "audio/flac",
    ".wav": "audio/wav",
    ".m4a": "audio/mp4",
    ".aac": "audio/aac",
    ".mp4": "video/mp4",
    ".m4v": "video/mp4",
    ".webm": "video/webm",
    ".mov": "video/quicktime",
    ".mkv": "video/x-matroska",
}
"""What a browser may show in place; everything else is a download."""
PASSIVE_TYPES: Mapping[str, str] = {".json": "application/json", ".txt": "text/plain", ".css": "text/css"}
"""Types that scripts of the page may rely on when they fetch a file; sent as downloads."""
USER_POLICY = "sandbox; default-src 'none'; img-src 'self'; media-src 'self'; style-src 'unsafe-inline'"
CHUNK = 2**18
RANGE = re.compile(r"^bytes=(\d*)-(\d*)$")


def content_type(name: str) -> str:
    """The type of a file by its name, in words only; what is sent may be less, see `user_headers`."""
    suffix = os.path.splitext(name)[1].lower()
    return INLINE_TYPES.get(suffix) or mimetypes.guess_type(name)[0] or "application/octet-stream"


def user_headers(name: str, inline: bool = True) -> dict[str, str]:
    """Type, disposition and policy for a user's file of this name."""
    suffix = os.path.splitext(name)[1].lower()
    shown = INLINE_TYPES.get(suffix)
    disposition = "inline" if shown and inline else "attachment"
    names = f"filename=\"{ascii_name(name)}\"; filename*=UTF-8''{quote(name, safe='')}"
    return {
        "Content-Type": shown or PASSIVE_TYPES.get(suffix, "application/octet-stream"),
        "Content-Disposition": f"{disposition}; {names}",
        "Content-Security-Policy": USER_POLICY,
        "X-Content-Type-Options": "nosniff",
    }


def ascii_name(name: str) -> str:
    """A file name fit for a quoted header value."""
    return re.sub(r"[^ !#-\[\]-~]", "_", name)


def open_regular(path: Path) -> tuple[BinaryIO, os.stat_result]:
    """Open a resolved path for reading: a plain file, through no link. 404 for anything else."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except (OSError, ValueError):
        not_found()
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        os.close(descriptor)
        not_found()
    return os.fdopen(descriptor, "rb"), status


def etag_of(status: os.stat_result) -> str:
    """A validator that changes with the file."""
    return '"' + "-".join(f"{each:x}" for each in state_of(status)) + '"'


def state_of(status: os.stat_result) -> tuple[int, ...]:
    """What is another number when a file is another one: its times, size, and place on the disk."""
    return status.st_mtime_ns, status.st_size, status.st_ctime_ns, status.st_ino


def matches(header: str, etag: str) -> bool:
    """Whether an If-Match or If-None-Match header names `etag`."""
    tags = {tag.strip().removeprefix("W/") for tag in header.split(",")}
    return "*" in tags or etag in tags


def wanted_range(header: str | None, size: int) -> tuple[int, int] | None:
    """First byte and length that a Range header asks for; None for the whole file (also for ranges we do not
    serve).

    416 when the range starts beyond the end.
    """
    found = RANGE.match(header or "")
    if found is None or found.groups() == ("", "") or len(header or "") > 64:
        return None
    first, last = found.groups()
    if not first:
        length = min(int(last), size)
        return size - length, length
    start, end = int(first), min(int(last), size - 1) if last else size - 1
    if start >= size:
        raise refusal(416, "range", "The range starts beyond the end of the file.")
    return (start, end - start + 1) if end >= start else None


async def send_file(request: web.Request, path: Path, headers: Mapping[str, str]) -> web.StreamResponse:
    """Send a resolved file, or the range of it that is asked for, or 304."""
    file, status = await asyncio.to_thread(open_regular, path)
    with file:
        etag = etag_of(status)
        common = {"ETag": etag, "Cache-Control": "private, no-cache", **headers}
        if matches(request.headers.get("If-None-Match", ""), etag):
            return web.Response(status=304, headers=common)
        start, length, code = 0, status.st_size, 200
        asked = None
        if request.headers.get("If-Range", etag) == etag:
            asked = wanted_range(request.headers.get("Range"), status.st_size)
        if asked is not None:
            (start, length), code = asked, 206
            common["Content-Range"] = f"bytes {start}-{start + length - 1}/{status.st_size}"
        response = web.StreamResponse(status=code, headers={**common, "Accept-Ranges": "bytes"})
        response.content_length = length
        await response.prepare(request)
        if request.method != "HEAD":
            await _stream(response, file, start, length)
        return response


async def _stream(response: web.StreamResponse, file: BinaryIO, start: int, length: int) -> None:
    await asyncio.to_thread(file.seek, start)
    while length > 0:
        chunk = await asyncio.to_thread(file.read, min(CHUNK, length))
        if not chunk:
            break
        length -= len(chunk)
        await response.write(chunk)
    await response.write_eof()


async def send_user_file(
    request: web.Request, path: Path, name: str | None = None, inline: bool = True
) -> web.StreamResponse:
    """Send a file that a user or a node wrote, as a download unless it may be shown `inline`."""
    return await send_file(request, path, user_headers(name or path.name, inline))
