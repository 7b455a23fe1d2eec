"""Jobs from the outside: what runs, what is said, what comes out, and what happens when it goes wrong."""

from __future__ import annotations

import asyncio
import gc
import math
import threading
import time
import weakref
from pathlib import Path
from typing import Any

import pytest

from execution.cancel import CancelToken
from execution.declare.outcome import ExecutionBlocker, Outcome
from execution.declare.registry import Registry
from execution.declare.run import LazyInput, Run
from execution.engine import Engine
from execution.errors import Cancelled, DependencyCycle, DuplicateNode, GraphError
from execution.events import (
    Blocked,
    Cached,
    Done,
    Failed,
    Finished,
    Interrupted,
    Noticed,
    Place,
    Preview,
    PreviewReady,
    Progress,
    Running,
    Started,
)
from execution.job import Job
from execution.run.cache import Budgeted, NoCache
from tests.execution.toys import Lab, Toy, asks_switch, node, one, toy, toys

Inputs = dict[str, Any]


def lab(*more: Toy, **options: Any) -> Lab:
    cache = options.pop("cache", None)
    return Lab([*toys(), *more], cache, options)


# --- what runs ---


def test_a_chain_deeper_than_pythons_stack_runs() -> None:
    prompt = {"0": node("Number", value=1)}
    for index in range(1, 5000):
        prompt[str(index)] = node("Add", a=(str(index - 1), 0), b=1)
    with lab() as here:
        assert here.value(prompt, "4999") == [5000]
        assert here.value(prompt, "4999") == [5000]
        assert here.ran == []


def test_an_expansion_in_an_expansion_and_so_on_thousands_deep_runs() -> None:
    with lab(cache=NoCache()) as here:
        assert here.value({"r": node("Repeat", times=3000, value=0)}, "r") == [3000]


def test_a_cached_node_needs_nothing_above_it() -> None:
    prompt = {
        "a": node("Number", value=1),
        "b": node("Add", a=("a", 0), b=2),
        "c": node("Add", a=("b", 0), b=3),
    }
    with lab() as here:
        here.run(prompt, "c")
        assert here.ran == ["a", "b", "c"]
        prompt["c"] = node("Add", a=("b", 0), b=4)
        here.run(prompt, "c")
        assert here.ran == ["c"]
        assert here.known == {"a", "b"}


def test_equal_work_under_another_id_is_not_done_again() -> None:
    with lab() as here:
        here.run({"a": node("Number", value=1), "b": node("Add", a=("a", 0), b=2)}, "b")
        assert here.value({"x": node("Number", value=1), "y": node("Add", a=("x", 0), b=2)}, "y") == [3]
        assert here.ran == []


def test_of_two_equal_nodes_in_one_run_one_runs() -> None:
    prompt = {
        "a": node("Later", value=3),
        "b": node("Later", value=3),
        "c": node("Add", a=("a", 0), b=("b", 0)),
    }
    for cache, count in ((Budgeted(), 1), (NoCache(), 2)):
        with lab(cache=cache) as here:
            assert here.value(prompt, "c") == [6]
            assert len(here.ran) - 1 == count


def test_numbers_that_only_look_equal_are_different_work() -> None:
    with lab() as here:
        for value in (1, 1.0, True, "1", None, [1], {"1": 1}, math.nan):
            here.run({"s": node("Show", value={"__value__": value})})
            assert here.ran == ["s"], value
        here.run({"s": node("Show", value=math.nan)})
        assert here.ran == []


def test_targets_may_be_any_nodes_and_only_they_and_what_they_need_run() -> None:
    prompt = {
        "a": node("Number", value=1),
        "b": node("Add", a=("a", 0), b=2),
        "s": node("Show", value=("b", 0)),
    }
    with lab() as here:
        assert here.run(prompt, "a").outputs == {"a": ([1],)}
        assert here.ran == ["a"]


def test_all_output_nodes_are_the_targets_when_none_are_named() -> None:
    prompt = {"a": node("Number", value=1), "s": node("Show", value=("a", 0)), "t": node("Show", value=5)}
    with lab() as here:
        result = here.run(prompt)
        assert result.ui == {"s": {"text": [1]}, "t": {"text": [5]}}
        assert result.outputs == {"s": (), "t": ()}


def test_keep_says_whose_outputs_are_in_the_result() -> None:
    prompt = {"a": node("Number", value=1), "b": node("Add", a=("a", 0), b=2), "n": node("Number", value=9)}
    with lab() as here:
        assert set(here.run(prompt, "b", keep=["a"]).outputs) == {"a"}
        assert set(here.run(prompt, "b", keep="all").outputs) == {"a", "b"}
        here.events.clear()
        assert set(here.engine.run_sync(Job("j", prompt), keep="all").outputs) == {"a", "b", "n"}


def test_a_list_is_mapped_over_and_collected() -> None:
    prompt = {
        "m": node("Many", count=3),
        "a": node("Add", a=("m", 0), b=10),
        "s": node("Sum", values=("a", 0)),
    }
    with lab() as here:
        assert here.value(prompt, "a") == [10, 11, 12]
        assert here.value(prompt, "s") == [33]


def test_nothing_is_called_for_an_empty_list() -> None:
    prompt = {
        "m": node("Many", count=0),
        "a": node("Add", a=("m", 0), b=1),
        "s": node("Sum", values=("a", 0)),
    }
    with lab() as here:
        assert here.value(prompt, "a") == []
        assert here.ran == ["m"]
        assert here.value(prompt, "s") == [0]


def test_only_the_lazy_input_that_is_wanted_is_computed() -> None:
    prompt = {
        "y": node("Number", value=1),
        "n": node("Number", value=2),
        "s": node("Switch", flag=1, yes=("y", 0), no=("n", 0)),
    }
    with lab() as here:
        assert here.value(prompt, "s") == [1]
        assert here.ran == ["y", "s"]


