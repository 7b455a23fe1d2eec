"""Workers die, hang and hold the interpreter's lock; jobs are told, retried once, given up; the server
answers all along.
"""

import asyncio
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from server.refreshing import troubles
from server.rehearsal import rehearse
from server.workers import Worker, cause_of_death
from tests.server.client import Client
from tests.server.conftest import Serve
from tests.server.prompts import node, number, shown, sleep
from tests.server.routes.test_prompt import told
from tests.server.test_sockets import page


def killing(file: Path, times: int, seed: int = 0) -> dict[str, Any]:
    return shown(node("ToyKill", file=str(file), times=times, seed=seed))


def worker(client: Client) -> Worker:
    found = client.parts.crew.any()
    assert found is not None
    return found


async def test_a_job_whose_worker_dies_is_told_why_and_tried_once_more(
    client: Client, tmp_path: Path
) -> None:
    listener = await page(client, "clientId=me")
    job = await client.submit(killing(tmp_path / "count", 1), client_id="me")
    retry = await listener.next("nodeloom.retry", seconds=20)
    assert retry["data"]["prompt_id"] == job
    assert "SIGKILL" in retry["data"]["why"]
    entry = await client.finished(job)
    assert entry["status"]["completed"] is True
    _, record = await client.get(f"/api/jobs/{job}")
    assert record["attempts"] == 2
    assert [each["status"] for each in record["changes"]] == [
        "pending",
        "running",
        "pending",
        "running",
        "success",
    ]
    assert "SIGKILL" in record["changes"][2]["why"]


async def test_a_job_that_kills_twice_is_given_up_and_the_next_one_runs(
    client: Client, tmp_path: Path
) -> None:
    listener = await page(client, "clientId=me")
    job = await client.submit(killing(tmp_path / "count", 1000), client_id="me")
    after = await client.submit(number(4))
    error = dict(await told(listener, job))["execution_error"]
    assert (error["exception_type"], error["node_id"], error["node_type"]) == ("WorkerDied", "1", "ToyKill")
    assert "SIGKILL" in error["exception_message"]
    entry = await client.finished(job)
    assert entry["status"]["completed"] is False
    assert (tmp_path / "count").read_bytes() == b"xx", "it was tried twice and no more"
    assert (await client.finished(after))["outputs"] == {"2": {"text": ["4"]}}


async def test_events_of_a_retry_go_on_counting(client: Client, tmp_path: Path) -> None:
    job = await client.submit(killing(tmp_path / "count", 1))
    await client.finished(job)
    _, told = await client.get(f"/nodeloom/events?job={job}")
    numbers = [event["number"] for event in told["events"]]
    assert numbers == sorted(set(numbers))
    assert [event["kind"] for event in told["events"]].count("Started") == 2


async def test_a_killed_idle_worker_is_replaced(client: Client) -> None:
    await client.ready()
    first = worker(client).pid
    os.kill(first, signal.SIGKILL)
    job = await client.submit(number(1))
    assert (await client.finished(job))["status"]["completed"] is True
    assert worker(client).pid != first


async def test_a_node_that_holds_the_lock_delays_no_answer(client: Client) -> None:
    await client.ready()
    job = await client.submit(shown(node("ToyGil", rounds=3, seed=1)))
    await client.until(job, "running")
    slowest = 0.0
    while await client.state(job) == "running":
        start = time.monotonic()
        assert (await client.get("/queue"))[0] == 200
        assert (await client.get("/object_info/ToyGil"))[0] == 200
        slowest = max(slowest, time.monotonic() - start)
        await asyncio.sleep(0.02)
    assert slowest < 0.5, "idle machines answer within 0.1 s; this one may be busy"
    assert (await client.finished(job))["status"]["completed"] is True


async def test_a_worker_that_cannot_start_is_explained(serve: Serve) -> None:
    command = (sys.executable, "-c", "import sys; print('no torch here'); sys.exit(3)")
    async with serve(worker_command=command) as client:
        while not client.parts.crew.problems:
            await asyncio.sleep(0.05)
        _, told = await client.get("/nodeloom/workers")
        assert "exit code 3" in told["problems"][0]
        assert "no torch here" in told["problems"][0]
        assert (await client.get("/queue"))[0] == 200
        assert (await client.get("/system_stats"))[1]["devices"] == []
        status, body = await client.get("/nodeloom/cache")
        assert (status, body["error"]["type"]) == (503, "no_worker")


async def test_a_worker_that_is_slow_to_end_is_not_said_to_lack_memory(serve: Serve) -> None:
    ending = (
        "import os, sys, time; print('no torch here', flush=True); os.close(int(sys.argv[2])); time.sleep(60)"
    )
    async with serve(worker_command=(sys.executable, "-c", ending)) as client:
        await client.parts.crew.tried.wait()
        (problem,) = client.parts.crew.problems.values()
        assert "its channel closed" in problem
        assert "no torch here" in problem


async def test_a_worker_that_is_no_program_is_explained(serve: Serve) -> None:
    async with serve(worker_command=("/nowhere/python",)) as client:
        while not client.parts.crew.problems:
            await asyncio.sleep(0.05)
        assert "could not be started" in (await client.get("/nodeloom/workers"))[1]["problems"][0]


async def test_a_quick_test_says_what_does_not_load(serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    async with serve() as client:
        assert await rehearse(client.parts) == 0
    async with serve(worker_command=("/nowhere/python",)) as client:
        assert await rehearse(client.parts) == 1
    assert "could not be started" in caplog.text


def test_a_pack_that_failed_is_named_with_its_reason() -> None:
    problem = {"reason": "NameError: x", "file": "/packs/bad.py", "line": 3}
    packs = [{"name": "good", "state": "loaded"}, {"name": "bad", "state": "failed", "problems": [problem]}]
    assert troubles(packs) == ["Pack bad did not load: NameError: x (/packs/bad.py:3)"]


async def test_prompts_wait_for_a_worker_that_is_slow_to_start(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOYS_DELAY", "1")
    async with serve() as client:
        start = time.monotonic()
        assert (await client.get("/queue"))[0] == 200
        assert time.monotonic() - start < 0.8
        job = await client.submit(number(2))
        assert (await client.finished(job))["outputs"] == {"2": {"text": ["2"]}}


async def test_questions_are_answered_while_a_job_computes(client: Client) -> None:
    await client.ready()
    job = await client.submit(sleep(2))
    await client.until(job, "running")
    _, stats = await client.get("/system_stats")
    assert stats["devices"][0]["name"] == "cpu"
    assert stats["system"]["ram_total"] > 0
    assert (await client.get("/nodeloom/cache"))[1] == {"entries": []}
    assert await client.post("/free", {"unload_models": True, "free_memory": True}) == (200, b"")
    assert await client.state(job) == "running"
    await client.post("/interrupt", {})


async def test_no_worker_outlives_its_server(serve: Serve) -> None:
    async with serve() as client:
        await client.ready()
        await client.began(await client.submit(sleep(100)))
        pid = worker(client).pid
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_a_death_is_explained_in_words() -> None:
    assert cause_of_death(-9, []) == "killed by SIGKILL (often: out of memory)"
    assert cause_of_death(-11, ["a", "Fatal", ""]) == "killed by SIGSEGV; its last words: Fatal"
    assert cause_of_death(1, []) == "exit code 1"
    assert cause_of_death(None, []) == "its channel closed"
