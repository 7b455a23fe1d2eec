"""Reading request bodies within their caps: bytes, JSON documents, multipart parts."""

import asyncio
import json
from typing import Any, NoReturn

from aiohttp import BodyPartReader, web

from server.answers import JSON_TYPE, refusal

CHUNK = 2**16
OFF_LOOP = 2**18
"""From this size on a document is parsed in a thread, so that the loop stays free."""


def too_large(cap: int) -> web.HTTPException:
    """The 413 that names its cap."""
    return refusal(
        413, "too_large", f"The body is larger than {cap / 2**20:g} MB, the most that is taken here."
    )


async def read_bytes(request: web.Request, cap: int) -> bytes:
    """The whole body. 413 as soon as it is known to be longer than `cap` bytes."""
    if (request.content_length or 0) > cap:
        raise too_large(cap)
    body = bytearray()
    async for chunk in request.content.iter_chunked(CHUNK):
        body += chunk
        if len(body) > cap:
            raise too_large(cap)
    return bytes(body)


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def is_deeper(document: object, levels: int) -> bool:
    """Whether lists and objects nest deeper than `levels`. Walks level by level, never by recursion."""
    level = [document] if isinstance(document, dict | list) else []
    for _ in range(levels):
        level = [
            child
            for parent in level
            for child in (parent.values() if isinstance(parent, dict) else parent)
            if isinstance(child, dict | list)
        ]
        if not level:
            return False
    return True


def document(body: bytes, levels: int) -> Any:
    """Parse JSON strictly: no NaN or Infinity, no number beyond a double, no deeper than `levels`. ValueError
    says why.
    """
    try:
        parsed = json.loads(body, parse_constant=_refuse_constant, parse_float=_finite)
    except RecursionError:
        parsed, too_deep = None, True
    else:
        too_deep = is_deeper(parsed, levels)
    if too_deep:
        raise ValueError(f"nested deeper than {levels} levels")
    return parsed


def _finite(text: str) -> float:
    number = float(text)
    if number in (float("inf"), float("-inf")):
        raise ValueError(f"{text[:40]} is too large a number")
    return number


async def read_json(request: web.Request, cap: int, levels: int, default: object = None) -> Any:
    """The body as a JSON document; `default`, when given, stands for an empty body.

    Taken under any content type, as long as it is JSON: 400 when it is not, 413 when it is too long, 415 when
    it neither is JSON nor says so.
    """
    body = await read_bytes(request, cap)
    if not body.strip() and default is not None:
        return default
    try:
        if len(body) > OFF_LOOP:
            return await asyncio.to_thread(document, body, levels)
        return document(body, levels)
    except ValueError as error:
        if request.content_type != JSON_TYPE and "Content-Type" in request.headers:
            message = "Send the body as JSON, with Content-Type: application/json."
            raise refusal(415, "unsupported_type", message) from error
        raise refusal(400, "invalid_json", "The body is not valid JSON.", str(error)[:200]) from error


async def read_object(request: web.Request, cap: int, levels: int) -> dict[str, Any]:
    """The body as a JSON object; an empty body counts as {}."""
    parsed = await read_json(request, cap, levels, default={})
    if not isinstance(parsed, dict):
        raise refusal(400, "invalid_json", "The body must be a JSON object.")
    return parsed


async def read_field(part: BodyPartReader, cap: int = 65_536) -> str:
    """The text of a small multipart field."""
    text = bytearray()
    while chunk := await part.read_chunk(CHUNK):
        text += chunk
        if len(text) > cap:
            raise too_large(cap)
    try:
        return text.decode()
    except UnicodeDecodeError as error:
        raise refusal(400, "invalid_field", "A form field is not UTF-8 text.") from error
