"""/api/assets: files by id and by the hash of their bytes, with tags and what else is said of them.

Below /api only: /assets itself is where ComfyUI's own front end keeps its files.
"""

import json
import re
from collections.abc import Mapping
from typing import Any

from aiohttp import web

from server.answers import answer
from server.assets.hashing import is_hash
from server.assets.records import SORTS, Asset, Wanted
from server.assets.seeding import KINDS
from server.assets.shown import shown
from server.assets.taking import Order, described_by, take
from server.bodies import read_object
from server.envelopes import Handler, Refusal, enveloped
from server.files import send_user_file
from server.parts import Parts, parts
from server.routes.history import whole
from server.uploads import read_parts

MOST = 500
MOST_TAGS = 100
MOST_COUNTED = 1_000
TAG = re.compile(r"[^\s,](?:[^,\x00-\x1f\x7f]{0,254}[^\s,])?")
FIELDS = {"name": str, "mime_type": str, "preview_id": str, "user_metadata": dict}
"""What PUT may set, and as what."""


def routes() -> list[web.RouteDef]:
    return [
        web.get("/api/assets", told(get_assets), allow_head=False),
        web.post("/api/assets", told(post_asset)),
        web.post("/api/assets/from-hash", told(post_from_hash)),
        web.head("/api/assets/hash/{hash}", told(head_hash)),
        web.get("/api/assets/tags/refine", told(get_refined_tags), allow_head=False),
        web.post("/api/assets/seed", told(post_seed)),
        web.get("/api/assets/seed/status", told(get_seed_status), allow_head=False),
        web.post("/api/assets/seed/cancel", told(post_seed_cancel)),
        web.post("/api/assets/prune", told(post_prune)),
        web.post("/api/assets/download", told(post_download)),
        web.get("/api/assets/{id}", told(get_asset), allow_head=False),
        web.put("/api/assets/{id}", told(put_asset)),
        web.delete("/api/assets/{id}", told(delete_asset)),
        web.get("/api/assets/{id}/content", told(get_content)),
        web.post("/api/assets/{id}/tags", told(post_tags)),
        web.delete("/api/assets/{id}/tags", told(delete_tags)),
        web.get("/api/tags", told(get_tags), allow_head=False),
    ]


def told(handler: Handler) -> Handler:
    """The handler, with errors as this API tells them: codes in capitals."""
    return enveloped(handler, str.upper)


# reading


def words(request: web.Request, *names: str) -> tuple[str, ...]:
    """A list of the query, by commas or repeated, under one of its names."""
    given = [name for name in names if name in request.query]
    if len(given) > 1:
        raise Refusal(400, "INVALID_TAG_FILTER", f"Give only one of {' and '.join(given)}.")
    texts = request.query.getall(given[0]) if given else []
    found = tuple(dict.fromkeys(word.strip() for text in texts for word in text.split(",") if word.strip()))
    if len(found) > MOST_TAGS:
        raise Refusal(400, "INVALID_TAG_FILTER", f"{given[0]} may have at most {MOST_TAGS} tags.")
    return found


def one_of(request: web.Request, name: str, choices: tuple[str, ...]) -> str:
    """A word of the query, the first of its choices if it is not given."""
    text = request.query.get(name) or choices[0]
    if text not in choices:
        raise Refusal(400, "INVALID_QUERY", f"{name} must be one of {', '.join(choices)}.")
    return text


def page_size(request: web.Request, default: int, most: int) -> int:
    """The `limit` of a list."""
    limit = whole(request, "limit", most)
    if limit == 0:
        raise Refusal(400, "INVALID_QUERY", "limit must be 1 or more.")
    return default if limit is None else limit


def metadata_filter(text: str) -> dict[str, Any]:
    """What `metadata_filter` asks for: a JSON object of plain values, or of lists of values that all do."""
    try:
        found = json.loads(text or "{}")
    except (ValueError, RecursionError):
        found = None
    plain = str | int | float | bool | None
    if isinstance(found, dict) and all(
        '"' not in name
        and all(isinstance(each, plain) for each in (value if isinstance(value, list) else [value]))
        for name, value in found.items()
    ):
        return found
    raise Refusal(400, "INVALID_QUERY", "metadata_filter must be a JSON object of plain values by name.")