def test_a_node_may_ask_for_lazy_inputs_again_and_again() -> None:
    def next_missing(inputs: Any) -> list[str]:
        return [name for name in ("a", "b", "c") if inputs[name] is None][:1]

    chosen = toy(
        "Chain",
        lambda i, run: one([i["a"], i["b"], i["c"]]),
        "a lazy INT, b lazy INT, c lazy INT",
        "*",
        asks=next_missing,
    )
    numbers = {name: node("Number", value=value) for value, name in enumerate("xyz")}
    with lab(chosen) as here:
        prompt = {**numbers, "q": node("Chain", a=("x", 0), b=("y", 0), c=("z", 0))}
        assert here.value(prompt, "q") == [[0, 1, 2]]
        assert here.ran == ["x", "y", "z", "q"]


def test_undeclared_inputs_are_dropped_unless_the_type_takes_them() -> None:
    names = toy("Names", lambda i, run: one(sorted(i)), "a INT", "*")
    open_names = toy("OpenNames", lambda i, run: one(sorted(i)), "a INT", "*", accepts_extra_inputs=True)
    with lab(names, open_names) as here:
        inputs = {"a": 1, "b": 2, "c": ("n", 0)}
        prompt = {
            "n": node("Number", value=1),
            "x": node("Names", **inputs),
            "y": node("OpenNames", **inputs),
        }
        assert here.value(prompt, "x") == [["a"]]
        assert here.value(prompt, "y") == [["a", "b", "c"]]


def test_constants_are_converted_to_what_the_input_is() -> None:
    with lab() as here:
        assert here.value({"a": node("Add", a="4", b=2.0)}, "a") == [6]


def test_a_key_is_of_the_id_where_a_type_knows_its_id_or_is_not_idempotent() -> None:
    who = toy("Who", lambda i, run: one(run.hidden("UNIQUE_ID")), "id hidden UNIQUE_ID", "STRING")
    dice = toy("Dice", lambda i, run: one(4), "", "INT", not_idempotent=True)
    with lab(who, dice) as here:
        assert here.value({"a": node("Who")}, "a") == ["a"]
        assert here.value({"b": node("Who")}, "b") == ["b"]
        here.run({"b": node("Who")}, "b")
        assert here.ran == []
        here.run({"1": node("Dice"), "2": node("Dice")}, "1", "2")
        assert here.ran == ["1", "2"]


@pytest.mark.parametrize("said", [math.nan, [1, math.nan], {"a": math.nan}, object()])
def test_a_nan_or_something_nameless_as_fingerprint_runs_the_node_and_what_follows_again(said: Any) -> None:
    with lab(toy("Restless", lambda i, run: one(1), "", changed=lambda i: said)) as here:
        prompt = {"r": node("Restless"), "a": node("Add", a=("r", 0), b=1), "n": node("Number", value=1)}
        for _ in range(2):
            here.run(prompt, "a", "n")
            assert {"r", "a"} <= set(here.ran)
        assert here.ran == ["r", "a"]
        assert here.engine.cache.stats()["entries"] == 1


def test_a_fingerprint_sees_constants_and_none_for_links_and_joins_the_key() -> None:
    seen: list[Any] = []
    version = [1]

    def changed(inputs: Any) -> Any:
        seen.append(dict(inputs))
        return version[0]

    with lab(toy("File", lambda i, run: one(i["a"]), "a INT, b INT", changed=changed)) as here:
        prompt = {"n": node("Number", value=1), "f": node("File", a=7, b=("n", 0))}
        here.run(prompt, "f")
        here.run(prompt, "f")
        assert here.ran == []
        version[0] = 2
        here.run(prompt, "f")
        assert here.ran == ["f"]
        assert seen == [{"a": 7, "b": None}] * 3


def test_a_type_without_fingerprints_is_not_asked_for_one() -> None:
    made = toy("Quiet", lambda i, run: one(1), "", changed=lambda i: 1 / 0)
    made.fingerprints = False
    with lab(made) as here:
        for _ in range(2):
            here.run({"q": node("Quiet")}, "q")
        assert here.ran == []


def test_a_fingerprint_that_raises_means_changed_and_an_async_one_is_awaited() -> None:
    async def slow(inputs: Any) -> int:
        await asyncio.sleep(0)
        return 1

    types = [
        toy("Raises", lambda i, run: one(1), "", changed=lambda i: 1 / 0),
        toy("Waits", lambda i, run: one(1), "", changed=slow),
        toy("Whole", lambda i, run: one(1), "a INT", changed=lambda i: i["a"][0], input_is_list=True),
    ]
    with lab(*types) as here:
        for _ in range(2):
            here.run({"r": node("Raises"), "w": node("Waits"), "l": node("Whole", a=1)}, "r", "w", "l")
        assert here.ran == ["r"]


# --- async nodes ---


def meets(count: int) -> tuple[Toy, threading.Event]:
    """An async type whose calls end when `count` of them have begun, and what is set then."""
    met, begun = threading.Event(), []

    async def meet(inputs: Inputs, run: Run) -> Outcome[Any]:
        begun.append(inputs["value"])
        if len(begun) == count:
            met.set()
        while not met.is_set():
            await asyncio.sleep(0)
        return one(inputs["value"])

    return toy("Meet", meet, "value INT", asynchronous=True), met


def test_async_nodes_overlap_with_one_another_and_with_the_lane() -> None:
    type_, met = meets(5)
    busy = toy("Busy", lambda i, run: one(met.wait(20)))
    prompt = {str(index): node("Meet", value=index) for index in range(5)} | {"b": node("Busy")}
    with lab(type_, busy) as here:
        assert here.run(prompt, *prompt).outputs["b"] == ([True],)


def test_an_async_node_maps_over_a_list_at_once() -> None:
    prompt = {"m": node("Many", count=3), "s": node("Meet", value=("m", 0))}
    with lab(meets(3)[0]) as here:
        assert here.value(prompt, "s") == [0, 1, 2]


def test_what_follows_an_async_node_starts_while_the_lane_is_busy() -> None:
    order: list[str] = []
    both = threading.Event()

    async def note(inputs: Inputs, run: Run) -> Outcome[Any]:
        order.append(run.node)
        if len(order) == 2:
            both.set()
        return one(1)

    def busy(inputs: Inputs, run: Run) -> Outcome[Any]:
        both.wait(20)
        order.append("busy")
        return one(1)

    types = [toy("Note", note, "value INT", asynchronous=True), toy("Busy", busy)]
    prompt = {"b": node("Busy"), "1": node("Note", value=1), "2": node("Note", value=("1", 0))}
    with lab(*types) as here:
        here.run(prompt, "b", "2")
        assert order == ["1", "2", "busy"]


