"""From POST /prompt to history: both formats, order, partial runs, errors, what listeners are told."""

import asyncio
import json
from typing import Any

import pytest

from tests.server.client import Client
from tests.server.conftest import Serve
from tests.server.prompts import node, number, saved, shown, sleep
from tests.server.test_sockets import Page, page


async def told(listener: Page, job: str) -> list[tuple[str, Any]]:
    """What a client is told of a job up to its end, progress states left out."""
    messages = []
    while True:
        message = await listener.next(seconds=20)
        if message["data"].get("prompt_id") == job and message["type"] != "progress_state":
            messages.append((message["type"], message["data"]))
            if message["type"] == "executing" and message["data"]["node"] is None:
                return messages


async def test_a_prompt_runs_and_its_history_says_how(client: Client) -> None:
    listener = await page(client, "clientId=me")
    status, body = await client.post(
        "/prompt", {"prompt": number(7), "client_id": "me", "extra_data": {"a": 1}}
    )
    assert (status, body["number"], body["node_errors"]) == (200, 0, {})
    job = body["prompt_id"]
    messages = await told(listener, job)
    assert [kind for kind, _ in messages] == [
        "execution_start", "execution_cached", "executing", "executing", "executed", "execution_success",
        "executing",
    ]  # fmt: skip
    assert messages[4][1]["output"] == {"text": ["7"]}
    _, history = await client.get("/history")
    assert list(history) == [job], "the last message comes when the history can be read"
    entry = history[job]
    extra = entry["prompt"][3]
    assert (extra["a"], extra["client_id"]) == (1, "me")
    assert entry["prompt"][:3] == [0, job, number(7)]
    assert entry["prompt"][4] == ["2"]
    assert entry["outputs"] == {"2": {"text": ["7"]}}
    assert entry["status"]["status_str"] == "success"
    assert entry["status"]["completed"] is True
    assert [kind for kind, _ in entry["status"]["messages"]] == [
        "execution_start", "execution_cached", "execution_success",
    ]  # fmt: skip
    assert entry["meta"]["2"]["display_node"] == "2"
    assert await client.get(f"/api/history/{job}") == (200, {job: entry})


async def test_what_is_cached_is_said_and_shown_again(client: Client) -> None:
    await client.finished(await client.submit(number(5)))
    listener = await page(client, "clientId=me")
    job = await client.submit(number(5), client_id="me")
    messages = await told(listener, job)
    cached = next(data for kind, data in messages if kind == "execution_cached")
    assert set(cached["nodes"]) == {"1", "2"}
    assert [data["output"] for kind, data in messages if kind == "executed"] == [{"text": ["5"]}]
    assert (await client.finished(job))["outputs"] == {"2": {"text": ["5"]}}


async def test_progress_and_previews_come_while_a_node_works(client: Client) -> None:
    listener = await page(client, "clientId=me")
    await listener.next()
    steps = shown(node("ToySteps", count=4, pause=0.05, seed=1))
    job = await client.submit(steps, client_id="me", extra_data={"preview_method": "auto"})
    values, pictures, states = [], [], []
    async with asyncio.timeout(20):
        while True:
            message = await listener.socket.receive()
            if isinstance(message.data, bytes):
                pictures.append(message.data[:8])
                continue
            document = json.loads(message.data)
            if document["type"] == "progress":
                values.append((document["data"]["value"], document["data"]["max"], document["data"]["node"]))
            if document["type"] == "progress_state":
                states.append(document["data"]["nodes"])
            if document["type"] == "execution_success":
                break
    assert values[-1] == (4, 4, "1")
    assert pictures[0] == b"\0\0\0\1\0\0\0\2"
    assert states[-1]["1"]["state"] == "finished"
    await client.finished(job)


async def test_a_prompt_is_in_the_queue_or_in_the_history_at_any_time(client: Client) -> None:
    await client.ready()
    for seed in range(20):
        job = await client.submit(number(seed))
        entry: dict[str, Any] = {}
        while not entry:
            _, queue = await client.get("/queue")
            _, counted = await client.get("/prompt")
            entry = (await client.get(f"/history/{job}"))[1]
            queued = [each[1] for name in ("queue_running", "queue_pending") for each in queue[name]]
            assert entry or queued == [job]
            assert entry or counted["exec_info"]["queue_remaining"] == 1


