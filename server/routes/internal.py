"""/internal: logs, folders and file lists for the page itself. Only from this machine, or with a login."""

import asyncio
import os
from collections.abc import Awaitable, Callable

from aiohttp import web

from execution.files.folders import Folders
from server.answers import answer, not_found, refusal
from server.bodies import read_object
from server.parts import parts
from server.settings import is_loopback

MOST_FILES = 100_000


def routes() -> list[web.RouteDef]:
    return [
        web.get("/internal/logs", closed(get_logs)),
        web.get("/internal/logs/raw", closed(get_raw_logs)),
        web.patch("/internal/logs/subscribe", closed(subscribe)),
        web.get("/internal/folder_paths", closed(get_folder_paths)),
        web.get("/internal/files/{directory_type}", closed(get_files)),
    ]


Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def closed(handler: Handler) -> Handler:
    """The handler for whom these routes are; 404 for all others, as if they were not there."""

    async def guarded(request: web.Request) -> web.StreamResponse:
        if not parts(request).logins.required and not is_loopback(request.remote or ""):
            not_found()
        return await handler(request)

    return guarded


async def get_logs(request: web.Request) -> web.Response:
    """The last lines of the log as one text."""
    return answer(parts(request).log.text())


async def get_raw_logs(request: web.Request) -> web.Response:
    """The last lines of the log with their times."""
    return answer(parts(request).log.raw())


async def subscribe(request: web.Request) -> web.Response:
    """Live logs are not sent; a client that asks keeps reading the list."""
    here = parts(request)
    await read_object(request, here.limits.body, here.limits.depth)
    return web.Response()


async def get_folder_paths(request: web.Request) -> web.Response:
    """The search paths of every model kind."""
    folders = parts(request).folders
    return answer({kind: [str(path) for path in folders.models(kind)] for kind in folders.kinds})


def newest_first(folders: Folders, kind: str) -> list[str]:
    """Names of the files that a root offers, by time of change."""

    def changed(name: str) -> float:
        try:
            return os.stat(folders.roots[kind] / name).st_mtime
        except OSError:
            return 0.0  # gone since the folder was read

    return sorted(folders.list(kind), key=changed, reverse=True)[:MOST_FILES]


async def get_files(request: web.Request) -> web.Response:
    """Names of the files in `input`, `output` or `temp`, newest first."""
    kind = request.match_info["directory_type"]
    if kind not in ("input", "output", "temp"):
        raise refusal(400, "bad_type", "There are files of input, output and temp.")
    return answer(await asyncio.to_thread(newest_first, parts(request).folders, kind))
