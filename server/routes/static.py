"""The editor's page and files, and the scripts that packs bring for it. Comes last: it takes every other
address.
"""

from aiohttp import web

from server.answers import not_found
from server.parts import parts
from server.routes.system import web_folders
from server.statics import inside


def routes() -> list[web.RouteDef]:
    return [
        web.get("/extensions/{pack}/{name:.*}", get_pack_file),
        web.get("/", get_page),
        web.get("/{name:.*}", get_file),
    ]


async def get_page(request: web.Request) -> web.StreamResponse:
    """The editor."""
    here = parts(request)
    return await here.statics.send(request, inside(here.settings.web_root, "index.html"))


async def get_file(request: web.Request) -> web.StreamResponse:
    """A file of the editor."""
    here = parts(request)
    return await here.statics.send(request, inside(here.settings.web_root, request.match_info["name"]))


async def get_pack_file(request: web.Request) -> web.StreamResponse:
    """A file of a pack's web folder; `core` is the editor's own extensions folder."""
    here, names = parts(request), request.match_info
    folder = web_folders(here).get(names["pack"])
    if folder is None:
        if names["pack"] != "core":
            not_found()
        return await here.statics.send(
            request, inside(here.settings.web_root, f"extensions/core/{names['name']}")
        )
    return await here.statics.send(request, inside(folder, names["name"]))
