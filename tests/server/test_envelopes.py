"""Errors in envelopes: ours, and those of the parts that speak in another shape."""

import json
from typing import NoReturn

import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request

from server.answers import refusal
from server.envelopes import Refusal, enveloped


async def test_refusals_come_in_an_envelope() -> None:
    async def refuse(request: web.Request) -> NoReturn:
        raise Refusal(429, "queue_full", "Later.", {"most": 7}, {"Retry-After": "5"})

    request = make_mocked_request("GET", "/")
    answered = await enveloped(refuse, str.upper)(request)
    assert isinstance(answered, web.Response)
    assert (answered.status, answered.headers["Retry-After"]) == (429, "5")
    error = json.loads(answered.text or "")["error"]
    assert error == {"code": "QUEUE_FULL", "type": "QUEUE_FULL", "message": "Later.", "details": {"most": 7}}


async def test_errors_of_other_parts_are_put_into_one() -> None:
    async def too_large(request: web.Request) -> NoReturn:
        raise refusal(413, "too_large", "The body is too large.", "more than 7")

    with pytest.raises(web.HTTPRequestEntityTooLarge) as raised:
        await enveloped(too_large)(make_mocked_request("GET", "/"))
    error = json.loads(raised.value.text or "")["error"]
    assert (error["code"], error["message"]) == ("too_large", "The body is too large.")
    assert error["details"] == {"text": "more than 7"}
