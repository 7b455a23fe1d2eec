"""/userdata and /settings: a user's own files, each with a revision (ETag) that a save may be bound to
(If-Match).
"""

import json
from collections.abc import Mapping
from typing import Any

from aiohttp import web

from server.answers import answer, dumps, json_text, refusal
from server.bodies import read_bytes, read_json
from server.files import matches, user_headers
from server.parts import parts
from server.userfiles import Entry, UserFiles, in_thread, revision
from server.users import SEVERAL

SETTINGS = "comfy.settings.json"
MOST_NAME = 256
ATTEMPTS = 10


def routes() -> list[web.RouteDef]:
    return [
        web.get("/userdata", get_list),
        web.get("/v2/userdata", get_tree),
        web.get("/userdata/{file}", get_file),
        web.post("/userdata/{file}", post_file),
        web.delete("/userdata/{file}", delete_file),
        web.post("/userdata/{file}/move/{dest}", move_file),
        web.get("/settings", get_settings),
        web.get("/settings/{id}", get_setting),
        web.post("/settings", post_settings),
        web.post("/settings/{id}", post_setting),
    ]


def files_of(request: web.Request) -> UserFiles:
    """The files of the user who asks."""
    return parts(request).users.files(request)


def flag(request: web.Request, name: str, default: bool = False) -> bool:
    """A yes or no of the query."""
    return request.query.get(name, str(default)).lower() in ("true", "1", "yes")


async def get_list(request: web.Request) -> web.Response:
    """Names of the files in `dir`: with `recurse` those below it, with `split` in parts, with `full_info` as
    records.
    """
    folder = request.query.get("dir")
    if folder is None:
        raise refusal(400, "invalid_request", "dir is missing.")
    found = await in_thread(files_of(request).entries, folder, flag(request, "recurse"))
    if flag(request, "full_info"):
        return answer([entry.to_json() for entry in found])
    if flag(request, "split"):
        return answer([[entry.path, *entry.path.split("/")] for entry in found])
    return answer([entry.path for entry in found])


async def get_tree(request: web.Request) -> web.Response:
    """Files and folders in `path`, with their kind."""
    folder = request.query.get("path", "")
    found = await in_thread(files_of(request).entries, folder, False, True)
    prefix = f"{folder.strip('/')}/" if folder.strip("/") else ""
    return answer([branch(entry, prefix) for entry in found])


def branch(entry: Entry, prefix: str) -> dict[str, Any]:
    """An entry in the shape of /v2/userdata."""
    shape = {
        "name": entry.path,
        "path": prefix + entry.path,
        "type": "directory" if entry.is_folder else "file",
    }
    return shape if entry.is_folder else {**shape, "size": entry.size, "modified": entry.modified}


async def get_file(request: web.Request) -> web.Response:
    """A file with its revision as ETag."""
    name = request.match_info["file"]
    content, etag = await in_thread(files_of(request).read, name)
    headers = {**user_headers(name.rpartition("/")[2]), "ETag": etag, "Cache-Control": "private, no-cache"}
    if matches(request.headers.get("If-None-Match", ""), etag):
        return web.Response(status=304, headers=headers)
    return web.Response(body=content, headers=headers)


async def post_file(request: web.Request) -> web.Response:
    """Write a file whole. 409 when it exists and `overwrite=false`; 412 when it is not the revision of
    If-Match.
    """
    files, name = files_of(request), request.match_info["file"]
    content = await read_bytes(request, parts(request).limits.body)
    if_match, if_none = request.headers.get("If-Match", ""), request.headers.get("If-None-Match", "")
    overwrite = flag(request, "overwrite", default=True)
    entry: Entry = await in_thread(files.write, name, content, overwrite, if_match, if_none)
    return described(request, entry, {"ETag": revision(content)})


def described(request: web.Request, entry: Entry, headers: Mapping[str, str]) -> web.Response:
    """The path of a written file, or, with `full_info`, its record."""
    return answer(entry.to_json() if flag(request, "full_info") else entry.path, headers=headers)


async def delete_file(request: web.Request) -> web.Response:
    """Remove a file."""
    await in_thread(files_of(request).delete, request.match_info["file"], request.headers.get("If-Match", ""))
    return web.Response(status=204)


async def move_file(request: web.Request) -> web.Response:
    """Rename a file. 409 when the new name is taken and `overwrite=false`."""
    names = request.match_info
    overwrite = flag(request, "overwrite", default=True)
    entry: Entry = await in_thread(files_of(request).move, names["file"], names["dest"], overwrite)
    return described(request, entry, {})


NO_SETTINGS = '"none"'
"""The revision before anything was set."""


def read_settings(files: UserFiles) -> tuple[dict[str, Any], str]:
    """All settings and their revision; a broken file counts as empty."""
    try:
        content, etag = files.read(SETTINGS)
    except web.HTTPNotFound:
        return {}, NO_SETTINGS
    try:
        settings = json.loads(content)
    except (ValueError, RecursionError):
        settings = None
    return (settings, etag) if isinstance(settings, dict) else ({}, etag)


async def get_settings(request: web.Request) -> web.Response:
    """All settings, with their revision as ETag; a header tells whether there are several users."""
    settings, etag = await in_thread(read_settings, files_of(request))
    several = {SEVERAL: "several"} if parts(request).users.several else {}
    return json_text(json.dumps(settings), headers={"ETag": etag, **several})


async def get_setting(request: web.Request) -> web.Response:
    """One setting, null when it is not set."""
    settings, etag = await in_thread(read_settings, files_of(request))
    return json_text(json.dumps(settings.get(request.match_info["id"])), headers={"ETag": etag})


async def post_settings(request: web.Request) -> web.Response:
    """Merge an object of settings into the kept ones."""
    here = parts(request)
    changes = await read_json(request, here.limits.body, here.limits.depth)
    if not isinstance(changes, dict):
        raise refusal(400, "invalid_request", "Settings are a JSON object of values by id.")
    return await merge(request, changes)


async def post_setting(request: web.Request) -> web.Response:
    """Set one setting to the JSON value in the body."""
    here = parts(request)
    value = await read_json(request, here.limits.body, here.limits.depth)
    return await merge(request, {request.match_info["id"]: value})


async def merge(request: web.Request, changes: Mapping[str, Any]) -> web.Response:
    """Write changed settings, within If-Match if there is one; tries again when another write came
    between.
    """
    if not all(0 < len(name) <= MOST_NAME and name.isprintable() for name in changes):
        raise refusal(
            400, "invalid_request", f"The id of a setting has 1 to {MOST_NAME} printable characters."
        )
    files, asked = files_of(request), request.headers.get("If-Match", "")
    for _ in range(ATTEMPTS):
        settings, etag = await in_thread(read_settings, files)
        if asked and not matches(asked, etag):
            break
        content = dumps({**settings, **changes}).encode()
        bound = (etag, "") if etag != NO_SETTINGS else ("", "*")
        try:
            await in_thread(files.write, SETTINGS, content, True, *bound)
        except web.HTTPPreconditionFailed:
            continue
        return web.Response(headers={"ETag": revision(content)})
    raise refusal(412, "changed", "The settings have been changed since you read them; load them again.")