@pytest.mark.parametrize("kind", ["execution_success", "execution_error", "execution_interrupted"])
async def test_who_hears_how_a_prompt_ended_can_read_its_history(client: Client, kind: str) -> None:
    prompt = {
        "execution_success": shown(node("ToySteps", count=1, pause=0, seed=1)),
        "execution_error": shown(node("ToyFail", message="no", seed=1)),
        "execution_interrupted": shown(node("ToySteps", count=500, pause=0.02, seed=2)),
    }[kind]
    await client.ready()
    listener = await page(client, "clientId=me")
    job = await client.submit(prompt, client_id="me")
    if kind == "execution_interrupted":
        await listener.next("progress")
        await client.post("/interrupt", {})
    assert (await listener.next(kind))["data"]["prompt_id"] == job
    _, entry = await client.get(f"/history/{job}")
    assert entry[job]["status"]["messages"][-1][0] == kind
    _, queue = await client.get("/queue")
    assert queue == {"queue_running": [], "queue_pending": []}


async def test_who_connects_late_is_told_what_runs(client: Client) -> None:
    job = await client.submit(shown(node("ToySteps", count=50, pause=0.05, seed=2)), client_id="me")
    await client.progressed(job)
    listener = await page(client, "clientId=me")
    kinds = [(await listener.next())["type"] for _ in range(3)]
    assert kinds == ["status", "executing", "progress_state"]
    await client.post("/interrupt", {})


async def test_an_editor_document_is_taken_as_it_is(client: Client) -> None:
    document = {
        "version": 0.4, "last_node_id": 2, "last_link_id": 1,
        "nodes": [
            {"id": 1, "type": "ToyNumber", "mode": 0, "inputs": [], "widgets_values": [9],
             "outputs": [{"name": "INT", "type": "INT", "links": [1]}]},
            {"id": 2, "type": "ToyShow", "mode": 0, "inputs": [{"name": "value", "type": "*", "link": 1}]},
        ],
        "links": [[1, 1, 0, 2, 0, "INT"]],
    }  # fmt: skip
    for body in ({"prompt": document}, document):
        status, answer = await client.post("/prompt", body)
        assert status == 200, answer
        entry = await client.finished(answer["prompt_id"])
        assert entry["outputs"] == {"2": {"text": ["9"]}}
        assert entry["prompt"][3]["extra_pnginfo"]["workflow"] == document


async def test_only_the_targets_asked_for_run(client: Client) -> None:
    prompt = {**number(1), "3": node("ToyShow", value=["1", 0])}
    job = await client.submit(prompt, partial_execution_targets=["3"])
    entry = await client.finished(job)
    assert list(entry["outputs"]) == ["3"]
    assert entry["prompt"][4] == ["3"]


async def test_a_good_branch_runs_and_the_bad_one_is_named(client: Client) -> None:
    prompt = {**number(1), "3": node("ToyShow", value=["4", 0]), "4": node("ToyNumber", value=-5)}
    status, body = await client.post("/prompt", {"prompt": prompt})
    assert status == 200
    assert body["node_errors"]["4"]["errors"][0]["type"] == "value_smaller_than_min"
    assert list((await client.finished(body["prompt_id"]))["outputs"]) == ["2"]


async def test_a_node_that_raises_is_in_the_history_with_its_trace(client: Client) -> None:
    listener = await page(client, "clientId=me")
    job = await client.submit(shown(node("ToyFail", message="too hot", seed=1)), client_id="me")
    messages = await told(listener, job)
    error = next(data for kind, data in messages if kind == "execution_error")
    assert (error["node_id"], error["node_type"]) == ("1", "ToyFail")
    assert error["exception_message"].startswith("too hot")
    assert "ValueError" in error["exception_type"]
    assert error["traceback"]
    entry = await client.finished(job)
    assert (entry["status"]["status_str"], entry["status"]["completed"]) == ("error", False)
    _, record = await client.get(f"/api/jobs/{job}")
    assert (record["status"], record["execution_error"]["node_id"]) == ("failed", "1")
    assert (await client.finished(await client.submit(number(3))))["status"]["completed"], (
        "the next one works"
    )