def test_an_async_node_may_use_the_lane() -> None:
    async def threads(inputs: Inputs, run: Run) -> Outcome[Any]:
        return one(
            [threading.current_thread().name, await run.in_lane(lambda: threading.current_thread().name)]
        )

    async def raises(inputs: Inputs, run: Run) -> Outcome[Any]:
        return one(await run.in_lane(lambda: 1 / 0))

    types = [toy("Threads", threads, "", "*", asynchronous=True), toy("Raises", raises, asynchronous=True)]
    with lab(*types) as here:
        loop, lane = here.value({"t": node("Threads")}, "t")[0]
        assert not loop.startswith("lane")
        assert lane.startswith("lane")
        here.run({"r": node("Raises")}, "r", status="error")


def test_a_sync_type_may_give_an_awaitable_all_the_same() -> None:
    async def result() -> Outcome[Any]:
        await asyncio.sleep(0.25)  # longer than the lane waits between two looks for a cancel
        return one(3)

    async def late(inputs: Inputs, run: Run) -> Outcome[Any]:
        raise TimeoutError("too late")

    types = [toy("Promise", lambda i, run: result()), toy("Late", late)]
    with lab(*types) as here:
        assert here.value({"p": node("Promise")}, "p") == [3]
        failed = here.run({"l": node("Late")}, "l", status="error")
        assert isinstance(failed.error, TimeoutError)


def lazy_sum(*names: str) -> Toy:
    """An async type that awaits some of its lazy inputs."""

    async def total(inputs: Inputs, run: Run) -> Outcome[Any]:
        given = [await LazyInput[int](run, name, None) for name in names if name in run.pending]
        return one(given)

    return toy("LazySum", total, "a lazy INT, b lazy INT", "*", asynchronous=True)


def test_an_async_node_may_await_its_lazy_inputs() -> None:
    prompt = {
        "x": node("Number", value=4),
        "y": node("Number", value=5),
        "s": node("LazySum", a=("x", 0), b=("y", 0)),
    }
    with lab(lazy_sum("b")) as here:
        assert here.value(prompt, "s") == [[5]]
        assert here.ran == ["s", "y"]
        prompt["s"]["inputs"]["a"] = ["y", 0]
    with lab(lazy_sum("a", "b")) as here:
        assert here.value(prompt, "s") == [[5, 5]]


def test_a_lazy_input_that_waits_for_its_own_node_is_a_cycle() -> None:
    prompt = {"s": node("LazySum", a=("t", 0)), "t": node("Wish", value=("s", 0))}
    wish = toy("Wish", lambda i, run: one(1), "value lazy INT", asks=lambda i: ["value"])
    with lab(lazy_sum("a"), wish) as here:
        result = here.run(prompt, "s", status="error")
        assert isinstance(result.error, DependencyCycle)


def test_an_async_type_may_be_asked_which_lazy_inputs_it_wants() -> None:
    async def pick(inputs: Inputs, run: Run) -> Outcome[Any]:
        return one(inputs["yes"] or inputs["no"])

    made = toy("Pick", pick, "flag INT, yes lazy INT, no lazy INT", asks=asks_switch, asynchronous=True)
    numbers = {"m": node("Many", count=3), "y": node("Number", value=5), "n": node("Number", value=6)}
    with lab(made) as here:
        prompt = {**numbers, "p": node("Pick", flag=2, yes=("y", 0), no=("n", 0))}
        assert here.value(prompt, "p") == [6]
        assert here.ran == ["n", "p"]
        assert here.value({**numbers, "p": node("Pick", flag=("m", 0), yes=("y", 0), no=("n", 0))}, "p") == [
            5,
            5,
            5,
        ]


# --- blockers ---


def test_a_blocker_keeps_what_follows_from_running_and_says_its_message_once() -> None:
    stop = toy("Stop", lambda i, run: one(ExecutionBlocker("no more")))
    prompt = {
        "b": node("Stop"),
        "a": node("Add", a=("b", 0), b=1),
        "s": node("Show", value=("a", 0)),
        "t": node("Show", value=3),
    }
    with lab(stop) as here:
        for _ in range(2):
            result = here.run(prompt)
            assert result.status == "success"
            assert result.ui == {"t": {"text": [3]}}
            assert [(each.place.node, each.message) for each in here.of(Blocked)] == [("a", "no more")]
        assert here.ran == []


def test_a_blocker_in_a_list_blocks_its_item_only() -> None:
    prompt = {
        "m": node("Many", count=3),
        "b": node("Block", value=("m", 0)),
        "s": node("Show", value=("b", 0)),
    }
    with lab() as here:
        assert here.run(prompt).ui == {"s": {"text": [0, 2]}}


def test_an_async_node_is_blocked_item_by_item_too() -> None:
    prompt = {
        "m": node("Many", count=3),
        "b": node("Block", value=("m", 0)),
        "l": node("Later", value=("b", 0)),
        "s": node("Show", value=("l", 0)),
    }
    with lab() as here:
        assert here.run(prompt).ui == {"s": {"text": [0, 2]}}


def test_a_node_may_block_all_its_outputs_at_once() -> None:
    both = toy("Nothing", lambda i, run: Outcome(blocked=ExecutionBlocker(None)), "", "INT, INT")
    prompt = {"n": node("Nothing"), "s": node("Sum", values=("n", 1)), "t": node("Show", value=("s", 0))}
    with lab(both) as here:
        assert here.run(prompt).ui == {}
        assert here.ran == ["n"]


def test_a_blocker_behind_an_awaited_lazy_input_blocks_the_one_that_awaits() -> None:
    async def takes(inputs: Inputs, run: Run) -> Outcome[Any]:

        return one(await LazyInput(run, "a", inputs["a"]))

    prompt = {"b": node("Block", value=1), "t": node("Takes", a=("b", 0)), "s": node("Show", value=("t", 0))}
    with lab(toy("Takes", takes, "a lazy INT", asynchronous=True)) as here:
        assert here.run(prompt).ui == {}


# --- expansions ---


