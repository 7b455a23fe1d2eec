"""/api/assets over HTTP: uploads, hashes, tags, pages, walks; and what must not pass."""

import asyncio
import io
import json
from typing import Any

import aiohttp
import pytest
from blake3 import blake3
from PIL import Image

from tests.server.client import Client
from tests.server.prompts import saved
from tests.server.toys import ONE_PIXEL

NOWHERE = "blake3:" + "0" * 64


def hash_of(content: bytes) -> str:
    return "blake3:" + blake3(content).hexdigest()


def form(content: bytes | None, filename: str = "photo.png", **fields: Any) -> aiohttp.FormData:
    """A form with a file, unless `content` is None, and fields."""
    data = aiohttp.FormData(default_to_multipart=True, quote_fields=False)
    for name, value in fields.items():
        for each in value if isinstance(value, list) else [value]:
            data.add_field(name, each if isinstance(each, str) else json.dumps(each))
    if content is not None:
        data.add_field("file", content, filename=filename, content_type="image/png")
    return data


async def upload(client: Client, content: bytes, filename: str = "photo.png", **fields: Any) -> Any:
    status, body = await client.post("/api/assets", data=form(content, filename, **fields))
    assert status in (200, 201), body
    return body


async def test_an_upload_is_an_asset_and_the_same_bytes_are_the_same_one(calm: Client) -> None:
    status, made = await calm.post(
        "/api/assets", data=form(ONE_PIXEL, tags='["mine"]', user_metadata={"seed": 7})
    )
    assert status == 201
    expected = {
        "name": "photo.png", "hash": hash_of(ONE_PIXEL), "size": len(ONE_PIXEL), "mime_type": "image/png",
        "tags": ["input", "mine"], "user_metadata": {"seed": 7}, "file_path": "input/photo.png",
        "loader_path": "photo.png", "created_new": True, "preview_id": made["id"],
    }  # fmt: skip
    assert {name: made[name] for name in expected} == expected
    again = await upload(calm, ONE_PIXEL, "other.png", tags=["a", "b"])
    assert (again["id"], again["created_new"]) == (made["id"], False)
    assert again["tags"] == ["a", "b", "input", "mine"]
    _, shown = await calm.get(f"/api/assets/{made['id']}")
    assert shown == {name: value for name, value in again.items() if name != "created_new"}
    assert (await calm.ask("HEAD", f"/api/assets/hash/{made['hash']}"))[0] == 200
    assert (await calm.ask("HEAD", f"/api/assets/hash/{NOWHERE}"))[0] == 404
    assert (await calm.ask("HEAD", "/api/assets/hash/md5:1"))[0] == 400


async def test_bytes_come_back_by_id_and_by_hash_and_never_as_active_content(calm: Client) -> None:
    page = b"<script>alert(1)</script>"
    picture, html = await upload(calm, ONE_PIXEL), await upload(calm, page, "x.html")
    address = f"/api/assets/{picture['id']}/content"
    response, body = await calm.response("GET", address)
    assert (response.status, body) == (200, ONE_PIXEL)
    assert response.headers["Content-Disposition"].startswith("attachment")
    response, _ = await calm.response("GET", f"{address}?disposition=inline")
    assert response.headers["Content-Disposition"].startswith("inline")
    response, body = await calm.response("GET", address, headers={"Range": "bytes=1-3"})
    assert (response.status, body) == (206, ONE_PIXEL[1:4])
    await calm.ask("PUT", f"/api/assets/{html['id']}", json={"mime_type": "text/html", "name": "x.svg"})
    for address in (f"/api/assets/{html['id']}/content?disposition=inline", f"/view?filename={html['hash']}"):
        response, body = await calm.response("GET", address)
        assert (body, response.content_type) == (page, "application/octet-stream")
        assert response.headers["Content-Disposition"].startswith("attachment")
    assert (await calm.get(f"/view?filename={picture['hash']}"))[1] == ONE_PIXEL
    drawn = io.BytesIO()
    Image.new("RGB", (4, 4), "red").save(drawn, "PNG")
    red = await upload(calm, drawn.getvalue(), "red.png")
    response, _ = await calm.response("GET", f"/view?filename={red['hash']}&preview=jpeg")
    assert response.content_type == "image/jpeg"
    assert (await calm.get(f"/view?filename={NOWHERE}"))[0] == 404


async def test_a_hash_alone_refers_to_bytes_that_are_here(calm: Client) -> None:
    first = await upload(calm, ONE_PIXEL)
    body = {"hash": first["hash"], "name": "copy.png", "tags": ["copy"], "user_metadata": {"n": 1}}
    status, second = await calm.post("/api/assets/from-hash", body)
    assert (status, second["created_new"], second["name"]) == (201, False, "copy.png")
    assert second["id"] != first["id"]
    status, third = await calm.post("/api/assets", data=form(None, hash=first["hash"], name="third.png"))
    assert (status, third["created_new"]) == (200, False)
    status, told = await calm.post("/api/assets/from-hash", {"hash": NOWHERE})
    assert (status, told["error"]["code"]) == (404, "ASSET_NOT_FOUND")
    for wrong in ({}, {"hash": "x"}, {"hash": 7}, {"hash": first["hash"], "tags": 7}):
        assert (await calm.post("/api/assets/from-hash", wrong))[0] == 400, wrong
    assert (await calm.post("/api/assets", data=form(None)))[0] == 400
    wrong_hash = form(b"other bytes", hash=NOWHERE)
    status, told = await calm.post("/api/assets", data=wrong_hash)
    assert (status, told["error"]["code"]) == (409, "HASH_MISMATCH")


