"""/api/v2/assets: files in and out by id and by the hash of their bytes."""

import time
from typing import Any

from aiohttp import web

from server.answers import answer, dumps
from server.assets.hashing import is_hash
from server.assets.records import Asset
from server.assets.taking import Order, checked_hash, kind_of, put_in_place
from server.bodies import read_object
from server.envelopes import Refusal, enveloped
from server.parts import Parts, parts, session
from server.routes.assets import send_asset, tags_of
from server.routes.v2.views import asset_view
from server.uploads import Received, read_parts

LEAST_SECONDS, MOST_SECONDS = 60, 604_800
"""How long an asset that expires is kept."""
MOST_KEY = 255


def routes() -> list[web.RouteDef]:
    return [
        web.post("/api/v2/assets", enveloped(post_asset)),
        web.post("/api/v2/assets/from-hash", enveloped(post_from_hash)),
        web.head("/api/v2/assets/by-hash/{hash}", enveloped(head_hash)),
        web.get("/api/v2/assets/{id}", enveloped(get_asset), allow_head=False),
        web.delete("/api/v2/assets/{id}", enveloped(delete_asset)),
        web.get("/api/v2/assets/{id}/content", enveloped(get_content)),
    ]


def invalid(message: str, **details: Any) -> Refusal:
    """A request that cannot be meant."""
    return Refusal(422, "invalid_request", message, details or None)


def idempotency_key(request: web.Request) -> str | None:
    """The key of a request that may be sent more than once."""
    key = request.headers.get("Idempotency-Key")
    if key is not None and not (0 < len(key) <= MOST_KEY and key.isascii() and key.isprintable()):
        raise invalid(f"Idempotency-Key has 1 to {MOST_KEY} printable ASCII characters.")
    return key


def reused() -> Refusal:
    """A key that asked for something else before."""
    return Refusal(422, "idempotency_key_reuse", "This Idempotency-Key came with another request before.")


def expiry(given: object) -> dict[str, float]:
    """The time that `expires_in` means, if it is given."""
    if given in (None, ""):
        return {}
    seconds = int(given) if isinstance(given, str) and given.isascii() and given.isdigit() else given
    whole = isinstance(seconds, int) and not isinstance(seconds, bool)
    if not isinstance(seconds, int) or not whole or not LEAST_SECONDS <= seconds <= MOST_SECONDS:
        raise invalid(f"expires_in is a whole number of seconds from {LEAST_SECONDS} to {MOST_SECONDS}.")
    return {"expires": time.time() + seconds}


def order_of(received: Received) -> Order:
    """What an upload asks for; 422 when a part is missing."""
    fields = received.fields
    wanting = [name for name in ("content_type", "file_path") if not fields.get(name)]
    if received.form is None or wanting:
        names = ", ".join((["file"] if received.form is None else []) + wanting)
        raise invalid(f"The form lacks {names}.", missing=names)
    several = received.repeated.get("tags", [])
    tags = tags_of(several if len(several) > 1 else fields.get("tags"))
    described = {"type": fields["content_type"][:256], "tags": tags, **expiry(fields.get("expires_in"))}
    return Order(kind_of(tags), fields["file_path"], fields.get("expected_hash") or None, described)


async def post_asset(request: web.Request) -> web.Response:
    """Take a file: 201 with a new asset, 200 with the one that has these bytes. Repeated with the same
    Idempotency-Key it is the same asset.
    """
    here, key = parts(request), idempotency_key(request)
    await here.assets.expire()
    received = await read_parts(request, here.settings.spool, here.limits.upload, "file")
    try:
        order = order_of(received)
        assert received.form is not None, "order_of has seen the file"
        hash = await checked_hash(received.form.file, order)
        said = dumps([hash, order.name, order.kind])
        before = await here.assets.answered(session(request), key) if key is not None else None
        if before is not None:
            if before[0] != said:
                raise reused()
            return answer(asset_view(request, before[1], created_new=False))
        asset, is_new = await put_in_place(here.assets, here.folders, received.form.file, order, hash)
    finally:
        received.discard()
    if key is not None:
        await here.assets.answer_once(session(request), key, said, asset)
    return answer(asset_view(request, asset, created_new=is_new), 201 if is_new else 200)


async def post_from_hash(request: web.Request) -> web.Response:
    """An asset of bytes that are here, by `{"hash", "file_path", "tags", "expires_in"}`; 404 when they are
    not.
    """
    here = parts(request)
    body = await read_object(request, here.limits.body, here.limits.depth)
    hash, name = body.get("hash"), body.get("file_path")
    if not isinstance(hash, str) or not (name is None or isinstance(name, str)):
        raise invalid("hash must be a text, and file_path one if it is given.")
    described = {"tags": tags_of(body.get("tags")), **expiry(body.get("expires_in"))}
    found = await here.assets.by_hash(hash) if is_hash(hash) else None
    if found is None:
        raise Refusal(404, "blob_not_found", "There are no bytes of this hash; upload them.")
    known = await here.assets.first_of(hash, name)
    if known is not None and "expires" not in described:
        asset = await here.assets.describe(known.id, described)
        return answer(asset_view(request, asset or known, created_new=False))
    asset = await here.assets.refer(hash, name, described)
    if asset is None:
        raise Refusal(404, "blob_not_found", "There are no bytes of this hash; upload them.")
    return answer(asset_view(request, asset, created_new=False), 201)


async def head_hash(request: web.Request) -> web.Response:
    """200 when there are bytes of this hash, else 404."""
    hash = request.match_info["hash"]
    found = await parts(request).assets.by_hash(hash) if is_hash(hash) else None
    return web.Response(status=404 if found is None else 200)


async def known_asset(request: web.Request) -> Asset:
    """The asset in the path; 404 when there is none."""
    here: Parts = parts(request)
    asset = await here.assets.find(request.match_info["id"])
    if asset is None:
        raise Refusal(404, "not_found", "There is no asset of this id.")
    return asset


async def get_asset(request: web.Request) -> web.Response:
    """One asset."""
    return answer(asset_view(request, await known_asset(request)))


async def delete_asset(request: web.Request) -> web.Response:
    """Drop an asset and its file, unless that is a model or another asset's."""
    await parts(request).assets.delete(await known_asset(request), with_content=True)
    return web.Response(status=204)


async def get_content(request: web.Request) -> web.StreamResponse:
    """An asset's bytes, with ranges."""
    return await send_asset(request, await known_asset(request), inline=False)