def test_an_expansion_may_mix_links_and_values_and_both_are_mapped() -> None:
    def mixed(inputs: Inputs, run: Run) -> Outcome[Any]:
        inner = f"{run.node}.{run.index}"
        return Outcome((inputs["value"], [inner, 0]), expand={inner: node("Many", count=inputs["value"])})

    prompt = {"m": node("Many", count=3), "x": node("Mixed", value=("m", 0))}
    with lab(toy("Mixed", mixed, "value INT", "INT, INT[]")) as here:
        assert here.run(prompt, "x").outputs["x"] == ([0, 1, 2], [0, 0, 1])


def test_expanded_nodes_say_whose_they_are_and_one_that_shows_is_shown_again_from_the_cache() -> None:
    def component(inputs: Inputs, run: Run) -> Outcome[Any]:
        add, seen = f"{run.node}.0.add", f"{run.node}.0.show"
        return Outcome(
            ([add, 0],),
            expand={add: node("Add", a=inputs["value"], b=1), seen: node("Show", value=(add, 0))},
            ui={"own": [1]},
        )

    prompt = {"c": node("Component", value=1), "a": node("Add", a=("c", 0), b=1)}
    with lab(toy("Component", component, "value INT")) as here:
        for run in range(2):
            result = here.run(prompt, "c")
            assert result.ui == {"c": {"own": [1]}, "c.0.show": {"text": [2]}}
            shown = {each.place.node: each.place for each in here.of(Done) if each.ui}
            assert shown["c.0.show"] == Place("c.0.show", "c", "c", "c", "Show")
            assert here.ran == (["c", "c.0.add", "c.0.show"] if run == 0 else [])


def test_equal_work_in_another_expansion_is_found_in_the_cache_and_said_to_be() -> None:
    def wraps(inputs: Inputs, run: Run) -> Outcome[Any]:
        return Outcome(
            ([f"{run.node}.add", 0],), expand={f"{run.node}.add": node("Add", a=inputs["value"], b=1)}
        )

    with lab(toy("Wrap", wraps, "value INT"), toy("Frame", wraps, "value INT")) as here:
        here.run({"a": node("Wrap", value=2)}, "a")
        assert here.value({"b": node("Frame", value=2)}, "b") == [3]
        assert here.ran == ["b"]
        assert here.known == {"b.add"}


def test_a_loop_that_hands_on_an_unknown_object_hits_by_where_it_came_from() -> None:
    class Thing:
        pass

    def loop(inputs: Inputs, run: Run) -> Outcome[Any]:
        if inputs["times"] == 0:
            return one(inputs["thing"])
        rest = f"{run.node}.rest"
        thing = {"deep": [inputs["thing"]]} if inputs["wrap"] else inputs["thing"]
        inner = node("Loop", times=inputs["times"] - 1, wrap=inputs["wrap"])
        inner["inputs"]["thing"] = thing
        return Outcome(([rest, 0],), expand={rest: inner})

    make = toy("Make", lambda i, run: one(Thing()), "", "THING")
    loops = toy("Loop", loop, "times INT, thing *, wrap BOOLEAN", "THING")
    with lab(make, loops) as here:
        for wrap in (False, True):
            prompt = {"m": node("Make"), "l": node("Loop", times=2, thing=("m", 0), wrap=wrap)}
            here.run(prompt, "l")
            longer = {**prompt, "l": node("Loop", times=3, thing=("m", 0), wrap=wrap)}
            here.run(longer, "l")
            assert here.ran == (
                ["l", "l.rest"] if not wrap else ["l", "l.rest", "l.rest.rest", "l.rest.rest.rest"]
            )


def test_an_object_from_nowhere_is_named_by_the_program_or_never_kept() -> None:
    def make(inputs: Inputs, run: Run) -> Outcome[Any]:
        inner = node("Take")
        inner["inputs"]["thing"] = complex(1, 2)
        return Outcome(([f"{run.node}.t", 0],), expand={f"{run.node}.t": inner})

    types = [toy("Make", make, "n INT", "*"), toy("Take", lambda i, run: one(i["thing"]), "thing *", "*")]
    for options, kept in (
        ({}, False),
        ({"value_key": lambda value: str(value) if isinstance(value, complex) else None}, True),
    ):
        with lab(*types, **options) as here:
            here.run({"m": node("Make", n=1)}, "m")
            here.run({"m": node("Make", n=2)}, "m")
            assert here.ran == (["m"] if kept else ["m", "m.t"])


def while_loop(body: str) -> list[Toy]:
    """A loop made of an open and a close node; the close node copies the body that it finds in the graph."""

    def close(inputs: Inputs, run: Run) -> Outcome[Any]:
        assert run.dynprompt is not None
        if inputs["value"] >= inputs["limit"]:
            return one(inputs["value"])
        copied = run.dynprompt.get_node(body)
        again, inner, end = (f"{run.node}.{name}" for name in ("open", "body", "close"))
        links = {
            name: [again, 0] if value == ["open", 0] else value for name, value in copied["inputs"].items()
        }
        return Outcome(
            ([end, 0],),
            expand={
                again: node("Open", value=inputs["value"]),
                inner: {"class_type": copied["class_type"], "inputs": links},
                end: node("Close", flow=(again, 0), value=(inner, 0), limit=inputs["limit"]),
            },
        )

    return [
        toy("Open", lambda i, run: one(i["value"]), "value INT"),
        toy("Close", close, "flow raw INT, value INT, limit INT, graph hidden DYNPROMPT"),
    ]


@pytest.mark.parametrize("cache", [Budgeted(), NoCache()])
def test_a_loop_whose_body_uses_an_outer_node_runs_that_node_once(cache: Any) -> None:
    prompt = {
        "step": node("Number", value=2),
        "open": node("Open", value=0),
        "body": node("Add", a=("open", 0), b=("step", 0)),
        "close": node("Close", flow=("open", 0), value=("body", 0), limit=400),
    }
    with lab(*while_loop("body"), cache=cache) as here:
        assert here.value(prompt, "close") == [400]
        assert here.ran.count("step") == 1
        assert sum(1 for each in here.ran if each.endswith("body")) == 200
        assert here.run(prompt, "step", "close").outputs == {"step": ([2],), "close": ([400],)}