async def test_numbers_and_fronts_order_the_queue(client: Client) -> None:
    await client.ready()
    first = await client.submit(sleep(1, 1))
    await client.until(first, "running")
    plain = await client.submit(sleep(0, 2))
    front = await client.submit(sleep(0, 3), front=True)
    given = await client.submit(sleep(0, 4), number=0.5)
    _, queue = await client.get("/queue")
    assert [entry[1] for entry in queue["queue_running"]] == [first]
    assert [entry[1] for entry in queue["queue_pending"]] == [front, given, plain]
    assert [entry[0] for entry in queue["queue_pending"]] == [-2, 0.5, 1]
    assert (await client.get("/prompt"))[1] == {"exec_info": {"queue_remaining": 4}}
    for job in (first, plain, front, given):
        await client.finished(job)
    _, history = await client.get("/history")
    assert list(history) == [first, front, given, plain]


async def test_prompt_ids_are_kept_and_not_doubled(client: Client) -> None:
    mine = "0d7ab5b8-5d0d-4a0e-9df1-62f0c9b7f001"
    body = {"prompt": sleep(1), "prompt_id": mine}
    assert (await client.post("/prompt", body))[1]["prompt_id"] == mine
    status, answer = await client.post("/prompt", body)
    assert (status, answer["error"]["type"]) == (409, "prompt_id_in_use")
    await client.finished(mine)
    assert (await client.post("/prompt", body))[0] == 200, "an ended one makes place"


async def test_a_prompt_id_is_a_canonical_uuid(client: Client) -> None:
    hexadecimal = "0d7ab5b8-5d0d-4a0e-9df1-62f0c9b7f002"
    for given in ("my-id", "", 7, hexadecimal.upper(), hexadecimal.replace("-", ""), f"{{{hexadecimal}}}"):
        status, answer = await client.post("/prompt", {"prompt": number(1), "prompt_id": given})
        assert (status, answer["error"]["type"]) == (400, "invalid_prompt_id"), given
    assert (await client.get("/queue"))[1] == {"queue_running": [], "queue_pending": []}
    assert await client.submit(number(1), prompt_id=hexadecimal) == hexadecimal


async def test_waiting_prompts_are_dropped_and_the_running_one_is_not(client: Client) -> None:
    await client.ready()
    running = await client.submit(sleep(0.8, 1))
    await client.until(running, "running")
    jobs = [await client.submit(sleep(0, seed)) for seed in range(2, 6)]
    assert (await client.post("/queue", {"delete": [jobs[0], running, "unknown"]}))[0] == 200
    _, queue = await client.get("/queue")
    assert [entry[1] for entry in queue["queue_pending"]] == jobs[1:]
    assert (await client.post("/queue", {"clear": True}))[0] == 200
    assert (await client.get("/queue"))[1]["queue_pending"] == []
    assert (await client.finished(running))["status"]["completed"] is True
    assert {await client.state(job) for job in jobs} == {"cancelled"}
    assert list((await client.get("/history"))[1]) == [running]


async def test_a_nodes_own_check_is_asked_of_the_worker(client: Client) -> None:
    await client.ready()
    for word, status in (("good", 200), ("bad", 400)):
        code, body = await client.post("/prompt", {"prompt": {"1": node("ToySecret", word=word)}})
        assert code == status, body
    assert body["node_errors"]["1"]["errors"][0]["type"] == "custom_validation_failed"
    assert "bad word" in body["node_errors"]["1"]["errors"][0]["details"]


