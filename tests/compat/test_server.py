"""Packs behind the whole program: a server process, a worker process with torch, packs on disk."""

from __future__ import annotations

import asyncio
import shutil
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from execution.files.folders import Folders
from server.settings import Settings
from tests.server.client import Client, started

from .conftest import graph

ROOT = Path(__file__).parents[2]
GREETING = """
import asyncio

from comfy.utils import ProgressBar
from server import PromptServer


class Greet:
    OUTPUT_NODE = True

    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"name": ("STRING", {"default": "you"}), "loud": (["no", "yes"],)}}

    @classmethod
    def VALIDATE_INPUTS(cls, name):
        return True if name else "say whom to greet"

    RETURN_TYPES = ("STRING",)
    FUNCTION = "greet"

    async def greet(self, name, loud):
        bar = ProgressBar(2)
        for _ in range(2):
            await asyncio.sleep(0.01)
            bar.update(1)
        PromptServer.instance.send_sync("greeted", {"name": name}, PromptServer.instance.client_id)
        return {"ui": {"text": [name.upper() if loud == "yes" else name]}, "result": (name,)}


WEB_DIRECTORY = "web"
NODE_CLASS_MAPPINGS = {"Greet": Greet}
"""


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[Client]:
    data = tmp_path / "data"
    (data / "custom_nodes" / "greeting" / "web").mkdir(parents=True)
    (data / "custom_nodes" / "greeting" / "__init__.py").write_text(GREETING)
    (data / "custom_nodes" / "greeting" / "web" / "greet.js").write_text("export {};\n")
    (data / "custom_nodes" / "poor.py").write_text("import nowhere_to_be_found\n")
    shutil.copytree(ROOT / "tests" / "compat" / "packs" / "modern", data / "custom_nodes" / "modern")
    command = (sys.executable, str(ROOT / "main.py"), "worker", "--data-dir", str(data), "--cpu")
    page = tmp_path / "web"
    page.mkdir()
    (page / "index.html").write_text("<!doctype html>")
    async with started(Settings(Folders(data), tmp_path / "state", page, command)) as connected:
        await connected.ready(120)
        yield connected


async def reports(client: Client) -> dict[str, Any]:
    """The packs' reports by name, once the server has them."""
    for _ in range(200):
        _, found = await client.get("/nodeloom/packs")
        if found:
            return {report["name"]: report for report in found}
        await asyncio.sleep(0.05)
    raise AssertionError("nothing was said of packs")


async def test_packs_serve_prompts_and_are_reported(client: Client) -> None:
    packs = await reports(client)
    assert {name: report["state"] for name, report in packs.items()} == {
        "greeting": "loaded",
        "modern": "loaded",
        "poor": "failed",
    }
    assert packs["poor"]["problems"][0]["line"] == 1
    assert (await client.get("/extensions"))[1] == ["/extensions/greeting/greet.js"]

    _, shown = await client.get("/object_info/Greet")
    assert shown["Greet"]["input"]["required"]["loud"] == [["no", "yes"]]
    assert shown["Greet"]["python_module"] == "custom_nodes.greeting"

    status, body = await client.post("/prompt", {"prompt": graph(g=("Greet", {"name": "", "loud": "no"}))})
    assert (status, body["node_errors"]["g"]["errors"][0]["type"]) == (400, "custom_validation_failed")
    assert "say whom to greet" in body["node_errors"]["g"]["errors"][0]["details"]

    async with client.session.ws_connect(f"{client.origin}/ws?clientId=me") as socket:
        prompt = graph(g=("Greet", {"name": "anna", "loud": "yes"}), p=("Preview", {"words": ("g", 0)}))
        job = await client.submit(prompt, client_id="me")
        entry = await client.finished(job)
        assert entry["status"]["status_str"] == "success"
        assert entry["outputs"] == {"g": {"text": ["ANNA"]}, "p": {"text": ["anna"]}}
        heard: dict[str, Any] = {}
        while "execution_success" not in heard or "greeted" not in heard:
            message = await asyncio.wait_for(socket.receive_json(), 10)
            heard.setdefault(message["type"], []).append(message["data"])
        assert heard["greeted"] == [{"name": "anna"}]
        assert [data["value"] for data in heard["progress"]][-1] == 2