def test_a_value_that_was_let_go_is_computed_again_when_an_expansion_names_it() -> None:
    def guess(inputs: Inputs, run: Run) -> Outcome[Any]:
        return Outcome((["guess.add", 0],), expand={"guess.add": node("Add", a=("early", 0), b=1)})

    prompt = {
        "early": node("Number", value=1),
        "user": node("Add", a=("early", 0), b=1),
        "guess": node("Guess", value=("user", 0)),
    }
    with lab(toy("Guess", guess, "value INT"), cache=NoCache()) as here:
        assert here.value(prompt, "guess") == [2]
        assert here.ran == ["early", "user", "guess", "early", "guess.add"]
    with lab(toy("Guess", guess, "value INT")) as here:
        assert here.value(prompt, "guess") == [2]
        assert here.ran == ["early", "user", "guess"]


def test_a_node_of_the_prompt_that_nobody_needed_may_be_named_by_an_expansion() -> None:
    def guess(inputs: Inputs, run: Run) -> Outcome[Any]:
        return Outcome((["other", 0],), expand={})

    with lab(toy("Guess", guess)) as here:
        assert here.value({"guess": node("Guess"), "other": node("Number", value=8)}, "guess") == [8]


def test_an_expansion_may_give_values_only_or_name_what_is_done_already() -> None:
    def guess(inputs: Inputs, run: Run) -> Outcome[Any]:
        return Outcome((7, ["n", 0]) if inputs["link"] else (7, 8), expand={})

    prompt = {
        "n": node("Number", value=3),
        "x": node("Guess", link=1, after=("n", 0)),
        "y": node("Guess", link=0),
    }
    with lab(toy("Guess", guess, "link INT, after? INT", "INT, INT")) as here:
        assert here.run(prompt, "n", "x", "y").outputs == {"n": ([3],), "x": ([7], [3]), "y": ([7], [8])}


def test_what_an_expansion_names_late_is_held_for_the_loop_in_it_or_computed_again() -> None:
    def late(inputs: Inputs, run: Run) -> Outcome[Any]:
        graph = {
            "late.open": node("Open", value=0),
            "body": node("Add", a=("open", 0), b=("outer", 0)),
            "late.body": node("Add", a=("late.open", 0), b=("outer", 0)),
            "late.close": node("Close", flow=("late.open", 0), value=("late.body", 0), limit=20),
        }
        return Outcome((["late.close", 0],), expand=graph)

    prompt = {
        "outer": node("Add", a=("o", 0), b=1),
        "o": node("Number", value=1),
        "user": node("Both", a=("outer", 0)),
        "x": node("Late", after=("user", 0)),
    }
    for cache, count in ((NoCache(), 2), (Budgeted(), 1)):
        with lab(*while_loop("body"), toy("Late", late, "after INT"), cache=cache) as here:
            assert here.value(prompt, "x") == [20]
            assert here.ran.count("outer") == count
            assert here.run(prompt, "outer", "x").outputs["x"] == ([20],)
            assert here.ran.count("outer") == count - 1


def test_a_lazy_input_of_an_expansion_may_come_from_something_let_go() -> None:
    def late(inputs: Inputs, run: Run) -> Outcome[Any]:
        return Outcome((["late", 0],), expand={"late": node("LazySum", a=("early", 0))})

    prompt = {
        "early": node("Number", value=4),
        "user": node("Both", a=("early", 0)),
        "x": node("Late", after=("user", 0)),
    }
    for cache, ran in (
        (NoCache(), ["early", "user", "x", "late", "early"]),
        (Budgeted(), ["early", "user", "x", "late"]),
    ):
        with lab(toy("Late", late, "after INT", "*"), lazy_sum("a"), cache=cache) as here:
            assert here.value(prompt, "x") == [[4]]
            assert here.ran == ran


BAD_EXPANSIONS: list[tuple[str, Any, type[Exception]]] = [
    ("an id that exists", {"x": node("Number", value=1)}, DuplicateNode),
    ("a node without a type", {"new": {"inputs": {}}}, GraphError),
    ("no node at all", {"new": 3}, GraphError),
    ("a type that does not exist", {"out": node("Nonesuch")}, GraphError),
    ("a link to nowhere", {"out": node("Add", a=("gone", 0), b=1)}, GraphError),
    (
        "nodes in a circle",
        {"out": node("Add", a=("two", 0), b=1), "two": node("Add", a=("out", 0), b=1)},
        DependencyCycle,
    ),
    ("a link back to itself", {"out": node("Add", a=("x", 0), b=1)}, DependencyCycle),
]


@pytest.mark.parametrize(("what", "graph", "kind"), BAD_EXPANSIONS, ids=[each[0] for each in BAD_EXPANSIONS])
def test_an_expansion_that_cannot_run_fails_the_node_that_gave_it(
    what: str, graph: Any, kind: type[Exception]
) -> None:
    with lab(toy("Bad", lambda i, run: Outcome((["out", 0],), expand=graph))) as here:
        result = here.run({"x": node("Bad")}, "x", status="error")
        assert isinstance(result.error, kind)
        assert here.of(Failed)[0].place.node == "x"
        assert here.value({"n": node("Number", value=1)}, "n") == [1]


def test_a_link_to_an_output_that_a_node_did_not_give_is_an_error_of_who_wants_it() -> None:
    prompt = {"n": node("Less"), "a": node("Add", a=("n", 1), b=1)}
    with lab(toy("Less", lambda i, run: one(1), "", "INT, INT")) as here:
        result = here.run(prompt, "a", status="error")
        assert "node n (Less) gave no output 1" in str(result.error)
        assert here.of(Failed)[0].place.node == "a"


# --- events ---


def test_a_job_tells_its_story_in_order() -> None:
    prompt = {"a": node("Number", value=1), "s": node("Show", value=("a", 0))}
    with lab(memory=lambda: 123) as here:
        here.run(prompt)
        kinds = [type(each) for each in here.events]
        assert kinds == [Started, Cached, Running, Done, Running, Done, Finished]
        assert [each.number for each in here.events] == [1, 2, 3, 4, 5, 6, 7]
        assert {(each.job, each.memory) for each in here.events} == {("job", 123)}
        assert here.of(Started)[0].nodes == ("a", "s")
        assert here.of(Started)[0].targets == ("s",)
        assert here.of(Finished)[0].status == "success"
        here.run(prompt)
        assert [type(each) for each in here.events] == [Started, Cached, Done, Finished]
        assert here.of(Cached)[0].nodes == ("a", "s")
        assert here.of(Done)[0].cached
        assert here.of(Done)[0].ui == {"text": [1]}