def wanted_of(request: web.Request) -> Wanted:
    """The assets that a query asks for."""
    query = request.query
    hash = query.get("hash")
    if hash is not None and not is_hash(hash):
        raise Refusal(400, "INVALID_HASH", "hash must be blake3: and 64 hexadecimal digits.")
    return Wanted(
        limit=page_size(request, 20, MOST),
        offset=whole(request, "offset") or 0,
        after=query.get("after") or None,
        sort=one_of(request, "sort", ("created_at", *SORTS)),
        ascending=one_of(request, "order", ("desc", "asc")) == "asc",
        all_tags=words(request, "tags_all", "include_tags"),
        any_tags=words(request, "tags_any"),
        no_tags=words(request, "tags_none", "exclude_tags"),
        name_contains=query.get("name_contains", ""),
        metadata=metadata_filter(query.get("metadata_filter", "")),
        hash=hash,
    )


async def known_asset(request: web.Request) -> Asset:
    """The asset in the path; 404 when there is none."""
    asset = await parts(request).assets.find(request.match_info["id"])
    if asset is None:
        raise Refusal(404, "ASSET_NOT_FOUND", "There is no asset of this id.")
    return asset


async def get_assets(request: web.Request) -> web.Response:
    """A page of assets: by tags, name, metadata, hash; sorted; with a cursor to the next page."""
    found, total, cursor = await parts(request).assets.page(wanted_of(request))
    more = {"next_cursor": cursor} if cursor else {}
    return answer(
        {"assets": [shown(asset) for asset in found], "total": total, "has_more": bool(cursor), **more}
    )


async def get_asset(request: web.Request) -> web.Response:
    """One asset. Of a large file whose hash is not known yet, the hash is begun."""
    asset = await known_asset(request)
    if asset.hash is None:
        parts(request).background(parts(request).assets.hash_later(asset))
    return answer(shown(asset))


async def head_hash(request: web.Request) -> web.Response:
    """200 when there are bytes of this hash, else 404."""
    hash = request.match_info["hash"]
    if not is_hash(hash):
        return web.Response(status=400)
    return web.Response(status=200 if await parts(request).assets.by_hash(hash) else 404)


async def get_content(request: web.Request) -> web.StreamResponse:
    """An asset's bytes, as a download; pictures, sound and film also `disposition=inline`."""
    return await send_asset(
        request,
        await known_asset(request),
        one_of(request, "disposition", ("attachment", "inline")) == "inline",
    )


async def send_asset(request: web.Request, asset: Asset, inline: bool) -> web.StreamResponse:
    """Send an asset's bytes under its name; never as active content."""
    found = await parts(request).assets.whereabouts(asset)
    if found is None:
        raise Refusal(404, "FILE_NOT_FOUND", "The file of this asset is gone.")
    return await send_user_file(request, found[1], asset.name, inline)


async def get_tags(request: web.Request) -> web.Response:
    """The tags in use, the most used first; those that start with `prefix`."""
    limit, offset = page_size(request, 100, MOST_COUNTED), whole(request, "offset") or 0
    prefix = request.query.get("prefix", "")
    found, total = await parts(request).assets.count_tags(Wanted(), prefix, limit, offset)
    listed = [{"name": tag, "count": count, "type": "user"} for tag, count in found]
    return answer({"tags": listed, "total": total, "has_more": offset + len(listed) < total})


async def get_refined_tags(request: web.Request) -> web.Response:
    """How many of the assets that a query asks for have each tag."""
    found, _ = await parts(request).assets.count_tags(
        wanted_of(request), most=page_size(request, 100, MOST_COUNTED)
    )
    return answer({"tag_counts": dict(found)})


