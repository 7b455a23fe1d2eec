"""The list of example workflows."""

import json

import pytest

from server.examples import title
from server.settings import Settings
from tests.server.client import Client


async def test_examples_are_listed_with_their_node_types_and_broken_ones_are_named(
    settings: Settings, calm: Client
) -> None:
    assert await calm.get("/nodeloom/examples") == (200, {"examples": [], "broken": {}})
    folder = settings.web_root / "examples"
    folder.mkdir()
    prompt = {
        "1": {"class_type": "EmptyImage", "inputs": {}},
        "2": {"class_type": "PreviewImage", "inputs": {"images": ["1", 0]}},
        "3": {"class_type": "PreviewImage", "inputs": {"images": ["1", 0]}},
    }
    (folder / "two-previews.json").write_text(json.dumps(prompt))
    broken = {
        "a-list": "[1]",
        "cut-off": '{"1": ',
        "empty": "{}",
        "odd-type": '{"1": {"class_type": ["KSampler"]}}',
        "workflow": '{"nodes": []}',
    }
    for name, text in broken.items():
        (folder / f"{name}.json").write_text(text)
    (folder / "notes.txt").write_text("no example")
    status, body = await calm.get("/nodeloom/examples")
    assert status == 200
    types = ["EmptyImage", "PreviewImage"]
    assert body["examples"] == [{"name": "two-previews", "title": "Two previews", "types": types}]
    assert body["broken"].keys() == broken.keys()
    assert all("no prompt" in body["broken"][name] for name in broken if name != "cut-off")
    assert "line 1" in body["broken"]["cut-off"]
    assert await calm.get("/examples/two-previews.json") == (200, prompt)


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("strings", "Strings"),
        ("crop-and-stitch", "Crop and stitch"),
        ("sdxl-two-texts", "SDXL two texts"),
        ("tiled-vae", "Tiled VAE"),
        ("unclip", "unCLIP"),
    ],
)
def test_a_title_is_the_name_in_words(name: str, shown: str) -> None:
    assert title(name) == shown