def test_progress_and_previews_are_told_and_previews_only_made_if_wanted() -> None:
    made: list[int] = []

    def picture() -> Preview:
        made.append(1)
        return Preview("png", b"x")

    def work(inputs: Inputs, run: Run) -> Outcome[Any]:
        run.progress(1, 2)
        run.progress(2, 2, picture)
        run.progress(2, 2, Preview("jpeg", b"y"))
        run.progress(2, 2, Preview("png", b"sent", purpose="result"))
        return one(1)

    for wanted in (True, False):
        with lab(toy("Work", work), previews=lambda wanted=wanted: wanted) as here:
            here.run({"w": node("Work")}, "w")
            assert [(each.value, each.maximum) for each in here.of(Progress)] == [
                (1, 2),
                (2, 2),
                (2, 2),
                (2, 2),
            ]
            glimpses = [b"x", b"y"] if wanted else []
            assert [each.preview.data for each in here.of(PreviewReady)] == [*glimpses, b"sent"]
    assert made == [1]


def test_a_listener_that_fails_does_not_stop_the_job(caplog: pytest.LogCaptureFixture) -> None:
    def broken(event: object) -> None:
        raise OSError("nobody there")

    with Engine(Registry(toys()), emit=broken) as engine:
        assert engine.run_sync(Job("j", {"n": node("Number", value=1)}, ["n"])).outputs == {"n": ([1],)}
    assert len(caplog.records) == 1


# --- errors ---


def test_a_node_that_raises_ends_the_job_and_says_where_and_with_what() -> None:
    def broken(inputs: Inputs, run: Run) -> Outcome[Any]:
        raise ValueError("bad value")

    prompt = {
        "a": node("Number", value=1),
        "b": node("Broken", a=("a", 0), text="x" * 9000),
        "c": node("Add", a=("b", 0), b=1),
    }
    with lab(toy("Broken", broken, "a INT, text STRING")) as here:
        result = here.run(prompt, "c", status="error")
        failed = here.of(Failed)[0]
        assert (failed.place.node, failed.exception_type, failed.exception_message) == (
            "b",
            "ValueError",
            "bad value",
        )
        assert failed.executed == ("a",)
        assert failed.current_inputs["a"] == [1]
        assert len(failed.current_inputs["text"][0]) < 3000
        assert "in broken" in failed.traceback[-1]
        assert "running.py" not in failed.traceback[0]
        assert failed.current_outputs == ("a",)
        assert here.of(Finished)[0].status == "error"
        assert isinstance(result.error, ValueError)
        assert here.value(prompt, "a") == [1]
        assert here.ran == []


@pytest.mark.parametrize("error", [SystemExit(3), RecursionError("deep"), MemoryError()])
def test_whatever_a_node_raises_stays_in_its_job(error: BaseException) -> None:
    def broken(inputs: Inputs, run: Run) -> Outcome[Any]:
        raise error

    async def later(inputs: Inputs, run: Run) -> Outcome[Any]:
        raise error

    with lab(toy("Broken", broken), toy("Later2", later, asynchronous=True)) as here:
        for name in ("Broken", "Later2"):
            assert here.run({"b": node(name)}, "b", status="error").error is error


def test_a_node_type_that_gives_no_outcome_is_an_error() -> None:
    with lab(toy("Wrong", lambda i, run: 3)) as here:
        assert "must give an Outcome, not int" in str(
            here.run({"w": node("Wrong")}, "w", status="error").error
        )


def test_when_one_node_fails_the_async_ones_are_cancelled() -> None:
    ended: list[str] = []

    async def patient(inputs: Inputs, run: Run) -> Outcome[Any]:
        try:
            await asyncio.sleep(30)
        finally:
            ended.append(run.node)
        return one(1)

    def broken(inputs: Inputs, run: Run) -> Outcome[Any]:
        time.sleep(0.1)
        raise ValueError

    types = [toy("Patient", patient, asynchronous=True), toy("Broken", broken)]
    with lab(*types) as here:
        started = time.perf_counter()
        here.run({"p": node("Patient"), "b": node("Broken")}, "p", "b", status="error")
        assert time.perf_counter() - started < 5
        assert ended == ["p"]


def test_of_the_calls_of_an_async_node_all_end_when_one_fails() -> None:
    ended: list[int] = []

    async def some(inputs: Inputs, run: Run) -> Outcome[Any]:
        if inputs["value"] == 1:
            raise ValueError
        try:
            await asyncio.sleep(30)
        finally:
            ended.append(inputs["value"])
        return one(1)

    prompt = {"m": node("Many", count=3), "s": node("Some", value=("m", 0))}
    with lab(toy("Some", some, "value INT", asynchronous=True)) as here:
        here.run(prompt, "s", status="error")
        assert sorted(ended) == [0, 2]


def test_a_cycle_is_reported_not_run() -> None:
    prompt = {"a": node("Add", a=("b", 0), b=1), "b": node("Add", a=("a", 0), b=1)}
    with lab() as here:
        result = here.run(prompt, "b", status="error")
        assert isinstance(result.error, DependencyCycle)
        assert sorted(result.error.nodes) == ["a", "b"]
        assert [type(each) for each in here.events] == [Started, Failed, Finished]


def test_a_target_that_does_not_exist_is_reported() -> None:
    with lab() as here:
        result = here.run({"n": node("Number", value=1)}, "m", status="error")
        assert "node 'm' is not in the graph" in str(result.error)


