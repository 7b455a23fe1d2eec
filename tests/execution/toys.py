"""Small node types that compute with whole numbers, for running real graphs."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from execution.declare.outcome import ExecutionBlocker, Outcome
from execution.declare.registry import Registry
from execution.declare.run import Run
from execution.declare.spec import InputSpec, NodeSpec, OutputSpec
from execution.engine import Engine, Result
from execution.events import Cached, Done, Event, Running
from execution.job import Job
from execution.run.cache import Cache

Call = Callable[[dict[str, Any], Run], Any]


@dataclass
class Toy:
    """A node type made by hand, as an adapter for foreign classes would make it."""

    spec: NodeSpec
    call: Call
    asks: Callable[[Mapping[str, Any]], Iterable[str]] | None = None
    changed: Callable[[Mapping[str, Any]], Any] | None = None
    says: Callable[[Mapping[str, Any], Mapping[str, str]], Iterable[str]] | None = None
    asynchronous: bool = False
    fingerprints: bool = True

    def describe(self) -> NodeSpec:
        return self.spec

    def fingerprint(self, inputs: Mapping[str, Any], run: Run) -> Any:
        return self.changed(inputs) if self.changed else None

    def validate(self, inputs: Mapping[str, Any], linked: Mapping[str, str]) -> Iterable[str]:
        return self.says(inputs, linked) if self.says else ()

    def wanted(self, inputs: Mapping[str, Any], run: Run) -> Iterable[str]:
        return self.asks(inputs) if self.asks else ()

    def __call__(self, inputs: dict[str, Any], run: Run) -> Outcome[Any] | Awaitable[Outcome[Any]]:
        result: Outcome[Any] | Awaitable[Outcome[Any]] = self.call(inputs, run)
        return result


def toy(name: str, call: Call, inputs: str = "", outputs: str = "INT", **more: Any) -> Toy:
    """A toy of a spec in shorthand: inputs `"a INT, b? *, c lazy INT, d raw *"`, outputs `"INT, INT[]"`."""
    own = {key: more.pop(key) for key in ("asks", "changed", "says", "asynchronous") if key in more}
    given = tuple(_input(each.split()) for each in inputs.split(",") if each.strip())
    shown = tuple(
        OutputSpec(
            each.strip().removesuffix("[]"), each.strip().removesuffix("[]"), each.strip().endswith("[]")
        )
        for each in outputs.split(",")
        if each.strip()
    )
    return Toy(NodeSpec(name, name, inputs=given, outputs=shown, code="1", **more), call, **own)


def _input(words: list[str]) -> InputSpec:
    name, *flags, kind = words
    options = {"lazy": True} if "lazy" in flags else {"rawLink": True} if "raw" in flags else None
    if "hidden" in flags:
        return InputSpec(name, kind, None, "hidden")
    return InputSpec(name.removesuffix("?"), kind, options, "optional" if name.endswith("?") else "required")


def one(value: Any) -> Outcome[Any]:
    return Outcome((value,))


async def later(inputs: dict[str, Any], run: Run) -> Outcome[Any]:
    await asyncio.sleep(0)
    return one(inputs["value"])


def repeat(inputs: dict[str, Any], run: Run) -> Outcome[Any]:
    """Adds one `times` times, each time by an expansion that ends in another of this node."""
    if inputs["times"] <= 0:
        return one(inputs["value"])
    body, rest = f"{run.node}.{run.index}.body", f"{run.node}.{run.index}.rest"
    return Outcome(
        ([rest, 0],),
        expand={
            body: node("Add", a=inputs["value"], b=1),
            rest: node("Repeat", times=inputs["times"] - 1, value=[body, 0]),
        },
    )


def blocks(inputs: dict[str, Any], run: Run) -> Outcome[Any]:
    return one(ExecutionBlocker(None) if inputs["value"] % 2 else inputs["value"])


def asks_switch(inputs: Mapping[str, Any]) -> Iterable[str]:
    return ["yes"] if inputs["flag"] % 2 else ["no"]


def switched(inputs: dict[str, Any], run: Run) -> Outcome[Any]:
    return one(inputs["yes"] if inputs["flag"] % 2 else inputs["no"])


def toys() -> list[Toy]:
    """The set that the oracle knows, too."""
    return [
        toy("Number", lambda i, run: one(i["value"]), "value INT"),
        toy("Add", lambda i, run: one(i["a"] + i["b"]), "a INT, b INT"),
        toy("Both", lambda i, run: Outcome((i["a"] - 1, i["a"] + 1)), "a INT", "INT, INT"),
        toy("Many", lambda i, run: one(list(range(abs(i["count"]) % 4))), "count INT", "INT[]"),
        toy("Sum", lambda i, run: one(sum(i["values"])), "values INT", input_is_list=True),
        toy("Later", later, "value INT", asynchronous=True),
        toy("Block", blocks, "value INT"),
        toy("Switch", switched, "flag INT, yes lazy INT, no lazy INT", asks=asks_switch),
        toy("Repeat", repeat, "times INT, value INT"),
        toy("Show", lambda i, run: Outcome(ui={"text": [i["value"]]}), "value *", "", output_node=True),
    ]


def node(class_type: str, **inputs: Any) -> dict[str, Any]:
    """A node in API format; `("id", slot)` for a link."""
    links = {name: list(value) if isinstance(value, tuple) else value for name, value in inputs.items()}
    return {"class_type": class_type, "inputs": links}


@dataclass
class Lab:
    """An engine with toys, and what it said."""

    types: list[Toy] = field(default_factory=toys)
    cache: Cache | None = None
    more: Mapping[str, Any] = field(default_factory=dict)
    events: list[Event] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.engine = Engine(Registry(self.types), self.cache, emit=self.events.append, **self.more)

    def run(self, prompt: Mapping[str, Any], *targets: str, **more: Any) -> Result:
        """Run a prompt from scratch of the notes; fails when a node raised and `fails` is not set."""
        self.events.clear()
        expected = more.pop("status", "success")
        result = self.engine.run_sync(Job("job", prompt, targets or None), **more)
        if result.failure is not None and expected == "success":
            raise result.failure.error
        assert result.status == expected
        return result

    def value(self, prompt: Mapping[str, Any], target: str, slot: int = 0) -> list[Any]:
        return self.run(prompt, target).outputs[target][slot]

    def of(self, kind: type[Any]) -> list[Any]:
        return [each for each in self.events if isinstance(each, kind)]

    @property
    def ran(self) -> list[str]:
        return [each.place.node for each in self.of(Running)]

    @property
    def done(self) -> list[str]:
        return [each.place.node for each in self.of(Done)]

    @property
    def known(self) -> set[str]:
        return {name for each in self.of(Cached) for name in each.nodes}

    def close(self) -> None:
        self.engine.close()

    def __enter__(self) -> Lab:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


NAN = math.nan