async def test_a_choice_is_asked_for_anew_before_it_is_refused(
    serve: Serve, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    choices = tmp_path / "choices"
    choices.write_text("first")
    monkeypatch.setenv("TOYS_CHOICES", str(choices))
    async with serve() as client:
        await client.ready()
        prompt = shown(node("ToyChoice", name="second"))
        status, body = await client.post("/prompt", {"prompt": prompt})
        assert (status, body["node_errors"]["1"]["errors"][0]["type"]) == (400, "value_not_in_list")
        choices.write_text("first second")
        assert (await client.post("/prompt", {"prompt": prompt}))[0] == 200
        _, entry = await client.get("/object_info/ToyChoice")
        assert entry["ToyChoice"]["input"]["required"]["name"][0] == ["first", "second"]


async def test_saved_files_can_be_seen(client: Client) -> None:
    entry = await client.finished(await client.submit(saved("sub/pic")))
    image = entry["outputs"]["2"]["images"][0]
    assert image == {"filename": "pic_00001_.png", "subfolder": "sub", "type": "output"}
    response, body = await client.response("GET", "/view", params=image)
    assert (response.status, response.content_type) == (200, "image/png")
    assert body.startswith(b"\x89PNG")
    _, jobs = await client.get("/api/jobs")
    assert jobs["jobs"][0]["preview_output"]["filename"] == "pic_00001_.png"
    assert jobs["jobs"][0]["outputs_count"] == 1


async def test_a_job_without_a_client_runs_in_silence(client: Client) -> None:
    listener = await page(client, "clientId=other")
    await client.finished(await client.submit(number(11)))
    client.parts.scheduler._tell_status()
    while (message := await listener.next())["type"] == "status":
        if message["data"]["status"]["exec_info"]["queue_remaining"] == 0 and "sid" not in message["data"]:
            return
    assert message["type"] == "nodeloom.specs", message


async def test_on_a_full_disk_prompts_are_refused_and_what_runs_is_not_lost(client: Client) -> None:
    await client.ready()
    running = await client.submit(sleep(0.8, 1))
    await client.until(running, "running")
    database = client.parts.store._database  # type: ignore[attr-defined]  # the journal's
    pages = await database.write(lambda connection: connection.execute("PRAGMA page_count").fetchone()[0])
    await database.write(lambda connection: connection.execute(f"PRAGMA max_page_count={pages}").fetchone())
    status, body = await client.post("/prompt", {"prompt": number(1), "extra_data": {"note": "x" * 100_000}})
    assert (status, body["error"]["type"]) == (507, "not_kept")
    assert "full" in body["error"]["details"]
    while client.parts.scheduler.running_ids():
        await asyncio.sleep(0.02)
    assert (await client.get("/queue"))[0] == 200
    await database.write(lambda connection: connection.execute("PRAGMA max_page_count=1000000").fetchone())
    assert (await client.finished(running))["status"]["completed"] is True
    assert (await client.finished(await client.submit(number(1))))["status"]["completed"] is True


async def test_packs_send_messages_of_their_own(client: Client) -> None:
    mine, other = await page(client, "clientId=mine"), await page(client, "clientId=other")
    await client.submit({"1": node("ToyTell", name="toy.event", text="hi")}, client_id="mine")
    assert (await mine.next("toy.event", 20))["data"] == {"text": "hi"}
    assert (await mine.next("toy.event.all"))["data"] == ["hi"]
    assert (await other.next("toy.event.all"))["data"] == ["hi"]
    while isinstance((message := await mine.socket.receive(timeout=5)).data, str):
        pass
    assert message.data == b"\0\0\0\x09hi", "the number of its kind comes first, as in ComfyUI"


async def test_many_prompts_at_once_all_run_in_order(client: Client) -> None:
    jobs = await asyncio.gather(*(client.submit(number(100 + index)) for index in range(60)))
    entries = [await client.finished(job) for job in jobs]
    numbers = [entry["prompt"][0] for entry in entries]
    assert sorted(numbers) == list(range(60))
    _, history = await client.get("/history")
    assert [entry["prompt"][0] for entry in history.values()] == list(range(60))


async def test_lint_says_what_is_wrong_and_queues_nothing(client: Client) -> None:
    status, body = await client.post("/nodeloom/lint", {"prompt": number(1)})
    assert (status, body["ok"], body["outputs"]) == (200, True, ["2"])
    status, body = await client.post("/nodeloom/lint", {"prompt": number(-1)})
    assert (status, body["ok"], body["error"]["type"]) == (200, False, "prompt_outputs_failed_validation")
    assert (await client.get("/api/jobs"))[1]["jobs"] == []
