"""/models, /embeddings and /object_info: which weights and which node types there are."""

import asyncio
import os
from pathlib import Path
from typing import Any

from aiohttp import web

from execution.files.folders import Folders
from server.answers import answer, not_found
from server.files import matches, send_user_file
from server.parts import parts
from server.refreshing import refresh_types
from server.routes.history import whole
from server.submission.checking import SPECS_SECONDS

UNLISTED = ("custom_nodes",)
PICTURES = (".preview.png", ".preview.webp", ".preview.jpg", ".png", ".webp", ".jpg", ".jpeg")


def routes() -> list[web.RouteDef]:
    return [
        web.get("/models", get_kinds),
        web.get("/models/{folder}", get_names),
        web.get("/experiment/models", get_folders),
        web.get("/experiment/models/{folder}", get_files),
        web.get("/experiment/models/preview/{folder}/{index}/{filename:.*}", get_preview),
        web.get("/embeddings", get_embeddings),
        web.get("/object_info", get_types),
        web.get("/object_info/{node}", get_type),
    ]


def kinds(folders: Folders) -> list[str]:
    """The model kinds that are shown."""
    return [kind for kind in folders.kinds if kind not in UNLISTED]


def known_kind(request: web.Request) -> str:
    """The kind in the path; 404 for one that there is not."""
    kind = request.match_info["folder"]
    if kind in UNLISTED or not parts(request).folders.models(kind):
        not_found()
    return kind


async def get_kinds(request: web.Request) -> web.Response:
    """Names of the model kinds."""
    return answer(kinds(parts(request).folders))


async def get_names(request: web.Request) -> web.Response:
    """Names of a kind's files."""
    kind = known_kind(request)
    return answer(await asyncio.to_thread(parts(request).folders.list, kind))


async def get_folders(request: web.Request) -> web.Response:
    """Kinds with their search paths' last parts; whole paths are nobody's business."""
    folders = parts(request).folders
    return answer(
        [{"name": kind, "folders": [path.name for path in folders.models(kind)]} for kind in kinds(folders)]
    )


async def get_files(request: web.Request) -> web.Response:
    """A kind's files with the number of the search path each is in."""
    kind, folders = known_kind(request), parts(request).folders
    return answer(await asyncio.to_thread(placed_files, folders, kind))


def placed_files(folders: Folders, kind: str) -> list[dict[str, Any]]:
    """Name, search path, size and time of change of each file."""
    found = []
    for name in folders.list(kind):
        for index, root in enumerate(folders.models(kind)):
            try:
                status = os.stat(root / name)
            except OSError:
                continue
            found.append(
                {"name": name, "pathIndex": index, "size": status.st_size, "modified": status.st_mtime}
            )
            break
    return found


async def get_preview(request: web.Request) -> web.StreamResponse:
    """A picture that lies beside a model file. 404 when there is none."""
    kind, text = known_kind(request), request.match_info["index"]
    roots = parts(request).folders.models(kind)
    if not text.isascii() or not text.isdigit() or len(text) > 4 or int(text) >= len(roots):
        not_found()
    path = await asyncio.to_thread(preview_beside, roots[int(text)], request.match_info["filename"])
    return await send_user_file(request, path)


def preview_beside(root: Path, name: str) -> Path:
    """The picture of a model: its name, with or without suffix, ending as pictures do."""
    real = os.path.realpath(root)
    stem = os.path.join(real, os.path.splitext(name.replace("\\", "/").lstrip("/"))[0])
    for suffix in PICTURES if "\0" not in name and ".." not in name.split("/") else ():
        path = os.path.realpath(stem + suffix)
        if path.startswith(real.rstrip(os.sep) + os.sep) and os.path.isfile(path):
            return Path(path)
    return not_found()


async def get_embeddings(request: web.Request) -> web.Response:
    """Names of embeddings as prompts write them, without suffix."""
    names = await asyncio.to_thread(parts(request).folders.list, "embeddings")
    return answer([os.path.splitext(name)[0] for name in names])


async def get_types(request: web.Request) -> web.Response:
    """Every node type. Answered from memory; a worker is asked in the background whether it offers more by
    now.
    """
    here = parts(request)
    await here.catalogue.wait(SPECS_SECONDS)
    body = await here.catalogue.body()
    refresh_types(here)
    headers = {
        "ETag": body.etag,
        "Cache-Control": "no-cache",
        "Vary": "Accept-Encoding",
        "Content-Type": "application/json",
    }
    if matches(request.headers.get("If-None-Match", ""), body.etag):
        return web.Response(status=304, headers=headers)
    if "gzip" in request.headers.get("Accept-Encoding", ""):
        return web.Response(body=body.zipped, headers={**headers, "Content-Encoding": "gzip"})
    return web.Response(body=body.raw, headers=headers)


async def get_type(request: web.Request) -> web.Response:
    """`{name: type}`, or `{}` for an unknown one, as ComfyUI answers; `wait=0` does not wait for a worker."""
    here, name = parts(request), request.match_info["node"]
    await here.catalogue.wait(0 if whole(request, "wait") == 0 else SPECS_SECONDS)
    entry = await asyncio.to_thread(here.catalogue.entry, name)
    return answer({} if entry is None else {name: entry})
