"""Comfy API v2's events: what happens to a job, as it happens."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from typing import Any

from tests.server.client import Client
from tests.server.prompts import node, shown, sleep
from tests.server.routes.v2.test_jobs import submit, until
from tests.server.toys import ONE_PIXEL

Event = tuple[str, dict[str, Any]]


async def events(client: Client, job: str) -> AsyncIterator[Event]:
    """What is told of a job until the stream ends."""
    name = ""
    async with client.session.get(f"{client.origin}/api/v2/jobs/{job}/events") as response:
        assert response.status == 200
        assert response.content_type == "text/event-stream"
        async for raw in response.content:
            field, _, value = raw.decode().rstrip("\n").partition(": ")
            if field == "event":
                name = value
            elif field == "data":
                yield name, json.loads(value)


async def collect(client: Client, job: str) -> list[Event]:
    return [event async for event in events(client, job)]


async def test_what_happens_is_told_as_events(client: Client) -> None:
    await client.ready()
    workflow = {
        **shown(node("ToySteps", count=5, pause=0.05, seed=1)),
        "3": node("ToySave", filename_prefix="made", value=["1", 0]),
    }
    _, job = await submit(client, workflow)
    told = [event async for event in events(client, job["id"])]
    statuses = [data["status"] for name, data in told if name == "status"]
    assert statuses[-1] == "succeeded"
    assert statuses[-2] == "running"
    assert told[-1][0] == "status"
    progress = [data for name, data in told if name == "progress"]
    assert [each["value"] for each in progress] == sorted(each["value"] for each in progress)
    assert any(each["steps"] == 5 and each["current_node_class"] == "ToySteps" for each in progress)
    assert all(each["nodes_total"] == 3 for each in progress if each["nodes_total"])
    previews = [data for name, data in told if name == "preview"]
    assert previews, "previews are made for who follows by events"
    assert base64.b64decode(previews[0]["data_base64"]) == ONE_PIXEL
    assert (previews[0]["node_id"], previews[0]["content_type"]) == ("1", "image/png")
    outputs = [data for name, data in told if name == "output"]
    assert sorted(output["type"] for output in outputs) == ["image", "text"]
    again = [event async for event in events(client, job["id"])]
    assert [name for name, _ in again] == ["output", "output", "status"], "who comes late is told the end"
    assert len(client.parts.scheduler.watchers) == 0


async def test_a_waiting_job_is_told_its_place_and_a_cancel(client: Client) -> None:
    await client.ready()
    _, first = await submit(client, sleep(30, 1))
    await until(client, first["id"], "running")
    _, second = await submit(client, sleep(30, 2))
    _, third = await submit(client, sleep(30, 3))
    assert (second["queue_position"], third["queue_position"]) == (1, 2)
    following = asyncio.create_task(collect(client, third["id"]))
    while not client.parts.scheduler.watchers.looks(third["id"]):
        await asyncio.sleep(0.01)
    status, gone = await client.post(f"/api/v2/jobs/{second['id']}/cancel")
    assert (status, gone["status"]) == (200, "canceled")
    status, stopping = await client.post(f"/api/v2/jobs/{first['id']}/cancel")
    assert status == 200
    assert stopping["status"] in ("canceling", "canceled")
    await until(client, third["id"], "running")
    await client.post(f"/api/v2/jobs/{third['id']}/cancel")
    statuses = [data["status"] for name, data in await following if name == "status"]
    assert statuses[0] == "queued"
    assert statuses[-1] == "canceled"
    status, ended = await client.post(f"/api/v2/jobs/{third['id']}/cancel")
    assert (status, ended["status"]) == (200, "canceled"), "asked again it stays as it ended"
    assert (await client.post("/api/v2/jobs/unknown/cancel"))[0] == 404


async def test_who_leaves_is_forgotten(client: Client) -> None:
    await client.ready()
    _, job = await submit(client, sleep(30, 4))
    await until(client, job["id"], "running")
    async with client.session.get(f"{client.origin}/api/v2/jobs/{job['id']}/events") as response:
        assert (await response.content.readline()).startswith(b"event: ")
        assert len(client.parts.scheduler.watchers) == 1
    await client.post(f"/api/v2/jobs/{job['id']}/cancel")
    while len(client.parts.scheduler.watchers):
        await asyncio.sleep(0.01)
