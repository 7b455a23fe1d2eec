"""A cancel stops its job and no other, at once where the node listens, by force where it does not."""

import asyncio
import random
import time

import pytest

from server import scheduler
from tests.server.client import Client
from tests.server.prompts import node, number, shown, sleep
from tests.server.routes.test_prompt import told
from tests.server.test_sockets import page


async def test_interrupt_stops_what_runs_and_the_next_one_starts(client: Client) -> None:
    await client.ready()
    listener = await page(client, "clientId=me")
    job, after = await client.submit(sleep(30, 1), client_id="me"), await client.submit(number(1))
    await listener.next("executing")
    start = time.monotonic()
    assert await client.post("/interrupt") == (200, b"")
    entry = await client.finished(job)
    assert time.monotonic() - start < 1.5
    assert entry["status"]["status_str"] == "error"
    kinds = [kind for kind, _ in entry["status"]["messages"]]
    assert kinds[-1] == "execution_interrupted"
    messages = dict(await told(listener, job))
    assert messages["execution_interrupted"]["node_id"] == "1"
    assert (await client.finished(after))["status"]["completed"] is True
    assert (await client.get(f"/api/jobs/{job}"))[1]["status"] == "cancelled"


async def test_interrupt_with_an_id_leaves_others_alone(client: Client) -> None:
    await client.ready()
    running, waiting = await client.submit(sleep(0.7, 1)), await client.submit(sleep(0, 2))
    await client.until(running, "running")
    for job in ("unknown", waiting):
        assert (await client.post("/interrupt", {"prompt_id": job}))[0] == 200
    for job in (running, waiting):
        assert (await client.finished(job))["status"]["completed"] is True


async def test_the_jobs_route_cancels_by_id_wherever_a_job_is(client: Client) -> None:
    await client.ready()
    running, waiting = await client.submit(sleep(30, 1)), await client.submit(sleep(30, 2))
    await client.until(running, "running")
    for job in (waiting, running):
        assert await client.post(f"/api/jobs/{job}/cancel") == (200, {"cancelled": True})
    await client.until(running, "interrupted")
    await client.until(waiting, "cancelled")
    assert await client.post(f"/api/jobs/{running}/cancel") == (200, {"cancelled": False})
    assert (await client.post("/api/jobs/unknown/cancel"))[0] == 404


async def test_many_jobs_are_cancelled_at_once(client: Client) -> None:
    await client.ready()
    jobs = [await client.submit(sleep(30, seed)) for seed in range(3)]
    spared = await client.submit(number(1))
    await client.until(jobs[0], "running")
    asked = {"job_ids": [jobs[2], "unknown", jobs[0], jobs[2]]}
    assert await client.post("/api/jobs/cancel", asked) == (200, {"cancelled": [jobs[2], jobs[0]]})
    await client.until(jobs[0], "interrupted")
    assert await client.state(jobs[2]) == "cancelled"
    assert (await client.post("/jobs/cancel", {"job_ids": [jobs[1]]}))[0] == 200
    await client.finished(spared)
    for wrong in ({}, {"job_ids": []}, {"job_ids": "x"}, {"job_ids": [7]}, {"job_ids": ["x"] * 101}):
        assert (await client.post("/api/jobs/cancel", wrong))[0] == 400, wrong


async def test_a_cancel_never_hits_the_neighbour(client: Client) -> None:
    await client.ready()
    dice = random.Random(7)
    jobs = [await client.submit(sleep(0.02, seed)) for seed in range(60)]
    doomed = set(dice.sample(jobs, 30))

    async def cancel(job: str) -> bool:
        await asyncio.sleep(dice.random() * 1.5)
        return bool((await client.post(f"/api/jobs/{job}/cancel"))[1]["cancelled"])

    stopped = await asyncio.gather(*(cancel(job) for job in doomed))
    for job in set(jobs) - doomed:
        assert (await client.finished(job))["status"]["completed"] is True
    for job, was in zip(doomed, stopped, strict=True):
        expected = {"cancelled", "interrupted", "success"} if was else {"success"}
        assert await client.state(job) in expected, "one that was done by then stays done"
    assert sum(stopped) > 0


async def test_a_node_that_listens_to_nobody_is_ended_with_its_worker(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scheduler, "STUBBORN_SECONDS", 0.3)
    await client.ready()
    job = await client.submit(shown(node("ToyDeaf", seconds=60, seed=1)))
    await client.began(job)
    await client.post("/interrupt")
    (running,) = client.parts.scheduler._running.values()
    while time.monotonic() - running.cancelled < scheduler.STUBBORN_SECONDS:
        await asyncio.sleep(0.02)
    assert await client.state(job) == "running", "the first cancel is patient"
    start = time.monotonic()
    await client.post("/interrupt")
    await client.until(job, "interrupted")
    assert time.monotonic() - start < 3
    assert (await client.finished(await client.submit(number(3))))["status"]["completed"] is True
