"""The program as people start it: a server process, its worker, and a picture at the end."""

import asyncio
import json
import os
import re
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from pictures.texts import png_texts

ROOT = Path(__file__).parent.parent
PROMPT: dict[str, Any] = {
    "1": {
        "class_type": "EmptyImage",
        "inputs": {"width": 16, "height": 8, "batch_size": 1, "color": 0x123456},
    },
    "2": {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": "main"}},
}


class Client:
    """Talks to one server as an API client does."""

    def __init__(self, session: aiohttp.ClientSession, url: str) -> None:
        self.session, self.url = session, url

    async def get(self, path: str) -> Any:
        async with self.session.get(self.url + path) as answer:
            assert answer.status == 200, await answer.text()
            return await (answer.json() if "json" in answer.content_type else answer.read())

    async def post(self, path: str, body: Any) -> tuple[int, Any]:
        async with self.session.post(self.url + path, json=body) as answer:
            return answer.status, await answer.json(content_type=None)

    async def finished(self, job: str) -> Any:
        for _ in range(2000):
            if found := await self.get(f"/history/{job}"):
                return found[job]
            await asyncio.sleep(0.05)
        return pytest.fail(f"{job} did not finish")


@asynccontextmanager
async def served(data: Path, *words: str) -> AsyncIterator[Client]:
    """A server on a free port with a data folder of its own, stopped at the end."""
    command = [sys.executable, str(ROOT / "main.py"), "--port", "0", "--data-dir", str(data), "--cpu", *words]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"}
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT, env=environment
    )
    assert process.stdout is not None
    try:
        said = b""
        while not (url := re.search(rb"http://[\w.:\[\]]+", said)):
            line = await asyncio.wait_for(process.stdout.readline(), 30)
            assert line, said.decode()
            said += line
        draining = asyncio.create_task(process.stdout.read())
        async with aiohttp.ClientSession() as session:
            yield Client(session, url[0].decode().rstrip("/"))
    finally:
        process.send_signal(signal.SIGINT)
        await asyncio.wait_for(process.wait(), 20)
        await draining


async def test_a_prompt_becomes_a_picture_that_carries_it(tmp_path: Path) -> None:
    async with served(tmp_path) as client:
        status, answer = await client.post(
            "/prompt", {"prompt": PROMPT, "extra_data": {"extra_pnginfo": {"workflow": {"a": 1}}}}
        )
        assert (status, answer["node_errors"]) == (200, {})
        job = await client.finished(answer["prompt_id"])
        assert job["status"]["status_str"] == "success"
        (image,) = job["outputs"]["2"]["images"]
        assert image == {"filename": "main_00001_.png", "subfolder": "", "type": "output"}
        data = await client.get("/view?filename=main_00001_.png&type=output")
        texts = png_texts(data)
        assert json.loads(texts["prompt"]) == PROMPT
        assert json.loads(texts["workflow"]) == {"a": 1}

        info = await client.get("/object_info/KSampler")
        assert info["KSampler"]["output"] == ["LATENT"]
        stats = await client.get("/system_stats")
        assert stats["devices"][0]["type"] == "cpu"
        assert await client.get("/nodeloom/cache")

        bad = {**PROMPT, "1": {"class_type": "EmptyImage", "inputs": {**PROMPT["1"]["inputs"], "width": -1}}}
        status, answer = await client.post("/prompt", {"prompt": bad})
        assert status == 400
        assert answer["node_errors"]["1"]["errors"][0]["type"] == "value_smaller_than_min"


async def test_a_killed_worker_takes_neither_server_nor_next_job_down(tmp_path: Path) -> None:
    async with served(tmp_path) as client:
        _, answer = await client.post("/prompt", {"prompt": PROMPT})
        await client.finished(answer["prompt_id"])
        os.kill(worker_of(tmp_path), signal.SIGKILL)
        again = {**PROMPT, "1": {**PROMPT["1"], "inputs": {**PROMPT["1"]["inputs"], "color": 1}}}
        status, answer = await client.post("/prompt", {"prompt": again})
        assert status == 200
        job = await client.finished(answer["prompt_id"])
        assert job["status"]["status_str"] == "success"


def worker_of(data: Path) -> int:
    """The process id of the worker that uses a data folder."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            words = (entry / "cmdline").read_bytes().split(b"\0")
            if b"worker" in words and str(data).encode() in words:
                return int(entry.name)
    pytest.fail("no worker runs")
