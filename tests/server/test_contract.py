"""What a client of ComfyUI relies on: status numbers, error types, fields and the order of frames."""

import asyncio
import json
import re
import time
from itertools import pairwise
from typing import Any

import pytest
from aiohttp import WSMsgType

from server.app import TOPICS
from server.settings import Settings
from tests.server.attacks import form, picture
from tests.server.client import Client
from tests.server.conftest import NOBODY, Serve
from tests.server.prompts import node, number, shown
from tests.server.test_sockets import Page, page

GETS = [
    "/prompt", "/queue", "/history", "/history/x", "/settings", "/settings/x", "/object_info", "/users",
    "/object_info/Nothing", "/system_stats", "/features", "/embeddings", "/models", "/models/checkpoints",
    "/models/nothing", "/extensions", "/view?filename=p.png&type=input", "/view?filename=absent.png",
    "/view", "/userdata?dir=", "/userdata/a.json", "/userdata/absent.json", "/api/jobs", "/api/jobs/x",
    "/internal/logs", "/internal/files/input", "/nodeloom/workers", "/nodeloom/packs", "/", "/absent",
    "/view?filename=p.png&type=input&preview=webp;50",
]  # fmt: skip


@pytest.fixture
def files(settings: Settings) -> None:
    """A picture to look at, and a user's file."""
    (settings.folders.base / "input" / "p.png").write_bytes(picture(4, 4))
    (settings.folders.base / "user" / "default").mkdir()
    (settings.folders.base / "user" / "default" / "a.json").write_text("{}")


@pytest.mark.usefixtures("files")
async def test_head_answers_as_get_without_a_body(client: Client) -> None:
    await client.ready()
    for target in GETS:
        (get, _), (head, body) = [await client.response(method, target) for method in ("GET", "HEAD")]
        assert (head.status, body) == (get.status, b""), target
        for name in ("Content-Type", "ETag"):
            assert head.headers.get(name) == get.headers.get(name), (target, name)
        raw = f"HEAD {target} HTTP/1.1\r\nHost: 127.0.0.1:{client.port}\r\nConnection: close\r\n\r\n"
        reader, writer = await asyncio.open_connection(client.host, client.port)
        writer.write(raw.encode())
        sent = await asyncio.wait_for(reader.read(), 10)
        writer.close()
        assert sent.endswith(b"\r\n\r\n"), f"{target}: no body follows"


async def test_options_is_fine_with_and_without_cors(serve: Serve) -> None:
    async with serve(worker_command=NOBODY) as plain:
        paths = {route.path for topic in TOPICS for route in topic.routes() if "{" not in route.path}
        for path in paths:
            answer = await plain.request("OPTIONS", path)
            assert (answer.status, answer.body) == (200, b""), path
            assert "access-control-allow-origin" not in answer.headers
    async with serve(worker_command=NOBODY, cors_origins=("https://app.example",)) as open_:
        answer = await open_.request("OPTIONS", "/prompt", {"Origin": "https://app.example"})
        assert answer.status == 200
        assert answer.headers["access-control-allow-origin"] == "https://app.example"


STATUSES = [
    ("GET", "/view", 404), ("GET", "/view?filename=", 400), ("GET", "/view?filename=p.png&type=bogus", 400),
    ("GET", "/view?filename=../p.png", 400), ("GET", "/view?filename=p.png&subfolder=..", 403),
    ("GET", "/view?filename=p.png&type=input", 200), ("POST", "/upload/image", 400),
    ("POST", "/upload/mask", 400), ("GET", "/internal/files/bogus", 400),
    ("GET", "/internal/files/input", 200),
    ("GET", "/history?offset=1000", 200), ("GET", "/history?offset=1000000000000000000000", 200),
    ("GET", "/models/bogus", 404), ("GET", "/userdata", 400), ("GET", "/userdata?dir=absent", 404),
    ("GET", "/userdata/absent", 404), ("DELETE", "/userdata/absent", 404),
    ("GET", "/object_info/Nothing", 200),
    ("GET", "/settings/nothing", 200), ("PUT", "/queue", 405), ("GET", "/absent", 404),
]  # fmt: skip


@pytest.mark.usefixtures("files")
async def test_statuses_are_comfyuis(client: Client) -> None:
    await client.ready()
    for method, target, status in STATUSES:
        answer = await client.request(method, target)
        assert answer.status == status, (method, target, answer.status, answer.body)
        if status >= 400:
            assert json.loads(answer.body)["error"].keys() == {"type", "message", "details", "extra_info"}


