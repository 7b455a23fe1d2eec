"""/view and /view_metadata: files that nodes and users wrote, shown safely."""

import asyncio
from pathlib import Path

from aiohttp import web

from execution.errors import FolderError
from server.answers import answer, not_found, refusal
from server.files import ascii_name, send_user_file, user_headers
from server.parts import Parts, parts
from server.pictures import preview_form, safetensors_metadata

ROOTS = ("input", "output", "temp")
CHANNELS = ("rgba", "rgb", "a")


def routes() -> list[web.RouteDef]:
    return [web.get("/view", get_view), web.get("/view_metadata/{folder}", get_metadata)]


def stored(here: Parts, root: str, subfolder: str, filename: str) -> Path:
    """The path of a stored file. One 404 for whatever is not there or may not be seen."""
    for ending in ROOTS:
        if filename.endswith(f" [{ending}]"):
            filename, root = filename.removesuffix(f" [{ending}]"), ending
    if root not in ROOTS or filename in ("", ".", ".."):
        not_found()
    try:
        return here.folders.inside(root, f"{subfolder.rstrip('/')}/{filename}" if subfolder else filename)
    except (FolderError, OSError, ValueError):
        not_found()


async def get_view(request: web.Request) -> web.StreamResponse:
    """A stored file by `filename`, `subfolder` and `type`; as a `preview`, a single `channel`, or at most
    `size` pixels.
    """
    here, query = parts(request), request.query
    if not query.get("filename"):
        raise refusal(400, "invalid_request", "filename is missing.")
    path = stored(here, query.get("type", "output"), query.get("subfolder", ""), query["filename"])
    channel = query.get("channel", "rgba")
    if channel not in CHANNELS:
        channel = "rgba"
    if "preview" not in query and "size" not in query and channel == "rgba":
        return await send_user_file(request, path)
    form = preview_form(query.get("preview", ""), channel, query.get("size", ""))
    encoded = await here.pictures.rendered(path, form)
    headers = user_headers(path.name) | {"Content-Type": form.type, "Cache-Control": "private, no-cache"}
    headers["Content-Disposition"] = f'inline; filename="{ascii_name(path.name)}"'
    return web.Response(body=encoded, headers=headers)


async def get_metadata(request: web.Request) -> web.Response:
    """The metadata that a safetensors file carries. 404 when it has none."""
    here, name = parts(request), request.query.get("filename", "")
    if not name.lower().endswith(".safetensors"):
        not_found()
    try:
        path = here.folders.resolve(request.match_info["folder"], name)
        found = await asyncio.to_thread(safetensors_metadata, path.resolve())
    except (FolderError, OSError, ValueError):
        not_found()
    if found is None:
        not_found()
    return answer(found)
