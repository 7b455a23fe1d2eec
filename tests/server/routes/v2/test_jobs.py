"""Comfy API v2's jobs: submitted once however often, followed by events, cancelled, listed by labels."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from typing import Any

from blake3 import blake3

from server.settings import Limits, Settings
from tests.server.client import Client, started
from tests.server.conftest import Serve
from tests.server.prompts import node, number, saved, shown, sleep
from tests.server.toys import ONE_PIXEL

Event = tuple[str, dict[str, Any]]


async def submit(client: Client, workflow: Any, key: str | None = None, **more: Any) -> tuple[int, Any]:
    headers = {"Idempotency-Key": key} if key else {}
    return await client.post("/api/v2/jobs", {"workflow": workflow, **more}, headers=headers)


async def until(client: Client, job: str, *states: str) -> Any:
    """The job, once it is in one of these states."""
    while True:
        _, record = await client.get(f"/api/v2/jobs/{job}")
        if record["status"] in states:
            return record
        await asyncio.sleep(0.02)


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


async def test_a_job_is_told_from_its_submission_to_its_outputs(client: Client) -> None:
    status, job = await submit(client, saved("made"), metadata={"client": "acme"})
    assert status == 201
    assert job["status"] in ("queued", "running")
    address = f"/api/v2/jobs/{job['id']}"
    assert job["urls"] == {"self": address, "events": f"{address}/events", "cancel": f"{address}/cancel"}
    assert (job["outputs"], job["error"], job["metadata"]) == ([], None, {"client": "acme"})
    done = await until(client, job["id"], "succeeded")
    (output,) = done["outputs"]
    expected = {
        "node_id": "2", "name": "made_00001_.png", "type": "image", "content_type": "image/png",
        "size_bytes": len(ONE_PIXEL), "hash": "blake3:" + blake3(ONE_PIXEL).hexdigest(), "job_id": job["id"],
    }  # fmt: skip
    assert {name: output[name] for name in expected} == expected
    assert output["url"] == f"{client.origin}/api/v2/assets/{output['id']}/content"
    assert (await client.get(f"/api/v2/assets/{output['id']}/content"))[1] == ONE_PIXEL
    assert (await client.get(f"/api/v2/assets/{output['id']}"))[1]["job_id"] == job["id"]
    assert done["created_at"] <= done["started_at"] <= done["completed_at"] < done["expires_at"]
    assert done["metrics"]["execution_ms"] >= 0
    assert await client.get(f"{address}/workflow") == (200, {"workflow": saved("made"), "format": "api"})
    assert (await client.get(f"/history/{job['id']}"))[1], "the one history that there is"
    for path in ("", "/workflow", "/events"):
        status, told = await client.get(f"/api/v2/jobs/unknown{path}")
        assert (status, told["error"]["code"]) == (404, "not_found")


async def test_texts_are_outputs_too(client: Client) -> None:
    _, job = await submit(client, number(7))
    done = await until(client, job["id"], "succeeded")
    (output,) = done["outputs"]
    assert (output["node_id"], output["type"], output["content_type"]) == ("2", "text", "text/plain")
    assert (await client.get(f"/api/v2/assets/{output['id']}/content"))[1] == b"7"


async def test_a_key_makes_one_job_even_over_a_restart(settings: Settings) -> None:
    async with started(settings) as client:
        answers = await asyncio.gather(*(submit(client, saved("once"), "key-1") for _ in range(8)))
        assert {status for status, _ in answers} == {201}
        ids = {job["id"] for _, job in answers}
        assert len(ids) == 1
        await until(client, next(iter(ids)), "succeeded")
        status, told = await submit(client, saved("other"), "key-1")
        assert (status, told["error"]["code"]) == (422, "idempotency_key_reuse")
        _, other = await submit(client, saved("once"), "key-2")
        assert other["id"] not in ids
        await until(client, other["id"], "succeeded")
    async with started(settings) as client:
        _, again = await submit(client, saved("once"), "key-1")
        assert again["id"] in ids
        assert len((await client.get("/api/jobs"))[1]["jobs"]) == 2
        await client.post("/history", {"clear": True})
        _, anew = await submit(client, saved("once"), "key-1")
        assert anew["id"] not in ids, "with the job its key is forgotten"


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


async def collect(client: Client, job: str) -> list[Event]:
    return [event async for event in events(client, job)]


async def test_a_failure_is_told_with_its_node(client: Client) -> None:
    _, job = await submit(client, shown(node("ToyFail", message="no luck", seed=1)))
    failed = await until(client, job["id"], "failed")
    error = failed["error"]
    assert (error["code"], error["node_id"], error["class_type"]) == ("node_execution_error", "1", "ToyFail")
    assert "no luck" in error["message"]
    assert "ValueError" in error["traceback"] or "raise" in error["traceback"]


async def test_what_cannot_run_is_refused_in_an_envelope(client: Client) -> None:
    cases: list[tuple[Any, int, str]] = [
        ({"workflow": shown(node("ToyNumber", value=-1))}, 422, "invalid_workflow"),
        ({"workflow": {"1": node("NoSuchNode")}}, 422, "invalid_workflow"),
        ({"workflow": {}}, 422, "invalid_workflow"),
        ({"workflow": {"nodes": [], "links": []}}, 422, "workflow_format_ui"),
        ({}, 422, "invalid_request"),
        ({"workflow": []}, 422, "invalid_request"),
        ({"workflow": number(1), "extra_data": 7}, 422, "invalid_request"),
        ({"workflow": number(1), "metadata": {"a": 1}}, 422, "metadata_invalid"),
        ({"workflow": number(1), "metadata": {str(name): "" for name in range(99)}}, 422, "metadata_invalid"),
        ({"workflow": shown(node("ToyLoad", image={"__type": "core/ASSET", "info": {"id": "x"}}))},
         422, "missing_asset"),
        ({"workflow": shown(node("ToyLoad", image={"__type": "core/ASSET"}))}, 422, "missing_asset"),
    ]  # fmt: skip
    for body, expected, code in cases:
        status, told = await client.post("/api/v2/jobs", body)
        assert (status, told["error"]["code"]) == (expected, code), told
        assert isinstance(told["error"]["message"], str)
        assert isinstance(told["error"]["details"], dict | None)
    _, told = await client.post("/api/v2/jobs", {"workflow": shown(node("ToyNumber", value=-1))})
    assert "1" in told["error"]["details"]["node_errors"]
    headers = {"Content-Type": "application/json"}
    status, told = await client.post("/api/v2/jobs", data=b"[1,", headers=headers)
    assert (status, told["error"]["code"]) == (400, "invalid_json")
    assert (await submit(client, number(1), "x" * 300))[0] == 422
    assert (await client.get("/api/jobs"))[1]["jobs"] == [], "nothing of all that was queued"


async def test_a_full_queue_says_when_to_come_again(serve: Serve) -> None:
    async with serve(limits=Limits(pending=1)) as client:
        await client.ready()
        _, job = await submit(client, sleep(30, 1))
        await until(client, job["id"], "running")
        body = {"workflow": number(1)}
        response, content = await client.response("POST", "/api/v2/jobs", json=body)
        assert response.status == 429
        assert int(response.headers["Retry-After"]) > 0
        assert json.loads(content)["error"]["code"] == "queue_full"
        await client.post(f"/api/v2/jobs/{job['id']}/cancel")


async def test_jobs_are_listed_by_their_labels(client: Client) -> None:
    ids = []
    for index in range(5):
        label = {"client": "acme" if index % 2 else "other", "n": str(index)}
        _, job = await submit(client, number(index), metadata=label)
        ids.append(job["id"])
    cases = {
        "": ids[::-1], "?metadata[client]=acme": [ids[3], ids[1]],
        "?metadata[client]=acme&metadata[n]=1": [ids[1]], "?metadata[client]=none": [],
        "?limit=2": ids[:2:-1],
    }  # fmt: skip
    for query, expected in cases.items():
        _, page = await client.get(f"/api/v2/jobs{query}")
        assert [job["id"] for job in page["jobs"]] == expected, query
    seen, cursor = [], ""
    while True:
        _, page = await client.get(f"/api/v2/jobs?limit=2&cursor={cursor}")
        seen += [job["id"] for job in page["jobs"]]
        if "next_cursor" not in page:
            break
        cursor = page["next_cursor"]
    assert seen == ids[::-1]
    assert page["jobs"][0]["metadata"] == {"client": "other", "n": "0"}
    assert (await client.get("/api/v2/jobs?cursor=x"))[0] == 400