# changing


async def post_asset(request: web.Request) -> web.Response:
    """Take a file (`file`, `name`, `tags`, `user_metadata`, `mime_type`, `preview_id`, `hash`), or, with a
    `hash` alone, refer to bytes that are here: 201 with a new asset, 200 with the one that there is.
    """
    here = parts(request)
    received = await read_parts(request, here.settings.spool, here.limits.upload, "file")
    try:
        order = Order.of(received, tags_of)
        if received.form is not None:
            asset, is_new = await take(here.assets, here.folders, received.form.file, order)
        else:
            asset, is_new = await referred(here, order.hash, order.name, order.described), False
    finally:
        received.discard()
    return answer({**shown(asset), "created_new": is_new}, 201 if is_new else 200)


async def post_from_hash(request: web.Request) -> web.Response:
    """`{"hash", "name", "tags", "user_metadata", …}`: a new asset of bytes that are here; 404 when they are
    not.
    """
    here = parts(request)
    body = await read_object(request, here.limits.body, here.limits.depth)
    described = described_by({**body, "tags": tags_of(body.get("tags"))})
    name = body.get("name")
    if name is not None and not isinstance(name, str):
        raise Refusal(400, "INVALID_BODY", "name must be a text.")
    asset = await referred(here, body.get("hash"), name, described)
    return answer({**shown(asset), "created_new": False}, 201)


async def referred(here: Parts, hash: object, name: str | None, described: Mapping[str, Any]) -> Asset:
    """A new asset of bytes by their hash."""
    if not isinstance(hash, str) or not is_hash(hash):
        raise Refusal(400, "INVALID_HASH", "hash must be blake3: and 64 hexadecimal digits.")
    asset = await here.assets.refer(hash, name, described)
    if asset is None:
        raise Refusal(404, "ASSET_NOT_FOUND", "There are no bytes of this hash; upload them.")
    return asset


def tags_of(given: object) -> tuple[str, ...]:
    """Tags as a list, as JSON of a list, or as words between commas; each a short text without commas."""
    if isinstance(given, str):
        given = json_list(given)
    found = given if given is not None else []
    if not isinstance(found, list) or not all(isinstance(tag, str) for tag in found):
        raise Refusal(400, "INVALID_BODY", "tags must be a list of texts.")
    tags = tuple(dict.fromkeys(tag.strip() for tag in found if tag.strip()))
    if len(tags) > MOST_TAGS or not all(TAG.fullmatch(tag) for tag in tags):
        message = f"There may be {MOST_TAGS} tags, each of up to 256 characters without commas."
        raise Refusal(400, "INVALID_BODY", message)
    return tags


def json_list(text: str) -> object:
    """What a form's field says: JSON if it looks like a list, else words between commas."""
    if not text.strip().startswith("["):
        return text.split(",")
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None if not text.strip() else 0


async def put_asset(request: web.Request) -> web.Response:
    """Set `name`, `mime_type`, `preview_id` or `user_metadata`."""
    here, asset = parts(request), await known_asset(request)
    body = await read_object(request, here.limits.body, here.limits.depth)
    given = {name: value for name, value in body.items() if name in FIELDS and value is not None}
    if not given:
        raise Refusal(400, "INVALID_BODY", f"Give at least one of {', '.join(FIELDS)}.")
    described = described_by(given)
    if "preview" in described and await here.assets.find(described["preview"]) is None:
        raise Refusal(404, "ASSET_NOT_FOUND", "There is no asset of the id preview_id.")
    if not described.get("name", "x").strip():
        raise Refusal(400, "INVALID_BODY", "name must not be empty.")
    return answer(shown(await here.assets.describe(asset.id, described) or asset))


async def delete_asset(request: web.Request) -> web.Response:
    """Drop an asset; with `delete_content=true` its file too, if it is no model and no other asset's."""
    asset = await known_asset(request)
    with_content = one_of(request, "delete_content", ("false", "true")) == "true"
    await parts(request).assets.delete(asset, with_content)
    return web.Response(status=204)


