"""A pack's behaviour as an API client sees it: prompts in by HTTP, messages by WebSocket, pictures out.

One real server for all tests, started as ComfyUI's own tests start theirs. Each test is a client of its own.
"""

from __future__ import annotations

import asyncio
import io
import json
import shutil
import struct
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import aiohttp
import pytest
import pytest_asyncio
from PIL import Image

from tests.test_main import Client, served

from .conftest import graph

pytestmark = pytest.mark.asyncio(loop_scope="module")
HERE = Path(__file__).parent
PARTS = ("asynchronous", "changing", "lazy", "lists", "loops", "validating")
Prompt = dict[str, Any]


@dataclass
class Told:
    """What a client heard of one prompt, up to its end."""

    job: str
    messages: list[dict[str, Any]] = field(default_factory=list)
    frames: list[bytes] = field(default_factory=list)
    entry: dict[str, Any] = field(default_factory=dict)
    pictures: dict[str, list[Image.Image]] = field(default_factory=dict)

    def of(self, kind: str) -> list[dict[str, Any]]:
        """The data of the messages of a kind."""
        return [each["data"] for each in self.messages if each["type"] == kind]

    @property
    def ran(self) -> set[str]:
        return {data["node"] for data in self.of("executing")} - {None}

    @property
    def cached(self) -> set[str]:
        return {node for data in self.of("execution_cached") for node in data["nodes"]}

    def brightness(self, node: str) -> int:
        """The one brightness of the one picture that a node saved."""
        (picture,) = self.pictures[node]
        low, high = picture.convert("L").getextrema()
        assert low == high
        return int(low)


class Listener:
    """A client with a socket; it hears of its own prompts."""

    def __init__(self, client: Client, name: str, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.client, self.name, self.socket = client, name, socket

    async def run(self, prompt: Prompt, **more: Any) -> Told:
        """Run a prompt to its end."""
        status, answer = await self.client.post("/prompt", {"prompt": prompt, "client_id": self.name, **more})
        assert status == 200, answer
        told = Told(answer["prompt_id"])
        while not told.messages or told.of("executing")[-1:] != [{"node": None, "prompt_id": told.job}]:
            frame = await asyncio.wait_for(self.socket.receive(), 30)
            if frame.type is aiohttp.WSMsgType.BINARY:
                told.frames.append(frame.data)
                continue
            message = json.loads(frame.data)
            if message["type"] not in ("status", "feature_flags", "nodeloom.specs"):
                assert message["data"]["prompt_id"] == told.job, "another client's message"
                told.messages.append(message)
        told.entry = (await self.client.get(f"/history/{told.job}"))[told.job]
        for node, shown in told.entry["outputs"].items():
            told.pictures[node] = [await self.picture(each) for each in shown.get("images", ())]
        return told

    async def picture(self, place: dict[str, str]) -> Image.Image:
        return Image.open(io.BytesIO(await self.client.get(f"/view?{urlencode(place)}")))

    async def refused(self, prompt: Prompt, **more: Any) -> dict[str, Any]:
        """What a prompt is refused with."""
        status, answer = await self.client.post("/prompt", {"prompt": prompt, **more})
        assert status == 400, answer
        return dict(answer)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Client]:
    folder = tmp_path_factory.mktemp("served")
    pack = folder / "nodes" / "protocol-pack"
    shutil.copytree(HERE / "packs_served" / "protocol-pack", pack)
    for part in PARTS:
        shutil.copy(HERE / "packs" / "behaviours" / f"{part}.py", pack)
    config = folder / "paths.yaml"
    config.write_text("served:\n    custom_nodes: nodes\n")
    words = ("--output-directory", str(folder / "out"), "--listen", "127.0.0.1")
    async with served(folder / "data", *words, "--extra-model-paths-config", str(config)) as client:
        yield client


@pytest_asyncio.fixture(loop_scope="module")
async def listener(server: Client, request: pytest.FixtureRequest) -> AsyncIterator[Listener]:
    async with server.session.ws_connect(f"{server.url}/ws?clientId={request.node.name}") as socket:
        yield Listener(server, request.node.name, socket)