def test_a_node_that_failed_for_lack_of_memory_is_tried_once_more_if_something_was_freed() -> None:
    tries: list[int] = []

    def hungry(inputs: Inputs, run: Run) -> Outcome[Any]:
        tries.append(1)
        if len(tries) < inputs["needs"]:
            raise MemoryError
        return one(1)

    async def hungry_later(inputs: Inputs, run: Run) -> Outcome[Any]:
        return hungry(inputs, run)

    types = [
        toy("Hungry", hungry, "needs INT"),
        toy("HungryLater", hungry_later, "needs INT", asynchronous=True),
    ]
    for name in ("Hungry", "HungryLater"):
        for rescues, needs, status in ((True, 2, "success"), (True, 3, "error"), (False, 2, "error")):
            tries.clear()
            with lab(
                *types, rescue=lambda error, rescues=rescues: rescues and isinstance(error, MemoryError)
            ) as here:
                here.run({"h": node(name, needs=needs)}, "h", status=status)


def test_an_error_that_could_not_be_mended_carries_what_the_mender_noted() -> None:
    def hungry(inputs: Inputs, run: Run) -> Outcome[Any]:
        raise MemoryError("no room")

    def advise(error: BaseException) -> bool:
        error.add_note("Take less.")
        return True

    with lab(toy("Hungry", hungry), rescue=advise) as here:
        here.run({"h": node("Hungry")}, "h", status="error")
        assert here.of(Failed)[0].exception_message == "no room\nTake less."


# --- cancelling ---


def waits_for_cancel(seen: threading.Event) -> Toy:
    def work(inputs: Inputs, run: Run) -> Outcome[Any]:
        seen.set()
        while True:
            time.sleep(0.005)
            run.check()

    return toy("Endless", work)


def run_in_thread(
    here: Lab, job: Job, cancel: CancelToken | None = None
) -> tuple[threading.Thread, list[Any]]:
    results: list[Any] = []
    thread = threading.Thread(target=lambda: results.append(here.engine.run_sync(job, cancel=cancel)))
    thread.start()
    return thread, results


def test_a_cancel_ends_its_job_soon_and_no_other() -> None:
    seen, token = threading.Event(), CancelToken()
    with lab(waits_for_cancel(seen)) as here:
        thread, results = run_in_thread(
            here, Job("a", {"n": node("Number", value=1), "e": node("Endless")}, ["n", "e"]), token
        )
        waiting, later = run_in_thread(here, Job("b", {"n": node("Number", value=2)}, ["n"]))
        assert seen.wait(5)
        asked = time.perf_counter()
        token.cancel()
        thread.join(5)
        assert time.perf_counter() - asked < 1
        waiting.join(5)
        assert results[0].status == "interrupted"
        assert later[0].status == "success"
        interrupted = here.of(Interrupted)
        assert [(each.job, each.place.node, each.executed) for each in interrupted] == [("a", "e", ("n",))]


def test_a_cancel_ends_async_nodes_and_waiting() -> None:
    seen, token = threading.Event(), CancelToken()

    async def patient(inputs: Inputs, run: Run) -> Outcome[Any]:
        seen.set()
        await asyncio.sleep(30)
        return one(1)

    with lab(toy("Patient", patient, asynchronous=True), toy("Sync", lambda i, run: patient(i, run))) as here:
        for name in ("Patient", "Sync"):
            seen.clear()
            token = CancelToken()
            thread, results = run_in_thread(here, Job("a", {"p": node(name)}, ["p"]), token)
            assert seen.wait(5)
            token.cancel()
            thread.join(5)
            assert results[0].status == "interrupted"
            assert here.of(Interrupted)[-1].place.node == "p"


def test_a_cancel_that_comes_too_late_changes_nothing() -> None:
    token = CancelToken()
    with lab() as here:
        prompt = {"n": node("Number", value=1), "s": node("Show", value=("n", 0))}
        result = here.run(prompt, "s", cancel=token)
        told = list(here.events)
        token.cancel()
        assert (result.status, result.ui) == ("success", {"s": {"text": [1]}})
        assert here.events == told, "nothing is told of it any more"
        assert here.run(prompt, "s").ui == {"s": {"text": [1]}}
        assert here.ran == [], "what was done is kept"


def test_a_job_cancelled_before_it_starts_runs_nothing() -> None:
    token = CancelToken()
    token.cancel()
    with lab() as here:
        result = here.run({"n": node("Number", value=1)}, "n", cancel=token, status="interrupted")
        assert result.executed == ()
        assert [type(each) for each in here.events] == [Started, Interrupted, Finished]


def test_a_node_may_end_the_job_itself_and_what_was_done_is_kept() -> None:
    def stop(inputs: Inputs, run: Run) -> Outcome[Any]:
        raise Cancelled

    async def stop_later(inputs: Inputs, run: Run) -> Outcome[Any]:
        raise Cancelled

    with lab(
        toy("Stop", stop, "value INT"), toy("StopLater", stop_later, "value INT", asynchronous=True)
    ) as here:
        for name in ("Stop", "StopLater"):
            prompt = {"n": node("Number", value=1), "s": node(name, value=("n", 0))}
            here.run(prompt, "s", status="interrupted")
        assert here.ran == ["s"]


def test_a_job_whose_task_is_cancelled_is_cancelled() -> None:
    seen = threading.Event()

    async def main(engine: Engine) -> None:
        token = CancelToken()
        running = asyncio.create_task(engine.run(Job("a", {"e": node("Endless")}, ["e"]), cancel=token))
        await asyncio.to_thread(seen.wait, 5)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        assert token.cancelled
        assert (await engine.run(Job("b", {"n": node("Number", value=1)}, ["n"]))).status == "success"

    with lab(waits_for_cancel(seen)) as here:
        asyncio.run(main(here.engine))


# --- work beside the lane ---


def test_done_is_said_when_the_background_work_is_over_and_the_lane_goes_on_meanwhile() -> None:
    gate = threading.Event()

    def save(inputs: Inputs, run: Run) -> Outcome[Any]:
        run.background(lambda: gate.wait(5))
        run.background(lambda: None)
        return Outcome((), ui={"images": [1]})

    def after(inputs: Inputs, run: Run) -> Outcome[Any]:
        gate.set()
        return one(1)

    types = [toy("Save", save, "value INT", "", output_node=True), toy("After", after)]
    with lab(*types) as here:
        result = here.run({"s": node("Save", value=1), "z": node("After")}, "s", "z")
        assert gate.is_set()
        assert here.done == ["z", "s"]
        assert result.ui == {"s": {"images": [1]}}
        assert isinstance(here.events[-1], Finished)


