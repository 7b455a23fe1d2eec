"""What nobody sends by mistake: the routes of assets and of API v2 answer all of it with a 4xx."""

import json
from typing import Any

import pytest

from tests.server.client import Client
from tests.server.prompts import number
from tests.server.routes.test_assets import form
from tests.server.toys import ONE_PIXEL

LONE = "\ud800"
HUGE = 10**30
DEEP = '{"a":' * 300 + "1" + "}" * 300
TEXTS: tuple[Any, ...] = (LONE, "\0", "x" * 100_000, HUGE, [], {}, True, 1.5, ["x"], {"a": HUGE})
QUERIES = (
    "limit=99999999999999999999", "offset=-1", "offset=99999999999999999999", "name_contains=%ED%A0%80",
    "name_contains=%00", "include_tags=%00", "include_tags=" + "a," * 500, "after=W10=", "after=%ED%A0%80",
    "after=WyJzaXplIiwxMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwLDFd&sort=size", "hash=blake3:%00",
    "metadata_filter={%22a%22:1e999}", "metadata_filter={%22a%22:" + str(HUGE) + "}",
    "metadata_filter={%22a%22:%22%5Cud800%22}", "metadata_filter={%22%5Cud800%22:1}",
    "metadata_filter=" + "[" * 5_000, "metadata_filter={%22a%22:[" + "1," * 2_000 + "1]}",
    "metadata_filter={" + ",".join(f"%22{each}%22:1" for each in range(600)) + "}", "metadata_filter=NaN",
)  # fmt: skip


@pytest.mark.parametrize("path", ["/api/assets", "/api/assets/tags/refine"])
async def test_odd_queries(calm: Client, path: str) -> None:
    await calm.post("/api/assets", data=form(ONE_PIXEL))
    for query in QUERIES:
        answer = await calm.request("GET", f"{path}?{query}")
        assert answer.status in (200, 400, 431), (query[:80], answer.body[:300])


async def test_odd_descriptions(calm: Client) -> None:
    _, made = await calm.post("/api/assets", data=form(ONE_PIXEL))
    address = f"/api/assets/{made['id']}"
    for value in TEXTS:
        for name in ("name", "mime_type", "preview_id", "user_metadata", "tags"):
            body = json.dumps({name: value, "hash": made["hash"]}).encode()
            for method, path in (
                ("PUT", address),
                ("POST", "/api/assets/from-hash"),
                ("POST", f"{address}/tags"),
            ):
                status, told = await calm.ask(method, path, data=body)
                assert status in (200, 201, 400, 404, 422), (method, path, name, str(value)[:50], told)
    for body in (DEEP, "[]", "{", '{"name": NaN}', "7", ""):
        for method, path in (
            ("PUT", address), ("POST", "/api/assets/from-hash"), ("POST", f"{address}/tags"),
            ("DELETE", f"{address}/tags"), ("POST", "/api/assets/seed"), ("POST", "/api/v2/assets/from-hash"),
            ("POST", "/api/v2/jobs"), ("POST", "/api/jobs/cancel"),
        ):  # fmt: skip
            status, told = await calm.ask(method, path, data=body.encode())
            assert status in (202, 400, 404, 409, 415, 422), (method, path, body[:30], told)


async def test_odd_forms(calm: Client) -> None:
    for value in ("\0", "x" * 70_000, "[", '["\\ud800"]', "[7]", DEEP, '{"a": NaN}', "ü" * 300):
        for name in (
            "name",
            "tags",
            "user_metadata",
            "mime_type",
            "hash",
            "preview_id",
            "file_path",
            "expires_in",
        ):
            for path in ("/api/assets", "/api/v2/assets"):
                fields = {"content_type": "x", "file_path": "x.png", name: value}
                status, told = await calm.post(path, data=form(b"odd", **fields))
                assert status in (200, 201, 400, 409, 413, 422), (path, name, value[:30], told)
    outside = [
        path for path in calm.parts.folders.base.rglob("*") if path.is_file() and path.read_bytes() == b"odd"
    ]
    assert all(path.is_relative_to(calm.parts.folders.input) for path in outside)


async def test_odd_jobs(client: Client) -> None:
    await client.ready()
    for value in TEXTS:
        for body in (
            {"workflow": number(1), "metadata": {"a": value}}, {"workflow": value},
            {"workflow": number(1), "metadata": value}, {"workflow": number(1), "extra_data": value},
            {"workflow": {"1": {"inputs": {"image": {"__type": "core/ASSET", "info": value}}}}},
            {"workflow": {"1": {"__type": "core/ASSET", "info": {"id": value}}}},
        ):  # fmt: skip
            status, told = await client.ask("POST", "/api/v2/jobs", data=json.dumps(body).encode())
            assert status in (201, 400, 422), (str(body)[:100], told)
            assert status == 201 or told["error"]["code"], told
    for name in ("%00", "%ED%A0%80", "..", "x" * 5_000):
        for path in (
            f"/api/v2/jobs/{name}",
            f"/api/v2/assets/{name}",
            f"/api/assets/{name}",
            f"/api/jobs/{name}",
        ):
            assert (await client.request("GET", path)).status in (400, 404), path
    for query in ("limit=-5", "cursor=1e9", f"cursor={HUGE}", "metadata[]=x", "metadata[%00]=%ED%A0%80"):
        assert (await client.request("GET", f"/api/v2/jobs?{query}")).status in (200, 400), query