def saved(source: str, slot: int = 0, name: str = "p") -> tuple[str, dict[str, Any]]:
    return "SaveImage", {"images": (source, slot), "filename_prefix": name}


def flat(content: str = "BLACK", size: int = 8) -> tuple[str, dict[str, Any]]:
    return "Flat", {"content": content, "height": size, "width": size}


def mixed(value: float, name: str) -> Prompt:
    """Black below white, by a mask."""
    return graph(
        b=flat(),
        w=flat("WHITE"),
        m=("FlatMask", {"value": value}),
        x=("MixPictures", {"below": ("b", 0), "above": ("w", 0), "mask": ("m", 0)}),
        s=saved("x", name=name),
    )


async def test_what_is_not_needed_is_not_computed(listener: Listener) -> None:
    for value, brightness, left_out in ((0.0, 0, "w"), (1.0, 255, "b"), (0.5, 127, None)):
        told = await listener.run(mixed(value, f"lazy{value}"))
        assert told.brightness("s") == brightness
        assert left_out not in told.ran


async def test_the_same_prompt_is_cached_and_still_shows_its_pictures(listener: Listener) -> None:
    prompt = mixed(0.25, "cached")
    first = await listener.run(prompt)
    again = await listener.run(prompt)
    assert first.brightness("s") == again.brightness("s") == 63
    assert (again.ran, again.cached) == (set(), set(prompt))
    prompt["m"]["inputs"]["value"] = 0.75
    assert (await listener.run(prompt)).ran == {"m", "x", "s"}


async def test_is_changed_decides_whether_a_node_runs_again(listener: Listener) -> None:
    prompt = graph(p=flat(size=9), c=("ChangesWhenTold", {"image": ("p", 0)}), s=saved("c", name="changed"))
    ran = []
    for should_change in (False, False, True, True):
        prompt["c"]["inputs"]["should_change"] = should_change
        ran.append("c" in (await listener.run(prompt)).ran)
    assert ran == [True, False, True, True]


async def test_an_error_names_its_node_and_the_next_job_works(listener: Listener) -> None:
    prompt = graph(
        a=flat(size=3), b=flat(size=4), x=("Average", {"input1": ("a", 0), "input2": ("b", 0)}), s=saved("x")
    )
    told = await listener.run(prompt)
    (error,) = told.of("execution_error")
    assert (error["node_id"], error["node_type"], error["exception_type"]) == ("x", "Average", "RuntimeError")
    assert error["traceback"]
    assert set(error["executed"]) == {"a", "b"}
    assert told.entry["status"]["status_str"] == "error"
    prompt["b"] = prompt["a"]
    assert (await listener.run(prompt)).brightness("s") == 0


async def test_async_errors_name_their_node_too(listener: Listener) -> None:
    prompt = graph(f=("AsyncFails", {"value": 7}), s=("Show", {"value": ("f", 0)}))
    (error,) = (await listener.run(prompt)).of("execution_error")
    assert (error["node_id"], error["exception_message"]) == ("f", "no 7 today")


def mixing(below: str) -> tuple[str, dict[str, Any]]:
    return "MixPictures", {"below": (below, 0), "above": ("w", 0), "mask": ("m", 0)}


def dawdling(source: str) -> tuple[str, dict[str, Any]]:
    return "Dawdle", {"value": (source, 0), "steps": 1}


@pytest.mark.parametrize(
    ("changes", "node", "kind"),
    [
        ({"b": flat("GREY")}, "b", "value_not_in_list"),
        ({"b": flat(size=0)}, "b", "value_smaller_than_min"),
        ({"b": ("Flat", {"content": "BLACK", "height": "tall", "width": 8})}, "b", "invalid_input_type"),
        ({"b": ("Flat", {"content": "BLACK", "height": 8})}, "b", "required_input_missing"),
        ({"s": saved("m")}, "s", "return_type_mismatch"),
        ({"x": mixing("gone")}, "x", "exception_during_inner_validation"),
        ({"x": mixing("x")}, "x", "dependency_cycle"),
        ({"n": ("Never", {}), "x": dawdling("n")}, "x", "custom_validation_failed"),
        (
            {"v": ("ValidAsync", {"value": 7, "name": "a"}), "x": dawdling("v")},
            "v",
            "custom_validation_failed",
        ),
    ],
)
async def test_wrong_prompts_are_refused_by_node(
    listener: Listener, changes: dict[str, Any], node: str, kind: str
) -> None:
    answer = await listener.refused({**mixed(0.5, "refused"), **graph(**changes)})
    assert answer["error"]["type"] == "prompt_outputs_failed_validation"
    assert kind in {each["type"] for each in answer["node_errors"][node]["errors"]}
    assert answer["node_errors"][node]["dependent_outputs"] == ["s"]


