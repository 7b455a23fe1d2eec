"""Comfy API v2's assets: taken once, probed by hash, referred to in workflows, deleted with their bytes."""

import asyncio
import json
import time
from typing import Any

import aiohttp
from blake3 import blake3

from tests.server.client import Client
from tests.server.prompts import node, shown
from tests.server.routes.v2.test_jobs import submit, until
from tests.server.toys import ONE_PIXEL


def hash_of(content: bytes) -> str:
    return "blake3:" + blake3(content).hexdigest()


async def upload(client: Client, content: bytes, key: str | None = None, **fields: Any) -> tuple[int, Any]:
    data = aiohttp.FormData(default_to_multipart=True)
    given = {"content_type": "image/png", "file_path": "photo.png", **fields}
    for name, value in given.items():
        if value is not None:
            data.add_field(name, str(value))
    data.add_field("file", content, filename="photo.png")
    headers = {"Idempotency-Key": key} if key else {}
    return await client.post("/api/v2/assets", data=data, headers=headers)


async def test_an_upload_is_taken_once(calm: Client) -> None:
    status, made = await upload(calm, ONE_PIXEL, expected_hash=hash_of(ONE_PIXEL))
    assert (status, made["created_new"], made["hash"]) == (201, True, hash_of(ONE_PIXEL))
    assert (made["content_type"], made["file_path"], made["size_bytes"]) == (
        "image/png",
        "photo.png",
        len(ONE_PIXEL),
    )
    assert made["expires_at"] is None
    status, again = await upload(calm, ONE_PIXEL)
    assert (status, again["created_new"], again["id"]) == (200, False, made["id"])
    for path, expected in ((hash_of(ONE_PIXEL), 200), (hash_of(b"x"), 404), ("nonsense", 404)):
        assert (await calm.ask("HEAD", f"/api/v2/assets/by-hash/{path}"))[0] == expected
    response, body = await calm.response(
        "GET", f"/api/v2/assets/{made['id']}/content", headers={"Range": "bytes=0-3"}
    )
    assert (response.status, body) == (206, ONE_PIXEL[:4])
    assert response.headers["Content-Disposition"].startswith("attachment")
    status, known = await calm.post(
        "/api/v2/assets/from-hash", {"hash": made["hash"], "file_path": "photo.png"}
    )
    assert (status, known["id"], known["created_new"]) == (200, made["id"], False)
    status, other = await calm.post("/api/v2/assets/from-hash", {"hash": made["hash"], "file_path": "b.png"})
    assert (status, other["file_path"]) == (201, "b.png")
    status, told = await calm.post("/api/v2/assets/from-hash", {"hash": hash_of(b"x")})
    assert (status, told["error"]["code"]) == (404, "blob_not_found")
    for asset, stays in ((made, True), (other, False)):
        assert (await calm.ask("DELETE", f"/api/v2/assets/{asset['id']}"))[0] == 204
        assert (calm.parts.folders.input / "photo.png").exists() is stays
    assert (await calm.ask("HEAD", f"/api/v2/assets/by-hash/{made['hash']}"))[0] == 404
    for method in ("GET", "DELETE"):
        status, told = await calm.ask(method, f"/api/v2/assets/{made['id']}")
        assert (status, told["error"]["code"]) == (404, "not_found")


async def test_a_key_means_one_request(calm: Client) -> None:
    _, made = await upload(calm, ONE_PIXEL, "key")
    status, again = await upload(calm, ONE_PIXEL, "key")
    assert (status, again["id"]) == (200, made["id"])
    status, told = await upload(calm, b"other", "key")
    assert (status, told["error"]["code"]) == (422, "idempotency_key_reuse")
    assert not (calm.parts.folders.input / "photo (1).png").exists()


async def test_what_is_no_upload_is_refused(calm: Client) -> None:
    cases: list[tuple[dict[str, Any], int, str]] = [
        ({"file_path": None}, 422, "invalid_request"), ({"content_type": None}, 422, "invalid_request"),
        ({"expected_hash": hash_of(b"x")}, 409, "hash_mismatch"), ({"expires_in": 5}, 422, "invalid_request"),
        ({"expires_in": "soon"}, 422, "invalid_request"), ({"file_path": "../x.png"}, 400, "bad_name"),
    ]  # fmt: skip
    for fields, expected, code in cases:
        status, told = await upload(calm, ONE_PIXEL, **fields)
        assert (status, told["error"]["code"]) == (expected, code), told
    status, told = await calm.post("/api/v2/assets", {"file": "x"})
    assert (status, told["error"]["code"]) == (400, "bad_form")
    assert not list(calm.parts.folders.input.iterdir())


async def test_time_runs_out_and_a_repeat_gives_more(calm: Client) -> None:
    _, made = await upload(calm, ONE_PIXEL, expires_in=60)
    assert made["expires_at"] is not None
    _, longer = await upload(calm, ONE_PIXEL, expires_in=6_000)
    assert longer["expires_at"] > made["expires_at"]
    _, shorter = await upload(calm, ONE_PIXEL, expires_in=60)
    assert shorter["expires_at"] == longer["expires_at"]
    await calm.parts.assets.describe(made["id"], {"expires": time.time() - 1})
    assert (await calm.get(f"/api/v2/assets/{made['id']}"))[0] == 404
    await upload(calm, b"another", file_path="another.png")
    assert not (calm.parts.folders.input / "photo.png").exists(), "the next upload swept it away"


async def test_a_reference_in_a_workflow_is_the_file(client: Client) -> None:
    _, made = await upload(client, ONE_PIXEL, file_path="sub/photo.png")
    reference = {"__type": "core/ASSET", "info": {"id": made["id"], "hash": made["hash"]}}
    _, job = await submit(client, shown(node("ToyLoad", image=reference)))
    done = await until(client, job["id"], "succeeded", "failed")
    assert done["status"] == "succeeded", done["error"]
    _, told = await client.get(f"/api/v2/jobs/{job['id']}/workflow")
    assert told["workflow"]["1"]["inputs"] == {"image": "sub/photo.png"}
    (client.parts.folders.input / "sub" / "photo.png").unlink()
    status, told = await client.post("/api/v2/jobs", {"workflow": shown(node("ToyLoad", image=reference))})
    assert (status, told["error"]["code"]) == (422, "missing_asset")
    assert told["error"]["details"] == {"input": "1.inputs.image"}


async def test_an_output_is_an_input_of_the_next_job(client: Client) -> None:
    (client.parts.folders.output / "made.png").write_bytes(ONE_PIXEL)
    while (await client.get("/api/assets/seed/status"))[1]["state"] != "IDLE":
        await asyncio.sleep(0.01)
    await client.post("/api/assets/seed?wait=true", {"roots": ["output"], "compute_hashes": True})
    _, listed = await client.get("/api/assets?include_tags=output")
    reference = {"__type": "core/ASSET", "info": {"id": listed["assets"][0]["id"]}}
    _, job = await submit(client, shown(node("ToyLoad", image=reference)))
    done = await until(client, job["id"], "succeeded", "failed")
    assert done["status"] == "succeeded", json.dumps(done["error"])
