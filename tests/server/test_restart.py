"""The server killed at any moment: nothing that was accepted is lost, nothing runs to its end twice, order
is kept.
"""

import asyncio
import json
import os
import random
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from server.settings import Settings
from tests.server.client import started
from tests.server.conftest import ROOT
from tests.server.prompts import node, number, saved, shown

SERVER = """
import sys
from pathlib import Path
from execution.folders import Folders
from server.app import run
from server.settings import Settings
base = Path(sys.argv[1])
worker = (sys.executable, "-m", "tests.server.toys", "--data", str(base / "data"))
sys.exit(run(Settings(Folders(base / "data"), base / "state", base / "web", worker, port=int(sys.argv[2]),
                      declared_by=(Path("tests/server"),))))
"""


@contextmanager
def server(base: Path, port: int = 0) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A server process and its address, once it listens."""
    command = [sys.executable, "-c", SERVER, str(base), str(port)]
    process = subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, text=True, stderr=subprocess.DEVNULL
    )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        yield process, line.rpartition(" ")[2].strip()
    finally:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


def ask(url: str, path: str, body: Any = None) -> Any:
    data = None if body is None else json.dumps(body).encode()
    with urllib.request.urlopen(url + path, data, timeout=20) as response:
        return json.loads(response.read() or b"null")


@pytest.mark.parametrize("round_", range(2))
def test_kill_nine_loses_nothing(settings: Settings, tmp_path: Path, round_: int) -> None:
    dice = random.Random(round_)
    accepted: list[str] = []
    with server(tmp_path) as (process, url):
        for seed in range(50):
            accepted.append(
                ask(url, "prompt", {"prompt": saved(f"run{seed:03}", seed), "prompt_id": str(uuid.uuid4())})[
                    "prompt_id"
                ]
            )
            if seed == 10 + round_ * 15:
                break
        time.sleep(dice.random() * 0.3)
        process.send_signal(signal.SIGKILL)
        process.wait()
    with server(tmp_path) as (_, url):
        deadline = time.monotonic() + 40
        while (queue := ask(url, "queue"))["queue_pending"] or queue["queue_running"]:
            assert time.monotonic() < deadline, queue
            time.sleep(0.1)
        states = {job: ask(url, f"api/jobs/{job}")["state"] for job in accepted}
        ended = [entry["prompt"][1] for entry in ask(url, "history").values()]
    assert set(states.values()) <= {"success", "interrupted"}
    assert list(states.values()).count("interrupted") <= 1
    assert ended == accepted, "all are there, in the order in which they were queued"
    files = [path.name[:6] for path in settings.folders.output.iterdir()]
    done = {f"run{index:03}" for index, job in enumerate(accepted) if states[job] == "success"}
    assert {name for name in done if files.count(name) != 1} == set(), "each ran to its end exactly once"


def test_a_killed_server_takes_its_worker_along(settings: Settings, tmp_path: Path) -> None:
    with server(tmp_path) as (process, url):
        deadline = time.monotonic() + 20
        while not (workers := ask(url, "nodeloom/workers")["workers"]) or workers[0]["state"] == "starting":
            assert time.monotonic() < deadline
            time.sleep(0.05)
        ask(url, "prompt", {"prompt": shown(node("ToyDeaf", seconds=60, seed=1))})
        time.sleep(0.3)
        process.send_signal(signal.SIGKILL)
    pid = workers[0]["pid"]
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return
        time.sleep(0.05)
    os.kill(pid, signal.SIGKILL)
    raise AssertionError("the worker lives on")


def test_the_port_answers_at_once_and_a_signal_ends_it_cleanly(settings: Settings, tmp_path: Path) -> None:
    start = time.monotonic()
    with server(tmp_path) as (process, url):
        assert ask(url, "prompt") == {"exec_info": {"queue_remaining": 0}}
        assert time.monotonic() - start < 5, "1.5 s on an idle machine; see benchmarks"
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0


def test_two_servers_of_one_folder_keep_their_queues_apart(settings: Settings, tmp_path: Path) -> None:
    mine = str(uuid.uuid4())
    with server(tmp_path) as (_, one), server(tmp_path) as (_, two):
        ask(one, "prompt", {"prompt": number(1), "prompt_id": mine})
        assert ask(two, f"history/{mine}") == {}
        with pytest.raises(urllib.error.HTTPError):
            ask(two, f"api/jobs/{mine}")


async def test_a_stopped_server_says_what_it_cut_off(settings: Settings) -> None:
    async with started(settings) as client:
        await client.ready()
        job = await client.submit(shown(node("ToySleep", seconds=60, seed=1)))
        later = await client.submit(number(2))
        await client.until(job, "running")
        await asyncio.sleep(0.3)
    async with started(settings) as client:
        assert await client.state(job) == "interrupted"
        entry = (await client.get(f"/history/{job}"))[1][job]
        assert entry["status"]["messages"][-1][0] == "execution_interrupted"
        assert (await client.finished(later))["outputs"] == {"2": {"text": ["2"]}}


async def test_numbers_go_on_after_a_restart(settings: Settings) -> None:
    async with started(settings) as client:
        for value in range(3):
            await client.finished(await client.submit(number(value)))
    async with started(settings) as client:
        assert (await client.post("/prompt", {"prompt": number(9)}))[1]["number"] == 3
        assert len((await client.get("/history?max_items=2"))[1]) == 2