async def posted_tags(request: web.Request) -> tuple[str, ...]:
    """The tags of `{"tags": […]}`, at least one."""
    here = parts(request)
    body = await read_object(request, here.limits.body, here.limits.depth)
    tags = tags_of(body.get("tags"))
    if not tags:
        raise Refusal(400, "INVALID_BODY", "tags must be a list of texts, at least one.")
    return tags


async def post_tags(request: web.Request) -> web.Response:
    """Add the tags of `{"tags": […]}`."""
    here, asset, tags = parts(request), await known_asset(request), await posted_tags(request)
    if len({*asset.tags, *tags}) > MOST_TAGS:
        raise Refusal(422, "TOO_MANY_TAGS", f"An asset may have {MOST_TAGS} tags.")
    changed = await here.assets.describe(asset.id, {"tags": tags}) or asset
    already = [tag for tag in tags if tag in asset.tags]
    added = [tag for tag in tags if tag not in asset.tags]
    return answer({"added": added, "already_present": already, "total_tags": list(changed.tags)})


async def delete_tags(request: web.Request) -> web.Response:
    """Take away the tags of `{"tags": […]}`; those that tell where the file is stay."""
    here, asset, tags = parts(request), await known_asset(request), await posted_tags(request)
    if set(tags) & set(asset.place.tags):
        raise Refusal(422, "RESERVED_TAG", f"{', '.join(asset.place.tags)} tell where the file is, and stay.")
    await here.assets.untag(asset.id, tags)
    removed, absent = (
        [tag for tag in tags if tag in asset.tags],
        [tag for tag in tags if tag not in asset.tags],
    )
    left = [tag for tag in asset.tags if tag not in tags]
    return answer({"removed": removed, "not_present": absent, "total_tags": left})


# the folders


async def post_seed(request: web.Request) -> web.Response:
    """Note all files of the `roots` (`models`, `input`, `output`, `temp`; all of them by default) as assets;
    with `compute_hashes` each new one is read, too. 202 at once, or, with `wait=true`, 200 at the end.
    """
    here = parts(request)
    body = await read_object(request, here.limits.body, here.limits.depth)
    roots = body.get("roots", list(KINDS))
    if not isinstance(roots, list) or not roots or not all(root in KINDS for root in roots):
        raise Refusal(400, "INVALID_BODY", f"roots must be a list of some of {', '.join(KINDS)}.")
    if here.seeding.is_running:
        return answer({"status": "already_running"}, 409)
    waits = one_of(request, "wait", ("false", "true")) == "true"
    work = here.seeding.start(dict.fromkeys(roots), bool(body.get("compute_hashes")))
    if not waits:
        here.background(work)
        return answer({"status": "started"}, 202)
    await work
    scan = here.seeding.last
    return answer({"status": "completed", "progress": scan.to_json(), "errors": scan.errors})


async def get_seed_status(request: web.Request) -> web.Response:
    """How far the walk over the folders is."""
    seeding = parts(request).seeding
    return answer({"state": seeding.state, "progress": seeding.last.to_json(), "errors": seeding.last.errors})


async def post_seed_cancel(request: web.Request) -> web.Response:
    """Stop the walk over the folders."""
    return answer({"status": "cancelling" if parts(request).seeding.cancel() else "idle"})


async def post_download(request: web.Request) -> web.Response:
    """Refused: the server fetches nothing from the network."""
    message = (
        "This server fetches nothing from the network. Upload the file, or put it in its folder and seed."
    )
    raise Refusal(403, "DOWNLOADS_DISABLED", message)


async def post_prune(request: web.Request) -> web.Response:
    """Tag the assets whose files are gone as `missing`, and delete those whose time has run out."""
    here = parts(request)
    if here.seeding.is_running:
        return answer({"status": "scan_running", "marked": 0}, 409)
    await here.assets.expire()
    return answer({"status": "completed", "marked": await here.assets.prune()})
