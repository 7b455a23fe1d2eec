"""Asked beforehand, the engine says what would run and which part of the key differs from last time."""

from __future__ import annotations

import math
import threading
import time
from pathlib import Path
from typing import Annotated, Any

import pytest

from execution.check.explain import Memory
from execution.declare.node import Folder, NativeNode
from execution.declare.node import node as declare
from execution.declare.registry import Registry
from execution.declare.spec import NodeSpec
from execution.engine import Engine
from execution.files.folders import Folders
from execution.job import Job
from execution.run.cache import Budgeted
from tests.execution.toys import Lab, Toy, node, one, toy, toys

PROMPT = {
    "a": node("Number", value=1),
    "b": node("Add", a=("a", 0), b=2),
    "c": node("Add", a=("b", 0), b=3),
    "s": node("Show", value=("c", 0)),
    "other": node("Number", value=9),
}


def explained(lab: Lab, prompt: Any, *targets: str) -> dict[str, Any]:
    found: dict[str, Any] = lab.engine.explain(prompt, targets or None)["nodes"]
    return found


def states(lab: Lab, prompt: Any, *targets: str) -> dict[str, str]:
    return {node_id: each["state"] for node_id, each in explained(lab, prompt, *targets).items()}


def why(lab: Lab, prompt: Any, node_id: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = explained(lab, prompt)[node_id]["reasons"]
    return found


def test_before_the_first_run_all_that_is_needed_will_run() -> None:
    with Lab() as lab:
        assert states(lab, PROMPT) == {
            "a": "will_run",
            "b": "will_run",
            "c": "will_run",
            "s": "will_run",
            "other": "not_needed",
        }
        assert states(lab, PROMPT, "b", "other") == {
            "a": "will_run",
            "b": "will_run",
            "c": "not_needed",
            "s": "not_needed",
            "other": "will_run",
        }
        assert why(lab, PROMPT, "a") == [{"kind": "never_ran"}]
        assert lab.events == []


def test_after_a_run_all_is_cached_and_an_edit_says_what_it_changed() -> None:
    with Lab() as lab:
        lab.run(PROMPT)
        assert states(lab, PROMPT) == {
            "a": "cached",
            "b": "cached",
            "c": "cached",
            "s": "cached",
            "other": "not_needed",
        }
        assert why(lab, PROMPT, "c") == []
        edited = {**PROMPT, "b": node("Add", a=("a", 0), b=5)}
        assert states(lab, edited) == {
            "a": "cached",
            "b": "will_run",
            "c": "will_run",
            "s": "will_run",
            "other": "not_needed",
        }
        assert why(lab, edited, "b") == [{"kind": "constant", "name": "b", "old": 2, "new": 5}]
        assert why(lab, edited, "c") == [{"kind": "upstream", "name": "a", "node": "b", "was": "b"}]
        lab.run(edited)
        assert why(lab, edited, "s") == []


def test_what_a_node_gave_can_be_looked_at_while_it_is_kept() -> None:
    with Lab() as lab:
        assert lab.engine.look(PROMPT, "b") is None
        lab.run(PROMPT)
        before = len(lab.events)
        assert lab.engine.look(PROMPT, "b") == ([3],)
        assert lab.engine.look({**PROMPT, "b": node("Add", a=("a", 0), b=5)}, "c") is None
        assert lab.engine.look(PROMPT, "absent") is None
        assert len(lab.events) == before


EDITS: list[tuple[Any, list[dict[str, Any]]]] = [
    (node("Add", a=("b", 0), b=3.7), []),
    (node("Add", a=("b", 0), b="3"), []),
    (node("Add", a=4, b=3), [{"kind": "link", "name": "a", "old": ["b", 0], "new": 4}]),
    (node("Add", a=("b", 0), b=("a", 0)), [{"kind": "link", "name": "b", "old": 3, "new": ["a", 0]}]),
    (node("Add", a=("a", 0), b=3), [{"kind": "upstream", "name": "a", "node": "a", "was": "b"}]),
    (node("Both", a=("b", 0)), [{"kind": "never_ran"}]),
]


@pytest.mark.parametrize(("edit", "reasons"), EDITS)
def test_each_kind_of_edit_is_told(edit: Any, reasons: list[dict[str, Any]]) -> None:
    with Lab() as lab:
        lab.run(PROMPT)
        assert why(lab, {**PROMPT, "c": edit}, "c") == reasons


def test_another_output_of_the_same_node_and_an_input_that_is_gone_are_told() -> None:
    spare = toy("Spare", lambda i, run: one(0), "a? INT, b? INT")
    with Lab([*toys(), spare]) as lab:
        prompt = {
            "p": node("Both", a=1),
            "x": node("Spare", a=("p", 0), b=2),
            "s": node("Show", value=("x", 0)),
        }
        lab.run(prompt)
        assert why(lab, {**prompt, "x": node("Spare", a=("p", 1))}, "x") == [
            {"kind": "constant", "name": "b", "old": 2, "new": None},
            {"kind": "link", "name": "a", "old": ["p", 0], "new": ["p", 1]},
        ]


def test_code_fingerprints_and_what_was_not_kept_are_told() -> None:
    version: list[Any] = [1]
    changing = toy(
        "Changing", lambda i, run: one(1), "", "INT", changed=lambda i: version[0], output_node=True
    )
    with Lab([*toys(), changing], cache=Budgeted()) as lab:
        prompt = {"x": node("Changing")}
        lab.run(prompt)
        version[0] = [1, 2]
        assert why(lab, prompt, "x") == [{"kind": "is_changed", "old": None, "new": 2}]
        version[0] = math.nan
        assert why(lab, prompt, "x") == [{"kind": "always_runs"}]
        version[0] = 1
        lab.engine.cache.free()
        assert why(lab, prompt, "x") == [{"kind": "not_kept"}]
        changing.spec = NodeSpec("Changing", outputs=changing.spec.outputs, output_node=True, code="2")
        assert why(lab, prompt, "x") == [{"kind": "code", "class_type": "Changing"}]


def test_a_constant_nobody_can_name_always_runs() -> None:
    with Lab() as lab:
        prompt = {"s": node("Show", value={"__value__": object()})}
        lab.run(prompt)
        assert why(lab, prompt, "s")[0]["kind"] in ("always_runs", "constant")
        value = object()
        prompt["s"]["inputs"]["value"] = {"__value__": value}
        lab.run(prompt)
        assert why(lab, prompt, "s") == [{"kind": "always_runs"}]


@declare("Load", output_node=True)
def load(name: Annotated[str, Folder("vae")]) -> None:
    """Load."""


def test_a_file_that_changed_is_told_by_its_path(tmp_path: Path) -> None:
    path = tmp_path / "models" / "vae" / "a.pt"
    path.parent.mkdir(parents=True)
    path.write_text("1")
    native: NativeNode = load.native  # type: ignore[attr-defined]  # left there by @node
    with Engine(Registry([native], {Folders: Folders(tmp_path)})) as engine:
        prompt = {"l": node("Load", name="a.pt")}
        assert engine.run_sync(Job("j", prompt)).status == "success"
        path.write_text("22")
        assert engine.explain(prompt)["nodes"]["l"]["reasons"] == [{"kind": "file", "path": str(path)}]
        path.unlink()
        gone = engine.explain(prompt)["nodes"]["l"]
        assert gone["state"] == "blocked"
        assert gone["problems"][0]["type"] == "value_not_in_list"


def test_what_only_a_lazy_input_leads_to_may_run() -> None:
    prompt = {
        "y": node("Number", value=1),
        "above": node("Number", value=7),
        "n": node("Add", a=("above", 0), b=2),
        "flag": node("Number", value=3),
        "sw": node("Switch", flag=("flag", 0), yes=("y", 0), no=("n", 0)),
        "s": node("Show", value=("sw", 0)),
    }
    with Lab() as lab:
        assert states(lab, prompt) == {
            **dict.fromkeys(["y", "above", "n"], "may_run"),
            **dict.fromkeys(["flag", "sw", "s"], "will_run"),
        }
        lab.run(prompt)
        assert states(lab, prompt)["n"] == "not_needed"


def test_what_cannot_run_is_blocked_with_its_problems_and_so_is_what_needs_it() -> None:
    prompt = {**PROMPT, "b": node("Add", a=("a", 0)), "t": node("Show", value=("other", 0))}
    with Lab() as lab:
        found = explained(lab, prompt)
        assert {name: each["state"] for name, each in found.items()} == {
            "a": "not_needed",
            **dict.fromkeys("bcs", "blocked"),
            **dict.fromkeys(["other", "t"], "will_run"),
        }
        assert [each["type"] for each in found["b"]["problems"]] == ["required_input_missing"]
        assert found["c"]["problems"] == []


def test_a_type_that_does_not_exist_blocks_all() -> None:
    with Lab() as lab:
        found = explained(lab, {**PROMPT, "x": node("Gone")})
        assert {each["state"] for each in found.values()} == {"blocked"}
        assert found["a"]["problems"][0]["type"] == "invalid_prompt"
        assert found["a"]["problems"][0]["details"].startswith("missing_node_type: ")


def test_it_answers_while_a_job_runs_and_awaits_what_is_async() -> None:
    gate, seen = threading.Event(), threading.Event()

    def slow(inputs: Any, run: Any) -> Any:
        seen.set()
        gate.wait(5)
        return one(1)

    async def changed(inputs: Any) -> int:
        return 1

    types: list[Toy] = [*toys(), toy("Slow", slow), toy("Stamp", lambda i, run: one(1), "", changed=changed)]
    with Lab(types) as lab:
        thread = threading.Thread(target=lab.run, args=({"x": node("Slow")}, "x"))
        thread.start()
        assert seen.wait(5)
        started = time.perf_counter()
        assert states(lab, {"st": node("Stamp"), "s": node("Show", value=("st", 0))}) == {
            "st": "will_run",
            "s": "will_run",
        }
        assert time.perf_counter() - started < 2
        gate.set()
        thread.join(5)


def test_only_so_many_nodes_are_remembered() -> None:
    with Lab() as lab:
        lab.engine._ran = Memory(2)
        object.__setattr__(lab.engine._around, "remember", lab.engine._ran.remember)
        lab.run(PROMPT)
        lab.engine.cache.free()
        assert [why(lab, PROMPT, name)[0]["kind"] for name in "abcs"] == [
            "never_ran",
            "never_ran",
            "not_kept",
            "not_kept",
        ]