async def test_a_prompt_that_is_none_is_refused_whole(listener: Listener) -> None:
    for prompt, kind in (
        (graph(x=("Nowhere", {}), s=saved("x")), "invalid_prompt"),
        (graph(b=flat()), "prompt_no_outputs"),
        ({}, "prompt_no_outputs"),
    ):
        assert (await listener.refused(prompt))["error"]["type"] == kind
    targets = await listener.refused(mixed(0.5, "refused"), partial_execution_targets=["nobody"])
    assert targets["error"]["type"] == "prompt_no_outputs"


@pytest.mark.parametrize("rounds", [1, 2, 5])
async def test_a_loop_that_hands_its_count_on_by_a_hidden_input_ends(listener: Listener, rounds: int) -> None:
    prompt = graph(
        start=flat(),
        white=flat("WHITE"),
        open=("CountOpen", {"rounds": rounds, "state2": ("start", 0)}),
        body=("Average", {"input1": ("open", 2), "input2": ("white", 0)}),
        close=("ForClose", {"flow": ("open", 0), "value": ("body", 0)}),
        s=saved("close", name=f"loop{rounds}"),
    )
    told = await listener.run(prompt)
    assert told.of("execution_error") == []
    assert told.brightness("s") == int(255 - 255 / 2**rounds)
    displayed = {data["display_node"] for data in told.of("executing") if data["node"]}
    assert displayed <= set(prompt)


async def test_a_cycle_made_by_an_expansion_is_blamed_on_its_node(listener: Listener) -> None:
    prompt = graph(x=("ExpandCycle", {"a": 1, "b": 2}), s=("Show", {"value": ("x", 0)}))
    (error,) = (await listener.run(prompt)).of("execution_error")
    assert error["node_id"] == "x"
    assert "cycle" in error["exception_message"]


async def test_an_output_inside_an_expansion_shows_under_its_node(listener: Listener) -> None:
    prompt = graph(p=flat("WHITE", 5), i=("PreviewInside", {"image": ("p", 0)}))
    for _ in range(2):
        told = await listener.run(prompt)
        ((inner, shown),) = told.entry["outputs"].items()
        assert shown["images"][0]["type"] == "temp"
        assert told.entry["meta"][inner]["display_node"] == "i"
        assert told.brightness(inner) == 255


async def test_async_nodes_run_side_by_side(listener: Listener) -> None:
    names = ("one", "two", "three")
    prompt = graph(
        **{name: flat(size=10 + size) for size, name in enumerate(names)},
        **{f"slow {name}": ("Dawdle", {"value": (name, 0), "steps": 20}) for name in names},
        **{f"shown {name}": ("PreviewImage", {"images": (f"slow {name}", 0)}) for name in names},
    )
    told = await listener.run(prompt)
    states = [data["nodes"].values() for data in told.of("progress_state")]
    together = [{each["node_id"] for each in nodes if each["state"] == "running"} for nodes in states]
    assert {f"slow {name}" for name in names} in together
    steps = [data["value"] for data in told.of("progress") if data["node"] == "slow one"]
    assert steps[-1] == 20
    assert steps == sorted(steps)


async def test_two_clients_hear_of_their_own_prompts_only(listener: Listener, server: Client) -> None:
    async with server.session.ws_connect(f"{server.url}/ws?clientId=other") as socket:
        other = Listener(server, "other", socket)
        mine, theirs = await asyncio.gather(
            *(
                each.run(
                    graph(p=flat(size=size), d=("Dawdle", {"value": ("p", 0), "steps": 5}), s=saved("d"))
                )
                for each, size in ((listener, 20), (other, 21))
            )
        )
    for told in (mine, theirs):  # Listener.run has looked at whose messages they are
        assert told.of("progress_state")
        assert told.of("execution_success")