def test_background_work_that_was_over_before_its_node_is_no_different() -> None:
    def save(inputs: Inputs, run: Run) -> Outcome[Any]:
        run.background(lambda: 5).result()
        time.sleep(0.05)
        return Outcome((), ui={"images": [1]})

    with lab(toy("Save", save, "", "", output_node=True)) as here:
        assert here.run({"s": node("Save")}).ui == {"s": {"images": [1]}}


def test_background_work_that_fails_fails_the_job_and_the_node_is_not_kept() -> None:
    def save(inputs: Inputs, run: Run) -> Outcome[Any]:
        run.background(lambda: 1 / 0)
        return Outcome((), ui={"images": [1]})

    with lab(toy("Save", save, "", "", output_node=True)) as here:
        for _ in range(2):
            result = here.run({"s": node("Save")}, status="error")
            assert isinstance(result.error, ZeroDivisionError)
            assert here.of(Failed)[0].place.node == "s"
            assert here.ran == ["s"]
            assert result.ui == {}


# --- memory ---


class Big:
    """Something whose end can be seen."""


def test_without_a_cache_a_value_is_let_go_as_soon_as_nothing_pending_needs_it() -> None:
    alive: list[weakref.ref[Big]] = []
    counts: list[int] = []

    def make(inputs: Inputs, run: Run) -> Outcome[Any]:
        big = Big()
        alive.append(weakref.ref(big))
        return one(big)

    def count(inputs: Inputs, run: Run) -> Outcome[Any]:
        inputs.clear()
        gc.collect()
        counts.append(sum(each() is not None for each in alive))
        return one(Big())

    types = [toy("Make", make, "n INT", "BIG"), toy("Pass", count, "big BIG", "BIG")]
    prompt = {
        "m": node("Make", n=1),
        "a": node("Pass", big=("m", 0)),
        "b": node("Pass", big=("a", 0)),
        "c": node("Pass", big=("b", 0)),
    }
    with lab(*types, cache=NoCache()) as here:
        here.run(prompt, "c")
        assert counts == [1, 0, 0]


def test_an_unneeded_lazy_branch_does_not_hold_what_it_would_have_used() -> None:
    alive: list[weakref.ref[Big]] = []
    left: list[int] = []

    def make(inputs: Inputs, run: Run) -> Outcome[Any]:
        big = Big()
        alive.append(weakref.ref(big))
        return one(big)

    def count(inputs: Inputs, run: Run) -> Outcome[Any]:
        gc.collect()
        left.append(sum(each() is not None for each in alive))
        return one(1)

    types = [
        toy("Make", make, "", "BIG"),
        toy("Use", lambda i, run: one(1), "big BIG"),
        toy("Count", count, "value INT"),
    ]
    prompt = {
        "m": node("Make"),
        "flag": node("Use", big=("m", 0)),
        "no": node("Use", big=("m", 0)),
        "s": node("Switch", flag=("flag", 0), yes=5, no=("no", 0)),
        "c": node("Count", value=("s", 0)),
    }
    with lab(*types, cache=NoCache()) as here:
        here.run(prompt, "c")
        assert left == [0]


@pytest.mark.parametrize("by_link", [True, False])
def test_a_long_loop_does_not_gather_values(by_link: bool) -> None:
    alive: weakref.WeakSet[Big] = weakref.WeakSet()
    most: list[int] = []

    def loop(inputs: Inputs, run: Run) -> Outcome[Any]:
        most.append(len(alive))
        if inputs["times"] == 0:
            return one(1)
        made, rest = f"{run.node}.make", f"{run.node}.rest"
        again = node("Loop", times=inputs["times"] - 1, big=(made, 0))
        if not by_link:
            again["inputs"]["big"] = make(inputs, run).outputs[0]
        return Outcome(([rest, 0],), expand={made: node("Make", n=inputs["times"]), rest: again})

    def make(inputs: Inputs, run: Run) -> Outcome[Any]:
        big = Big()
        alive.add(big)
        return one(big)

    types = [
        toy("Make", make, "n INT", "BIG"),
        toy("Loop", loop, "times INT, big? BIG, graph hidden DYNPROMPT"),
    ]
    with lab(*types, cache=NoCache()) as here:
        here.run({"l": node("Loop", times=200)}, "l")
        assert max(most) <= 3


def test_a_loop_without_end_is_ended() -> None:
    def forever(inputs: Inputs, run: Run) -> Outcome[Any]:
        rest = f"{run.node}x"
        return Outcome(([rest, 0],), expand={rest: node("Forever", n=inputs["n"] + 1)})

    with lab(toy("Forever", forever, "n INT")) as here:
        here.engine.most_nodes = 500
        result = here.run({"f": node("Forever", n=0)}, "f", status="error")
        assert "does its loop end?" in str(result.error)


def test_a_notice_is_told_once_for_each_text_and_again_when_the_result_is_reused() -> None:
    def work(inputs: Inputs, run: Run) -> Outcome[Any]:
        for text in ("no such file", "no such file", "too small"):
            run.notice(text)
        return one(1)

    with lab(toy("Work", work)) as here:
        for _ in range(2):
            here.run({"w": node("Work")}, "w")
            told = [(each.place.node, each.message) for each in here.of(Noticed)]
            assert told == [("w", "no such file"), ("w", "too small")]
        assert here.of(Done)[-1].cached


def test_a_node_called_by_hand_tells_the_log(caplog: pytest.LogCaptureFixture) -> None:
    Run(node="7").notice("no such file")
    assert "node 7: no such file" in caplog.text


def test_files_that_a_node_wrote_belong_to_its_result(tmp_path: Path) -> None:
    def work(inputs: Inputs, run: Run) -> Outcome[Any]:
        def write() -> None:
            (tmp_path / "a").write_text("saved")

        run.background(write)
        run.wrote(tmp_path / "a")
        return one(1)

    with lab(toy("Save", work)) as here:
        prompt = {"s": node("Save")}
        for gone in (False, False, True, False):
            if gone:
                (tmp_path / "a").unlink()
            here.run(prompt, "s")
            assert here.of(Done)[-1].cached == (not gone and here.ran == [])
            assert (tmp_path / "a").read_text() == "saved"
        assert here.ran == []