async def test_models_go_to_their_kind_and_nowhere_else(calm: Client) -> None:
    folders = calm.parts.folders
    tags = ["models", "model_type:loras"]
    made = await upload(calm, b"weights", "style/x.safetensors", tags=tags, name="style/x.safetensors")
    assert (folders.models_root / "loras" / "style" / "x.safetensors").read_bytes() == b"weights"
    assert made["file_path"] == "models/loras/style/x.safetensors"
    assert (await calm.get(f"/view?filename={made['hash']}"))[0] == 404, "models are not shown"
    for name, tag in (
        ("x.py", "model_type:loras"), ("x.safetensors", "model_type:custom_nodes"),
        ("x.safetensors", "model_type:no such"), ("x.safetensors", "model_type:../input"),
    ):  # fmt: skip
        status, told = await calm.post("/api/assets", data=form(b"y", name, tags=["models", tag]))
        assert status == 422, told
    for name in ("../x.sft", "a/../../x.sft", "/etc/x.sft", "con.sft", "..", "a\0.sft"):
        for tag in ("input", "model_type:loras"):
            status, told = await calm.post("/api/assets", data=form(b"z", "x", name=name, tags=[tag, tag]))
            assert status in (400, 422), (name, told)
    for kind in ("input", "model_type:loras"):
        mended = await upload(calm, kind.encode(), name="a\x01b: c.sft", tags=[kind])
        assert mended["name"] == "a_b_ c.sft", "what a system would not keep is mended, as in all uploads"
    assert not list(calm.parts.settings.spool.iterdir()), "nothing stays of what was refused"


async def test_lists_are_filtered_sorted_and_paged(calm: Client) -> None:
    for index in range(5):
        await upload(
            calm, bytes([index]) * index, f"File {index}.png", tags=["odd" if index % 2 else "even", "x"],
            user_metadata={"index": index, "colours": ["red", "blue"] if index else []},
        )  # fmt: skip
    cases = {
        "": [4, 3, 2, 1, 0], "order=asc": [0, 1, 2, 3, 4], "sort=size&order=asc": [0, 1, 2, 3, 4],
        "include_tags=odd": [3, 1], "tags_all=odd,x": [3, 1], "tags_any=odd,even&tags_none=even": [3, 1],
        "exclude_tags=odd": [4, 2, 0], "name_contains=file%203": [3], "include_tags=none": [],
        "metadata_filter=" + json.dumps({"index": 2}): [2],
        "metadata_filter=" + json.dumps({"index": [1, 2]}): [2, 1],
        "metadata_filter=" + json.dumps({"colours": "red"}): [4, 3, 2, 1],
        "hash=" + hash_of(b""): [0], "limit=2&offset=1": [3, 2],
    }  # fmt: skip
    for query, expected in cases.items():
        status, body = await calm.get(f"/api/assets?{query}")
        assert status == 200, body
        assert [asset["name"] for asset in body["assets"]] == [f"File {index}.png" for index in expected], (
            query
        )
    names, cursor = [], ""
    while True:
        _, body = await calm.get(f"/api/assets?limit=2&after={cursor}")
        names += [asset["name"] for asset in body["assets"]]
        assert body["has_more"] == ("next_cursor" in body)
        if not body["has_more"]:
            break
        cursor = body["next_cursor"]
    assert names == [f"File {index}.png" for index in (4, 3, 2, 1, 0)]
    _, counted = await calm.get("/api/assets/tags/refine?include_tags=odd")
    assert counted == {"tag_counts": {"input": 2, "odd": 2, "x": 2}}
    _, tags = await calm.get("/api/tags?prefix=o")
    assert (tags["tags"][0]["name"], tags["tags"][0]["count"], tags["total"]) == ("odd", 2, 1)
    for wrong in (
        "sort=x", "order=up", "limit=0", "limit=x", "hash=x", "after=x", f"after={cursor}&sort=size",
        "metadata_filter=7", "metadata_filter=%7B%22a%22:%7B%7D%7D", "include_tags=a&tags_all=b",
    ):  # fmt: skip
        assert (await calm.get(f"/api/assets?{wrong}"))[0] == 400, wrong


