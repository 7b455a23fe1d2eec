"""/history: what ended, in pages."""

from collections.abc import AsyncIterator

from aiohttp import web

from server.answers import json_text, refusal
from server.bodies import read_object
from server.files import matches
from server.parts import Parts, parts
from server.routes.queue import ids, joined, stream_json


def routes() -> list[web.RouteDef]:
    return [
        web.get("/history", get_history),
        web.get("/history/{prompt_id}", get_one),
        web.post("/history", post_history),
    ]


def whole(request: web.Request, name: str, most: int = 2**31) -> int | None:
    """A whole number of the query, at most `most`; None when it is not given or -1; 400 when it is none."""
    text = request.query.get(name, "")
    if not text or text == "-1":
        return None
    if not text.isascii() or not text.isdigit():
        raise refusal(400, "invalid_request", f"{name} must be a whole number.")
    return most if len(text) >= 18 else min(int(text), most)


async def get_history(request: web.Request) -> web.StreamResponse:
    """The newest `max_items` entries, or as many from `offset` on; oldest first."""
    here = parts(request)
    most, offset = whole(request, "max_items"), whole(request, "offset")
    etag = f'"{here.started:.3f}-{here.store.revision}"'
    if matches(request.headers.get("If-None-Match", ""), etag):
        return web.Response(status=304, headers={"ETag": etag})
    return await stream_json(request, history_text(here, most, offset), etag)


async def history_text(here: Parts, most: int | None, offset: int | None) -> AsyncIterator[str]:
    yield "{"
    async for piece in joined(here.store.history(most, offset)):
        yield piece
    yield "}"


async def get_one(request: web.Request) -> web.Response:
    """One entry by its id, `{}` while there is none."""
    return json_text(await parts(request).store.history_of(request.match_info["prompt_id"]))


async def post_history(request: web.Request) -> web.Response:
    """`{"clear": true}` drops all entries, `{"delete": [ids]}` some."""
    here = parts(request)
    body = await read_object(request, here.limits.body, here.limits.depth)
    if body.get("clear"):
        await here.store.forget(None)
    if "delete" in body:
        await here.store.forget(ids(body["delete"]))
    return web.Response()