async def test_a_history_read_beyond_its_end_is_empty(client: Client) -> None:
    for value in range(3):
        await client.finished(await client.submit(number(value)))
    for query in ("offset=3", "offset=1000", "offset=3&max_items=2", f"offset={10**30}", "max_items=0"):
        assert await client.get(f"/history?{query}") == (200, {}), query
    assert len((await client.get("/history?offset=2&max_items=5"))[1]) == 1


async def test_a_mask_without_its_original_is_kept(calm: Client, settings: Settings) -> None:
    for reference in (None, '{"filename": "absent.png", "type": "input"}'):
        fields: dict[str, Any] = {"original_ref": (None, reference.encode())} if reference else {}
        headers, body = form({**fields, "overwrite": (None, b"1"), "image": ("m.png", picture(3, 3))})
        answer = await calm.request("POST", "/upload/mask", headers, body)
        assert (answer.status, json.loads(answer.body)["name"]) == (200, "m.png"), answer.body
        assert (settings.folders.base / "input" / "m.png").read_bytes() == picture(3, 3)


BODIES: list[tuple[Any, str]] = [
    ([], "no_prompt"), ([1, 2], "no_prompt"), ([number(1)], "no_prompt"), ("prompt", "no_prompt"),
    (5, "no_prompt"), (None, "no_prompt"), (True, "no_prompt"), ({}, "no_prompt"),
    ({"prompt": None}, "no_prompt"),
    ({"prompt": {}}, "prompt_no_outputs"), ({"prompt": {"1": {"inputs": {}}}}, "invalid_prompt"),
    ({"prompt": {"1": node("Nowhere")}}, "invalid_prompt"),
]  # fmt: skip


async def test_whole_prompts_are_refused_by_comfyuis_types(client: Client) -> None:
    await client.ready()
    for body, kind in BODIES:
        status, answer = await client.ask("POST", "/prompt", data=json.dumps(body))
        assert (status, answer["error"]["type"], answer["node_errors"]) == (400, kind, {}), body
    assert answer["error"]["details"].startswith("missing_node_type: Node ID '#1'")
    assert answer["error"]["extra_info"]["class_type"] == "Nowhere"


NODES: list[tuple[dict[str, Any], str, str]] = [
    ({"1": {"class_type": "ToyShow"}}, "1", "exception_during_validation"),
    ({"1": {"class_type": "ToyShow", "inputs": None}}, "1", "exception_during_validation"),
    ({"1": node("ToyShow", value=["99", 0])}, "1", "exception_during_validation"),
    ({"1": node("ToyShow", value=["2", 7]), "2": node("ToyNumber")}, "1", "exception_during_validation"),
    (shown({"class_type": "ToyNumber"}), "1", "exception_during_inner_validation"),
    (shown(node("ToyAdd", a=["99", 0], b=["98", 0])), "1", "exception_during_inner_validation"),
    ({"1": node("ToyShow", value=["2"])}, "1", "bad_linked_input"),
    ({"1": node("ToyShow")}, "1", "required_input_missing"),
    ({"1": node("ToySecret", word="bad")}, "1", "custom_validation_failed"),
]


@pytest.mark.parametrize(("prompt", "at", "kind"), NODES)
async def test_nodes_are_refused_by_comfyuis_types(
    client: Client, prompt: dict[str, Any], at: str, kind: str
) -> None:
    await client.ready()
    status, answer = await client.post("/prompt", {"prompt": prompt})
    assert (status, answer["error"]["type"]) == (400, "prompt_outputs_failed_validation")
    error = answer["node_errors"][at]["errors"][0]
    assert error["type"] == kind
    assert error.keys() == {"type", "message", "details", "extra_info"}
    if kind == "custom_validation_failed":
        assert error["details"] == "word - that is a bad word"


async def test_a_file_that_is_not_there_is_refused_in_its_loaders_words(client: Client) -> None:
    await client.ready()
    status, answer = await client.post("/prompt", {"prompt": shown(node("ToyLoad", image="absent.png"))})
    error = answer["node_errors"]["1"]["errors"][0]
    assert (status, error["type"], error["message"]) == (
        400, "custom_validation_failed", "Custom validation failed for node"
    )  # fmt: skip
    assert error["details"] == "image - Invalid image file: absent.png"
    assert error["extra_info"]["input_name"] == "image"
    assert error["extra_info"]["advice"] == "Put the file into the input folder, or choose another."