async def test_what_is_said_of_an_asset_can_be_changed(calm: Client) -> None:
    asset = await upload(calm, ONE_PIXEL)
    address = f"/api/assets/{asset['id']}"
    status, changed = await calm.ask("PUT", address, json={"name": "new.png", "user_metadata": {"a": [1]}})
    assert (status, changed["name"], changed["user_metadata"]) == (200, "new.png", {"a": [1]})
    assert changed["updated_at"] > asset["updated_at"]
    for wrong in ({}, {"name": 7}, {"name": " "}, {"user_metadata": []}, {"size": 1}):
        assert (await calm.ask("PUT", address, json=wrong))[0] == 400, wrong
    assert (await calm.ask("PUT", address, json={"preview_id": "absent"}))[0] == 404
    _, added = await calm.post(f"{address}/tags", {"tags": ["a", "b", "input"]})
    assert added == {"added": ["a", "b"], "already_present": ["input"], "total_tags": ["a", "b", "input"]}
    _, removed = await calm.ask("DELETE", f"{address}/tags", json={"tags": ["a", "z"]})
    assert removed == {"removed": ["a"], "not_present": ["z"], "total_tags": ["b", "input"]}
    assert (await calm.ask("DELETE", f"{address}/tags", json={"tags": ["input"]}))[0] == 422
    for wrong in ({}, {"tags": []}, {"tags": [7]}, {"tags": ["x" * 300]}, {"tags": ["a,b"]}):
        assert (await calm.post(f"{address}/tags", wrong))[0] == 400, wrong
    assert (await calm.ask("DELETE", address))[0] == 204
    assert (await calm.get(address))[0] == 404
    assert (calm.parts.folders.input / "photo.png").exists(), "the file is only forgotten"
    again = await upload(calm, ONE_PIXEL)
    assert (await calm.ask("DELETE", f"/api/assets/{again['id']}?delete_content=true"))[0] == 204
    assert not (calm.parts.folders.input / "photo.png").exists()


async def test_walks_find_files_and_pruning_those_that_went(calm: Client) -> None:
    folders = calm.parts.folders
    (folders.output / "made.png").write_bytes(ONE_PIXEL)
    (folders.models_root / "checkpoints" / "x.safetensors").write_bytes(b"weights")
    while (await calm.get("/api/assets/seed/status"))[1]["state"] != "IDLE":
        await asyncio.sleep(0.01)
    body = {"roots": ["models", "output"], "compute_hashes": True}
    status, told = await calm.post("/api/assets/seed?wait=true", body)
    assert (status, told["status"], told["errors"]) == (200, "completed", [])
    _, listed = await calm.get("/api/assets?sort=name&order=asc")
    assert [asset["hash"] for asset in listed["assets"]] == [hash_of(ONE_PIXEL), hash_of(b"weights")]
    assert listed["assets"][1]["tags"] == ["model_type:checkpoints", "models"]
    (folders.output / "made.png").unlink()
    assert await calm.post("/api/assets/prune") == (200, {"status": "completed", "marked": 1})
    assert (await calm.get("/api/assets?include_tags=missing"))[1]["total"] == 1
    assert (await calm.post("/api/assets/seed", {"roots": ["user"]}))[0] == 400
    assert await calm.post("/api/assets/seed/cancel") == (200, {"status": "idle"})
    assert (await calm.get(f"/api/assets/{listed['assets'][0]['id']}/content"))[0] == 404


@pytest.mark.parametrize("path", ["/upload/image", "/api/upload/image"])
async def test_uploads_answer_with_their_asset(calm: Client, path: str) -> None:
    data = aiohttp.FormData()
    data.add_field("image", ONE_PIXEL, filename="x.png")
    data.add_field("subfolder", "sub")
    status, body = await calm.post(path, data=data)
    assert (status, body["name"], body["subfolder"], body["type"]) == (200, "x.png", "sub", "input")
    assert (body["asset"]["hash"], body["asset"]["file_path"]) == (hash_of(ONE_PIXEL), "input/sub/x.png")


async def test_what_a_job_saved_is_an_asset_of_the_job(client: Client) -> None:
    job = await client.submit(saved("made"))
    await client.finished(job)
    while not (listed := (await client.get("/api/assets?include_tags=output"))[1]["assets"]):
        await asyncio.sleep(0.01)
    assert [(asset["job_id"], asset["hash"]) for asset in listed] == [(job, hash_of(ONE_PIXEL))]


async def test_nothing_is_fetched_from_the_network(calm: Client) -> None:
    asked = {"source_url": "http://127.0.0.1:1/x.safetensors", "tags": ["models", "model_type:loras"]}
    status, told = await calm.post("/api/assets/download", asked)
    assert (status, told["error"]["code"]) == (403, "DOWNLOADS_DISABLED")


async def test_a_page_of_another_site_changes_no_assets(calm: Client) -> None:
    headers = {"Origin": "http://evil.example"}
    for method, path in (
        ("POST", "/api/assets"), ("POST", "/api/assets/seed"), ("POST", "/api/assets/prune"),
        ("PUT", "/api/assets/x"), ("DELETE", "/api/assets/x"), ("POST", "/api/assets/from-hash"),
    ):  # fmt: skip
        assert (await calm.ask(method, path, headers=headers, data=b"{}"))[0] == 403, path
    assert (await calm.get("/assets/main.js"))[0] == 404, "the place of the front end's files"
