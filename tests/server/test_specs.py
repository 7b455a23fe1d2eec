"""Node types from the cache on disk, with the files there are now, sent in no time."""

import asyncio
import gzip
import json
import time
from dataclasses import replace
from pathlib import Path

import pytest

from execution.declare.spec import InputSpec, NodeSpec
from execution.files.folders import Folders
from execution.wire.messages import Loaded
from server.settings import Settings
from server.specs import Catalogue, key_of
from tests.server.client import Client, started
from tests.server.prompts import number
from tests.server.test_sockets import page


async def test_the_types_are_the_workers(client: Client) -> None:
    status, types = await client.get("/object_info")
    assert status == 200
    assert types["ToyNumber"]["input"]["required"]["value"][0] == "INT"
    assert types["ToySecret"]["input"]["hidden"] == {"key": "API_KEY_COMFY_ORG"}
    assert await client.get("/object_info/ToyNumber") == (200, {"ToyNumber": types["ToyNumber"]})
    assert await client.get("/object_info/Unknown") == (200, {})


async def test_an_unchanged_answer_is_not_sent_again(client: Client) -> None:
    await client.get("/object_info")
    response, body = await client.response("GET", "/api/object_info")
    etag = response.headers["ETag"]
    again, nothing = await client.response("GET", "/object_info", headers={"If-None-Match": etag})
    assert (again.status, nothing) == (304, b"")
    plain, _ = await client.response("GET", "/object_info", headers={"Accept-Encoding": "identity"})
    assert "Content-Encoding" not in plain.headers
    packed = await client.request("GET", "/object_info", {"Accept-Encoding": "gzip"})
    assert gzip.decompress(packed.body) == body


async def test_a_new_file_is_a_new_choice_and_a_new_answer(client: Client, settings: Settings) -> None:
    async def choices(node: str, name: str) -> list[str]:
        found: list[str] = (await client.get("/object_info"))[1][node]["input"]["required"][name][0]
        return found

    assert await choices("ToyLoad", "image") == []
    first, _ = await client.response("GET", "/object_info")
    (settings.folders.input / "new.png").write_bytes(b"x")
    (settings.folders.base / "models" / "checkpoints" / "m.safetensors").write_bytes(b"x")
    assert await choices("ToyLoad", "image") == ["new.png"]
    assert await choices("ToyCheckpoint", "ckpt_name") == ["m.safetensors"]
    second, _ = await client.response("GET", "/object_info")
    assert first.headers["ETag"] != second.headers["ETag"]


async def test_a_second_start_answers_from_disk_and_takes_prompts_before_its_worker_is_there(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with started(settings) as client:
        _, types = await client.get("/object_info")
    monkeypatch.setenv("TOYS_DELAY", "3")
    async with started(settings) as client:
        start = time.monotonic()
        assert await client.get("/object_info") == (200, types)
        job = await client.submit(number(1))
        assert time.monotonic() - start < 2, "the worker needs three seconds"
        assert (await client.get("/nodeloom/workers"))[1]["specs_from_cache"] is True
        assert (await client.finished(job))["status"]["completed"] is True


async def test_pages_are_told_when_a_worker_knows_better(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    choices = tmp_path / "choices"
    monkeypatch.setenv("TOYS_CHOICES", str(choices))
    choices.write_text("old")
    async with started(settings) as client:
        await client.get("/object_info")
        await client.ready()
        listener = await page(client, "clientId=me")
        choices.write_text("new")
        client.parts.catalogue.refreshed = 0.0
        await client.get("/object_info")
        while client.parts.catalogue.specs["ToyChoice"].inputs[0].choices != ("new",):
            await listener.next("nodeloom.specs")
        assert (await client.get("/object_info/ToyChoice"))[1]["ToyChoice"]["input"]["required"]["name"][
            0
        ] == ["new"]


async def test_changed_sources_are_another_cache(settings: Settings, tmp_path: Path) -> None:
    source = tmp_path / "nodes" / "a.py"
    source.parent.mkdir()
    source.write_text("x = 1")
    before = key_of([source.parent])
    assert key_of([source.parent]) == before
    source.write_text("x = 22")
    assert key_of([source.parent]) != before


async def test_a_broken_cache_is_no_cache(settings: Settings, tmp_path: Path) -> None:
    for text in (b"", b"{", b"[]", b'{"specs": {"a": 3}}', b"\xff"):
        catalogue = Catalogue(settings.folders, tmp_path / "specs", ())
        (tmp_path / "specs").mkdir(exist_ok=True)
        (tmp_path / "specs" / f"specs-{key_of(())}.json").write_bytes(text)
        await catalogue.load()
        assert not catalogue.is_known


def many(count: int) -> dict[str, object]:
    inputs = tuple(InputSpec(f"in{index}", "INT", {"default": 0, "min": 0, "max": 100}) for index in range(8))
    loader = NodeSpec("Load", inputs=(InputSpec("image", ()),), folders={"image": "input:image"})
    picker = NodeSpec("Pick", inputs=(InputSpec("name", ()),), folders={"name": "loras"})
    specs = [NodeSpec(f"Node{index}", inputs=inputs, description="d" * 200) for index in range(count)]
    return {spec.name: spec.to_json() for spec in [*specs, loader, picker]}


async def test_a_thousand_types_and_files_are_known_at_once(tmp_path: Path) -> None:
    folders = Folders(tmp_path)
    loras = tmp_path / "models" / "loras"
    for place, suffix in ((folders.input, ".png"), (loras, ".safetensors")):
        place.mkdir(parents=True)
        for index in range(300):
            (place / f"f{index}{suffix}").touch()
    catalogue = Catalogue(folders, tmp_path / "specs", ())
    await catalogue.replace(Loaded(many(1_000), {}, 0.0))
    body = await catalogue.body()
    assert len(json.loads(body.raw)["Load"]["input"]["required"]["image"][0]) == 300
    start = time.monotonic()
    for _ in range(5):
        assert await catalogue.body() is body
    assert (time.monotonic() - start) / 5 < 0.15, "under 0.05 s on an idle machine; see benchmarks"
    (loras / "new.safetensors").touch()
    await asyncio.sleep(0.01)
    assert await catalogue.body() is not body


async def test_the_page_survives_a_folder_that_is_gone(settings: Settings) -> None:
    bare = replace(settings, folders=Folders(settings.folders.base / "nowhere"))
    async with started(bare) as client:
        assert (await client.get("/models/checkpoints")) == (200, [])
        assert (await client.get("/internal/files/output")) == (200, [])
        assert (await client.get("/userdata?dir="))[0] == 404
        assert (await client.post("/userdata/a.json", {}))[0] == 200
