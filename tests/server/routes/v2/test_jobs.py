"""Comfy API v2's jobs: submitted once however often, followed by events, cancelled, listed by labels."""

import asyncio
import json
from typing import Any

from blake3 import blake3

from server.settings import Limits, Settings
from tests.server.client import Client, started
from tests.server.conftest import Serve
from tests.server.prompts import node, number, saved, shown, sleep
from tests.server.toys import ONE_PIXEL


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