@pytest.mark.parametrize("message", ["", "not today"])
async def test_a_blocked_picture_is_not_saved(listener: Listener, message: str) -> None:
    prompt = graph(
        p=flat(),
        x=("BlockPicture", {"image": ("p", 0), "block": True, "message": message}),
        s=saved("x", name="blocked"),
        o=("PreviewImage", {"images": ("p", 0)}),
    )
    told = await listener.run(prompt)
    assert set(told.pictures) == {"o"}
    assert told.entry["status"]["status_str"] == "success"
    assert [error["node_id"] for error in told.of("execution_error")] == (["s"] if message else [])


async def test_only_the_targets_asked_for_are_computed(listener: Listener) -> None:
    prompt = graph(a=flat(size=30), b=flat(size=31), x=saved("a", name="x"), y=saved("b", name="y"))
    told = await listener.run(prompt, partial_execution_targets=["x"])
    assert told.ran == {"a", "x"}
    assert set(told.pictures) == {"x"}


async def test_a_prompt_is_interrupted_by_its_id_and_not_by_anothers(
    listener: Listener, server: Client
) -> None:
    stopped = "7f3d2c1b-9a8e-4d6f-b012-3c4d5e6f7a8b"
    prompt = graph(p=flat(size=40), d=("Dawdle", {"value": ("p", 0), "steps": 3000}), s=saved("d"))
    running = asyncio.create_task(listener.run(prompt, prompt_id=stopped))
    while not (await server.get("/queue"))["queue_running"]:
        await asyncio.sleep(0.01)
    assert (await server.post("/interrupt", {"prompt_id": "another"}))[0] == 200
    assert [entry[1] for entry in (await server.get("/queue"))["queue_running"]] == [stopped]
    assert (await server.post("/interrupt", {"prompt_id": stopped}))[0] == 200
    told = await running
    assert len(told.of("execution_interrupted")) == 1
    assert (await server.get(f"/api/jobs/{stopped}"))["status"] == "cancelled"
    assert (await server.post(f"/api/jobs/{stopped}/cancel", {}))[1] == {"cancelled": False}


async def test_history_comes_in_windows_and_jobs_in_pages(listener: Listener, server: Client) -> None:
    for size in (50, 51, 52):
        await listener.run(graph(p=flat(size=size), s=saved("p", name="window")))
    whole = list(await server.get("/history"))
    for query, window in (
        ("offset=0", whole),
        ("offset=1&max_items=2", whole[1:3]),
        ("max_items=2", whole[-2:]),
        (f"offset={len(whole) - 1}", whole[-1:]),
        (f"offset={len(whole)}", []),
    ):
        assert list(await server.get(f"/history?{query}")) == window, query
    jobs = (await server.get("/api/jobs?status=completed&limit=2&sort_order=desc"))["jobs"]
    assert [job["id"] for job in jobs] == whole[:-3:-1]
    assert set(jobs[0]["preview_output"]) >= {"filename", "subfolder", "type", "nodeId", "mediaType"}


async def test_previews_come_with_metadata_to_those_who_read_it(listener: Listener) -> None:
    prompt = graph(p=("SyncProgress", {"steps": 2}), s=("Show", {"value": ("p", 0)}))
    (plain,) = (await listener.run(prompt)).frames
    assert struct.unpack(">II", plain[:8]) == (1, 1)
    assert Image.open(io.BytesIO(plain[8:])).width == 512
    flags = {"type": "feature_flags", "data": {"supports_preview_metadata": True}}
    await listener.socket.send_json(flags)
    prompt["p"]["inputs"]["steps"] = 3
    told = await listener.run(prompt)
    (described,) = told.frames
    kind, length = struct.unpack(">II", described[:8])
    metadata = json.loads(described[8 : 8 + length])
    assert (kind, metadata["node_id"], metadata["prompt_id"]) == (4, "p", told.job)
    assert Image.open(io.BytesIO(described[8 + length :])).width == 512
