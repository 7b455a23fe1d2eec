"""What the server says of itself: features, replaced node types, published subgraphs, devices, versions."""

import json

import pytest

from server.settings import Settings
from tests.server.client import Client
from tests.server.conftest import Serve
from tests.server.prompts import node


async def test_features_are_told_in_the_present_shape(serve: Serve) -> None:
    async with serve(feature_flags={"show_signin_button": False}) as client:
        _, told = await client.get("/features")
    assert told["extension"]["manager"] == {"supports_v4": True}
    expected = {
        "supports_preview_metadata": True, "supports_model_type_tags": True, "node_replacements": True,
        "assets": True, "show_signin_button": False,
    }  # fmt: skip
    assert {name: told[name] for name in expected} == expected
    assert told["max_upload_size"] > 0


async def test_node_types_that_have_gone_are_replaced_before_validation(client: Client) -> None:
    await client.ready()
    _, told = await client.get("/node_replacements")
    assert [each["new_node_id"] for each in told["ToyOldAdd"]] == ["ToyNone", "ToyAdd"]
    prompt = {
        "1": node("ToyOldNumber", unused="x", count=4),
        "2": node("ToyOldAdd", left=["1", 0], right=["1", 0]),
        "3": node("ToyShow", value=["2", 1]),
    }
    entry = await client.finished(await client.submit(prompt))
    assert entry["outputs"] == {"3": {"text": ["8"]}}
    workflow = {
        "nodes": [
            {"id": 1, "type": "ToyOldNumber", "widgets_values": ["x", 5],
             "outputs": [{"name": "INT", "type": "INT", "links": [1]}]},
            {"id": 2, "type": "ToyShow", "inputs": [{"name": "value", "type": "*", "link": 1}]},
        ],
        "links": [[1, 1, 0, 2, 0, "INT"]],
    }  # fmt: skip
    entry = await client.finished(await client.submit(workflow))
    assert entry["outputs"] == {"2": {"text": ["5"]}}
    status, refused = await client.post("/prompt", {"prompt": {"1": node("ToyNobody")}})
    assert (status, "ToyNobody" in json.dumps(refused)) == (400, True)


async def test_published_subgraphs_are_listed_and_given(client: Client, settings: Settings) -> None:
    folder = settings.folders.base / "blueprints"
    folder.mkdir()
    (folder / "Enlarge.json").write_text('{"nodes": []}')
    (folder / "link.json").symlink_to("/etc/passwd")
    (folder / "notes.txt").write_text("x")
    _, listed = await client.get("/global_subgraphs")
    ((name, entry),) = listed.items()
    assert entry == {"source": "templates", "name": "Enlarge", "info": {"node_pack": "comfyui"}}
    assert await client.get(f"/api/global_subgraphs/{name}") == (200, {**entry, "data": '{"nodes": []}'})
    for unknown in ("x", "..%2Fx", "0" * 64):
        assert (await client.get(f"/global_subgraphs/{unknown}"))[0] == 404


async def test_devices_stay_known_while_a_worker_does_not_answer(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    await client.get("/system_stats")
    monkeypatch.setattr("server.routes.system.STATS_SECONDS", 0.0)
    assert (await client.get("/system_stats"))[1]["devices"][0]["name"] == "cpu"


async def test_the_machine_is_told_with_its_devices_and_versions(client: Client) -> None:
    """Also to who asks before the first worker is there: clients read `devices[0]`."""
    _, told = await client.get("/system_stats")
    assert told["devices"] == [{"name": "cpu", "type": "cpu", "index": 0}]
    assert told["system"]["deploy_environment"] == "manual"
    versions = {each["name"]: each["installed"] for each in told["system"]["comfy_package_versions"]}
    assert versions["aiohttp"]
    assert versions["blake3"]
