"""The server killed at any moment: nothing that was accepted is lost, nothing runs to its end twice, order
is kept.
"""

import contextlib
import http.client
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from server.settings import Settings
from tests.server.client import started
from tests.server.conftest import ROOT
from tests.server.prompts import node, number, saved, shown, sleep

SERVER = """
import sys
from pathlib import Path
from execution.files.folders import Folders
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
    assert set(states.values()) == {"success"}
    assert ended == accepted, "all are there, in the order in which they were queued"
    files = [path.name[:6] for path in settings.folders.output.iterdir()]
    counts = [files.count(f"run{index:03}") for index in range(len(accepted))]
    assert min(counts) == 1
    assert sum(counts) <= len(counts) + 1, "only the one that ran at the kill may have run to its end twice"


def wait_until(holds: Callable[[], bool], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_what_ran_at_a_kill_runs_first_and_after_a_second_kill_not_again(
    settings: Settings, tmp_path: Path
) -> None:
    deadly, after = str(uuid.uuid4()), str(uuid.uuid4())
    with server(tmp_path) as (process, url):
        ask(url, "prompt", {"prompt": sleep(60, 1), "prompt_id": deadly})
        wait_until(lambda: ask(url, f"api/jobs/{deadly}")["state"] == "running")
        ask(url, "prompt", {"prompt": number(2), "prompt_id": after, "front": True})
        process.send_signal(signal.SIGKILL)
    with server(tmp_path) as (process, url):
        queue = ask(url, "queue")
        waiting = [entry[1] for kind in ("queue_running", "queue_pending") for entry in queue[kind]]
        assert waiting == [deadly, after], "it is at the front again, also of what was put to the front"
        wait_until(lambda: ask(url, f"api/jobs/{deadly}")["state"] == "running")
        process.send_signal(signal.SIGKILL)
    with server(tmp_path) as (_, url):
        wait_until(lambda: ask(url, f"api/jobs/{after}")["state"] == "success")
        record = ask(url, f"api/jobs/{deadly}")
        assert (record["state"], record["execution_error"]["exception_type"]) == ("error", "ServerDied")
        assert "not tried again" in record["execution_error"]["exception_message"]


KILLS = int(os.environ.get("NODELOOM_KILLS", "3"))
KILOBYTES = 400


def upload(url: str, name: str, content: bytes) -> None:
    """Send a file as a form."""
    head = f'--edge\r\nContent-Disposition: form-data; name="image"; filename="{name}"\r\n\r\n'.encode()
    body = head + content + b"\r\n--edge--\r\n"
    kind = {"Content-Type": "multipart/form-data; boundary=edge"}
    with urllib.request.urlopen(urllib.request.Request(f"{url}upload/image", body, kind), timeout=20):
        pass


def keep_writing(url: str, dice: random.Random) -> None:
    """Save a user's files and upload others until the server is gone."""
    with contextlib.suppress(OSError, http.client.HTTPException):
        while True:
            ask(url, "userdata/kept.json", {"text": "y" * dice.randrange(10, 400_000)})
            upload(url, f"{dice.randrange(5)}.bin", b"z" * dice.randrange(10, 4_000_000))


@pytest.mark.timeout(120 + 8 * KILLS)
def test_kills_while_files_are_written_leave_none_half_written(settings: Settings, tmp_path: Path) -> None:
    dice = random.Random(KILLS)
    accepted: list[str] = []
    for round_ in range(KILLS):
        with server(tmp_path) as (process, url):
            writer = threading.Thread(target=keep_writing, args=(url, random.Random(round_)))
            writer.start()
            for seed in range(2):
                prompt = {
                    "1": node("ToyWrite", filename_prefix="w", kilobytes=KILOBYTES, seed=2 * round_ + seed)
                }
                accepted.append(ask(url, "prompt", {"prompt": prompt})["prompt_id"])
            time.sleep(dice.random() * 2.5)
            process.send_signal(signal.SIGKILL)
            process.wait()
            writer.join()
    with server(tmp_path) as (_, url):
        wait_until(lambda: ask(url, "prompt")["exec_info"]["queue_remaining"] == 0, 60 + 2 * KILLS)
        states = [ask(url, f"api/jobs/{job}")["state"] for job in accepted]
        wait_until(lambda: not list(tmp_path.rglob("*.part")))
        assert not list((tmp_path / "state" / "uploads").glob("*"))
        json.loads((tmp_path / "data" / "user" / "default" / "kept.json").read_bytes())
    assert set(states) <= {"success", "error"}
    errors = states.count("error")
    assert errors <= KILLS // 2, "only what was killed twice"
    written = [path.stat().st_size for path in settings.folders.output.iterdir()]
    assert set(written) == {KILOBYTES * 1024}, "each file is whole"
    assert len(written) >= states.count("success")
    print(f"{KILLS} kills: {len(accepted)} jobs, {states.count('success')} succeeded, {errors} given up")


def test_a_killed_server_takes_its_worker_along(settings: Settings, tmp_path: Path) -> None:
    with server(tmp_path) as (process, url):
        deadline = time.monotonic() + 20
        while not (workers := ask(url, "nodeloom/workers")["workers"]) or workers[0]["state"] == "starting":
            assert time.monotonic() < deadline
            time.sleep(0.05)
        deaf = ask(url, "prompt", {"prompt": shown(node("ToyDeaf", seconds=60, seed=1))})["prompt_id"]
        wait_until(lambda: ask(url, f"nodeloom/events?job={deaf}")["last"])
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
        await client.began(job)
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
