"""/upload/image and /upload/mask: pictures that prompts may load."""

import asyncio
import json
import logging
import sqlite3
from pathlib import Path
from typing import Any

from aiohttp import web

from execution.files.partial import claimed
from server.answers import answer, refusal
from server.assets.places import Place
from server.assets.shown import shown
from server.parts import Parts, parts
from server.routes.view import stored
from server.uploads import Destination, Form, destination, put_or_refuse, read_form

logger = logging.getLogger(__name__)


def routes() -> list[web.RouteDef]:
    return [web.post("/upload/image", post_image), web.post("/upload/mask", post_mask)]


def overwrites(form: Form) -> bool:
    return form.fields.get("overwrite", "").lower() in ("true", "1")


async def placed(here: Parts, place: Destination, name: str) -> web.Response:
    """`{"name", "subfolder", "type", "asset"}`."""
    try:
        noted = await here.assets.note(Place(place.root, f"{place.subfolder}/{name}".lstrip("/")))
    except sqlite3.Error as error:
        logger.warning("The upload %s is no asset yet: %s", name, error)
        noted = None
    asset = {"asset": shown(noted)} if noted is not None else {}
    return answer({"name": name, "subfolder": place.subfolder, "type": place.root, **asset})


async def post_image(request: web.Request) -> web.Response:
    """Take a picture: parts `image`, `type`, `subfolder`, `overwrite`. A taken name gets a number unless the
    bytes are equal.
    """
    here = parts(request)
    form = await read_form(request, here.settings.spool, here.limits.upload)
    try:
        place = destination(here.folders, form)
        name = await asyncio.to_thread(put_or_refuse, form.file, place, overwrites(form))
    finally:
        form.discard()
    return await placed(here, place, name)


def original(here: Parts, text: str) -> Path | None:
    """The picture that `original_ref` names, None when it is not there; 400 when no picture can be meant."""
    if not text:
        return None
    try:
        reference: Any = json.loads(text)
        root, name = reference.get("type", "output"), reference["filename"]
        subfolder = reference.get("subfolder", "")
        fit = all(isinstance(each, str) for each in (root, name, subfolder))
    except (ValueError, KeyError, AttributeError, RecursionError):
        fit = False
    if not fit:
        message = 'original_ref must be JSON: {"filename", "subfolder", "type"}.'
        raise refusal(400, "bad_original_ref", message)
    try:
        path = stored(here, root, subfolder, name)
    except web.HTTPNotFound:
        return None
    return path if path.is_file() else None


async def post_mask(request: web.Request) -> web.Response:
    """Store the picture `original_ref` with the alpha of the uploaded one; without such a picture, the
    uploaded one as it is.
    """
    here = parts(request)
    form = await read_form(request, here.settings.spool, here.limits.upload)
    try:
        place = destination(here.folders, form)
        path = original(here, form.fields.get("original_ref", ""))
        if path is None:
            name = await asyncio.to_thread(put_or_refuse, form.file, place, overwrites(form))
        else:
            with form.file.open("rb") as mask:
                merged = await here.pictures.masked(path, mask)
            name = await asyncio.to_thread(put_bytes, merged, here.settings.spool, place, overwrites(form))
    finally:
        form.discard()
    return await placed(here, place, name)


def put_bytes(content: bytes, spool: Path, place: Destination, overwrite: bool) -> str:
    """Put bytes in place like an uploaded file."""
    file, path = claimed(spool)
    try:
        with file:
            file.write(content)
            file.flush()
            return put_or_refuse(path, place, overwrite)
    finally:
        path.unlink(missing_ok=True)
