"""/view and /view_metadata: files that nodes and users wrote, shown safely."""

import asyncio
import re
from pathlib import Path

from aiohttp import web

from execution.errors import FolderError
from server.answers import answer, not_found, refusal
from server.assets.hashing import is_hash
from server.files import ascii_name, send_user_file, user_headers
from server.parts import Parts, parts
from server.pictures import preview_form, safetensors_metadata

ROOTS = ("input", "output", "temp")
CHANNELS = ("rgba", "rgb", "a")


def routes() -> list[web.RouteDef]:
    return [web.get("/view", get_view), web.get("/view_metadata/{folder}", get_metadata)]


def bad_place(status: int, message: str) -> web.HTTPException:
    """The refusal of a place that no stored file can have, whether there is one or not."""
    return refusal(status, "bad_place", message)


def stored(here: Parts, root: str, subfolder: str, filename: str) -> Path:
    """The path of a stored file. Names that cannot be are told by ComfyUI's numbers: 400 for `type`s there
    are not and names that climb, 403 for a `subfolder` that leads out. One 404 for whatever is not there or
    may not be seen.
    """
    for ending in ROOTS:
        if filename.endswith(f" [{ending}]"):
            filename, root = filename.removesuffix(f" [{ending}]"), ending
    if root not in ROOTS:
        raise bad_place(400, f"type must be one of {', '.join(ROOTS)}.")
    if filename.startswith("/") or climbs(filename):
        raise bad_place(400, "filename must be a name in its folder.")
    if subfolder.startswith("/") or climbs(subfolder):
        raise bad_place(403, "subfolder must be a folder in its root.")
    if filename in ("", "."):
        not_found()
    try:
        return here.folders.inside(root, f"{subfolder.rstrip('/')}/{filename}" if subfolder else filename)
    except (FolderError, OSError, ValueError):
        not_found()


def climbs(name: str) -> bool:
    """Whether a name has a part that leads upwards, also when it is decoded once more."""
    return ".." in re.split(r"[/\\]|%2f|%5c", name, flags=re.IGNORECASE)


async def by_hash(here: Parts, hash: str) -> Path:
    """The path of a stored file with these bytes; models are not shown here."""
    for root in ROOTS:
        found = await here.assets.by_hash(hash, root)
        if found is not None:
            return found[1]
    return not_found()


async def get_view(request: web.Request) -> web.StreamResponse:
    """A stored file by `filename`, `subfolder` and `type`, or by its hash as `filename`; as a `preview`, a
    single `channel`, or at most `size` pixels.
    """
    here, query = parts(request), request.query
    if "filename" not in query:
        not_found()
    if not query["filename"]:
        raise refusal(400, "invalid_request", "filename is empty.")
    if is_hash(query["filename"]):
        path = await by_hash(here, query["filename"])
    else:
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