async def test_listings_say_when_files_were_made(calm: Client) -> None:
    before = time.time() * 1000 - 2000
    _, written = await calm.post("/userdata/a.json?full_info=true", {"a": 1})
    _, moved = await calm.post("/userdata/a.json/move/b.json?full_info=true")
    _, listed = await calm.get("/userdata?dir=&full_info=true")
    for record in (written, moved, *listed):
        assert record.keys() == {"path", "size", "modified", "created"}
        assert before < record["created"] < time.time() * 1000 + 2000
        assert isinstance(record["created"], int)


@pytest.mark.usefixtures("files")
async def test_files_are_sent_under_their_names(calm: Client) -> None:
    for query in ("", "&preview=webp;90", "&channel=rgb", "&channel=a", "&size=64"):
        for method in ("GET", "HEAD"):
            answer, _ = await calm.response(method, f"/view?filename=p.png&type=input{query}")
            assert 'filename="p.png"' in answer.headers["Content-Disposition"], (method, query)


async def test_system_stats_name_all_versions(client: Client) -> None:
    system = (await client.get("/system_stats"))[1]["system"]
    versions = (
        "comfyui_version", "required_frontend_version", "installed_templates_version",
        "required_templates_version", "python_version", "pytorch_version",
    )  # fmt: skip
    for name in versions:
        assert isinstance(system[name], str), name
    assert system["installed_templates_version"] == system["required_templates_version"]


# frames


async def heard(listener: Page) -> list[dict[str, Any]]:
    """All that a client hears, previews left out, up to the end of a job."""
    messages: list[dict[str, Any]] = []
    async with asyncio.timeout(20):
        while True:
            message = await listener.socket.receive()
            if message.type is WSMsgType.BINARY:
                continue
            messages.append(json.loads(message.data))
            if named(messages[-1]) == "executing None":
                return messages


def named(message: dict[str, Any]) -> str:
    """A frame's type, and the node it is about if it is about one."""
    about = f" {message['data']['node']}" if "node" in message["data"] else ""
    return f"{message['type']}{about}"


ORDER = """
(status,)+ execution_start, execution_cached,
executing 1, (progress_state,)+ ((progress_state,)* progress 1,)+ progress_state,
executing 2, (progress_state,)+ executed 2,
(progress_state,)? execution_success, status, executing None,
"""
"""What a reader hears in time; one that is behind is spared states that newer ones replaced."""


async def test_frames_of_a_job_come_in_comfyuis_order(client: Client) -> None:
    await client.ready()
    listener = await page(client, "clientId=me")
    await client.submit(shown(node("ToySteps", count=3, pause=0.05, seed=1)), client_id="me")
    messages = [each for each in await heard(listener) if each["type"] != "nodeloom.specs"]
    told = "".join(f"{named(each)}," for each in messages)
    pattern = (
        ORDER.replace("\n", "").replace(", ", ",").replace("+ ", "+").replace("* ", "*").replace("? ", "?")
    )
    assert re.fullmatch(pattern, told), told
    waits = [
        each["data"]["status"]["exec_info"]["queue_remaining"]
        for each in messages
        if each["type"] == "status"
    ]
    assert waits[-2:] == [1, 0], "the queue is told before the job begins, and before its last message"


async def test_progress_states_name_cached_nodes_as_finished(client: Client) -> None:
    await client.ready()
    prompt = {"0": node("ToyNumber", value=3), "1": node("ToyAdd", a=["0", 0], b=["0", 0])}
    await client.finished(await client.submit({**prompt, "2": node("ToyShow", value=["1", 0])}))
    listener = await page(client, "clientId=me")
    await listener.next()
    more = {
        **prompt,
        "3": node("ToySteps", count=2, pause=0, seed=5),
        "4": node("ToyAdd", a=["1", 0], b=["3", 0]),
    }
    await client.submit({**more, "5": node("ToyShow", value=["4", 0])}, client_id="me")
    messages = await heard(listener)
    cached = next(each["data"]["nodes"] for each in messages if each["type"] == "execution_cached")
    assert set(cached) == {"0", "1"}
    states = [each["data"]["nodes"] for each in messages if each["type"] == "progress_state"]
    for nodes in states:
        for name in cached:
            assert (nodes[name]["state"], nodes[name]["value"], nodes[name]["max"]) == ("finished", 1, 1)
    assert {name: each["state"] for name, each in states[-1].items()} == dict.fromkeys("01345", "finished")
    for earlier, later in pairwise(states):
        assert earlier.keys() <= later.keys(), "nothing that was named is forgotten"
