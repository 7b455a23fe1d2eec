"""Errors as the assets API and Comfy API v2 tell them: `{"error": {"code", "message", "details"}}`."""

import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from aiohttp import web

from server.answers import JSON_TYPE, answer, dumps
from server.database import Unstorable

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Refusal(Exception):
    """A request that is not followed: a status, a word for programs, a sentence for people."""

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        details: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self.status, self.code, self.message = status, code, message
        self.details, self.headers = details, headers
        super().__init__(message)

    def answer(self, spelled: Callable[[str], str]) -> web.Response:
        """The refusal as a response."""
        code = spelled(self.code)
        error = {"code": code, "type": code, "message": self.message, "details": self.details}
        return answer({"error": error}, self.status, self.headers)


def enveloped(handler: Handler, spelled: Callable[[str], str] = str) -> Handler:
    """The handler, with whatever it refuses told in an envelope; `spelled` is how codes are written."""

    async def guarded(request: web.Request) -> web.StreamResponse:
        try:
            return await handler(request)
        except Refusal as refusal:
            return refusal.answer(spelled)
        except Unstorable as error:
            message = f"The request has a value that cannot be kept: {error}."
            return Refusal(400, "invalid_value", message).answer(spelled)
        except web.HTTPException as error:
            if error.status < 400 or error.content_type != JSON_TYPE:
                raise
            raise reshaped(error, spelled) from error

    return guarded


def reshaped(error: web.HTTPException, spelled: Callable[[str], str]) -> web.HTTPException:
    """An error of the other routes, such as a body that is too large, in an envelope."""
    told = json.loads(error.text or "{}").get("error", {})
    details = {"text": told["details"]} if told.get("details") else None
    code = spelled(str(told.get("type", "error")))
    error.text = dumps(
        {
            "error": {
                "code": code,
                "type": code,
                "message": told.get("message", error.reason),
                "details": details,
            }
        }
    )
    return error
