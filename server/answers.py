"""How the server answers: JSON, and refusals that say what to do. Every refusal has the same shape."""

import json
from collections.abc import Mapping
from typing import Any, NoReturn

from aiohttp import web

JSON_TYPE = "application/json"
ERRORS: dict[int, type[web.HTTPException]] = {
    400: web.HTTPBadRequest,
    401: web.HTTPUnauthorized,
    403: web.HTTPForbidden,
    404: web.HTTPNotFound,
    409: web.HTTPConflict,
    412: web.HTTPPreconditionFailed,
    415: web.HTTPUnsupportedMediaType,
    416: web.HTTPRequestRangeNotSatisfiable,
    421: web.HTTPMisdirectedRequest,
    422: web.HTTPUnprocessableEntity,
    503: web.HTTPServiceUnavailable,
    507: web.HTTPInsufficientStorage,
}


def dumps(document: object) -> str:
    """Compact ASCII JSON: safe to store whatever strings came in. ValueError on NaN and infinities."""
    return json.dumps(document, separators=(",", ":"), allow_nan=False)


def answer(document: object, status: int = 200, headers: Mapping[str, str] | None = None) -> web.Response:
    """A JSON response."""
    return json_text(dumps(document), status, headers)


def json_text(text: str, status: int = 200, headers: Mapping[str, str] | None = None) -> web.Response:
    """A response of JSON that is text already."""
    return web.Response(text=text, status=status, content_type=JSON_TYPE, headers=headers)


def problem(
    kind: str, message: str, details: str = "", extra: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """ComfyUI's shape of an error, which its clients know how to show."""
    error = {"type": kind, "message": message, "details": details, "extra_info": dict(extra or {})}
    return {"error": error, "node_errors": {}}


def refusal(status: int, kind: str, message: str, details: str = "") -> web.HTTPException:
    """An exception that answers with `status` and a JSON text naming the problem."""
    text = dumps(problem(kind, message, details))
    if status == 405:
        return web.HTTPMethodNotAllowed("POST", ["GET"], text=text, content_type=JSON_TYPE)
    if status == 413:
        return web.HTTPRequestEntityTooLarge(max_size=0, actual_size=0, text=text, content_type=JSON_TYPE)
    return ERRORS[status](text=text, content_type=JSON_TYPE)


def not_found() -> NoReturn:
    """The one 404: equal for what is absent and for what must not be reached."""
    raise refusal(404, "not_found", "Not found.")
