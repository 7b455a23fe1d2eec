"""Every behaviour of V1 nodes, run through the engine, with what ran."""

from __future__ import annotations

import math
import sys
import threading
import time

import pytest

from execution.cancel import CancelToken
from execution.declare.node import Run
from execution.declare.registry import Registry
from execution.engine import Engine
from execution.events import Blocked, Done, Interrupted, PreviewReady, Progress, Running
from execution.run.cache import Budgeted, LastUsed, NoCache

from .conftest import Bench, graph

pytestmark = pytest.mark.usefixtures("behaviours")


def part(name: str):
    """A module of the pack."""
    return sys.modules[f"custom_nodes.behaviours.{name}"]


# Plain calls


def test_a_chain_of_nodes_gives_its_result_and_is_then_cached(behaviours: Bench) -> None:
    prompt = graph(a=("Add", {"a": 1, "b": 2}), b=("Add", {"a": ("a", 0), "b": 10}))
    assert behaviours.run(prompt, "b")["b"] == ([13],)
    assert behaviours.ran == ["a", "b"]
    assert behaviours.run(prompt, "b")["b"] == ([13],)
    assert behaviours.ran == []


def test_specs_are_what_object_info_shows(behaviours: Bench) -> None:
    info = behaviours.registry.specs()["Add"].object_info()
    assert info["display_name"] == "Add Two Numbers"
    assert info["input"]["required"]["b"] == ["INT", {"default": 0, "private": [1]}]
    assert (info["output_name"], info["output_tooltips"]) == (["sum"], ["The sum."])
    old = behaviours.registry.specs()["Old"].object_info()
    assert (old["deprecated"], old["experimental"]) == (True, True)
    assert old["output"] == [["x", "y"], "INT"]
    assert old["input"]["required"]["combo"] == ["COMBO", {"options": ["p", "q"]}]


def test_output_nodes_show_something_and_may_give_something(behaviours: Bench) -> None:
    prompt = graph(
        a=("Add", {"a": 1, "b": 2}), s=("Show", {"value": ("a", 0)}), p=("ShowAndPass", {"value": ("a", 0)})
    )
    result = behaviours.result(prompt)
    assert result.ui["s"]["text"] == ["3"]
    assert list(result.ui["p"]["seen"]) == [3]
    assert result.outputs["p"] == ([3],)


def test_an_optional_input_left_out_gets_no_default(behaviours: Bench) -> None:
    assert behaviours.run(graph(a=("OptionalAbsent", {})), "a")["a"] == ([-1],)
    assert behaviours.run(graph(a=("OptionalAbsent", {"value": 4})), "a")["a"] == ([4],)


def test_an_exception_names_node_type_and_message(behaviours: Bench) -> None:
    failed = behaviours.fail(graph(a=("Fails", {"value": 3}), s=("Show", {"value": ("a", 0)})), "s")
    assert (failed.place.node, failed.place.class_type) == ("a", "Fails")
    assert "KeyError" in failed.exception_type
    assert "always fails" in failed.exception_message
    assert any("strange.py" in line for line in failed.traceback)


def test_a_node_that_needs_internals_of_comfyui_says_which(behaviours: Bench) -> None:
    failed = behaviours.fail(graph(a=("NeedsInternals", {})), "a")
    assert "comfy.model_patcher.ModelPatcher is an internal of ComfyUI" in failed.exception_message


# Lists


def test_lists_are_mapped_over_and_gathered(behaviours: Bench) -> None:
    prompt = graph(
        c=("Count", {"length": 3}),
        a=("Add", {"a": ("c", 0), "b": ("c", 1)}),
        t=("Total", {"values": ("a", 0), "scale": 2}),
    )
    outputs = behaviours.run(prompt, "t")
    assert outputs["c"] == ([1, 2, 3], [3])
    assert outputs["a"] == ([4, 5, 6],)
    assert outputs["t"] == ([30],)


# Lazy inputs


@pytest.mark.parametrize(
    ("weight", "ran", "value"),
    [(0.0, ["a", "m"], 3.0), (1.0, ["b", "m"], 30.0), (0.5, ["a", "b", "m"], 16.5)],
)
def test_only_the_lazy_inputs_asked_for_are_computed(
    behaviours: Bench, weight: float, ran: list[str], value: float
) -> None:
    prompt = graph(
        a=("Add", {"a": 1, "b": 2}),
        b=("Add", {"a": 10, "b": 20}),
        m=("Mix", {"a": ("a", 0), "b": ("b", 0), "weight": weight}),
    )
    assert behaviours.run(prompt, "m")["m"] == ([value],)
    assert sorted(set(behaviours.ran)) == ran


@pytest.mark.parametrize(("truths", "ran"), [((0, 1, 1), 1), ((1, 0, 1), 2), ((1, 1, 1), 3)])
def test_lazy_inputs_may_be_asked_for_one_after_another(
    behaviours: Bench, truths: tuple[int, ...], ran: int
) -> None:
    names = ("first", "second", "third")
    sources = {
        name: ("Add", {"a": truth * n, "b": 0})
        for n, (name, truth) in enumerate(zip(names, truths, strict=True), 1)
    }
    prompt = graph(s=("Steps", {name: (name, 0) for name in names}), **sources)
    behaviours.run(prompt, "s")
    assert len({node for node in behaviours.ran if node in names}) == ran


def test_the_mixin_asks_for_all(behaviours: Bench) -> None:
    prompt = graph(x=("Add", {"a": 1, "b": 1}), s=("AskAll", {"a": ("x", 0), "b": ("x", 0)}))
    assert behaviours.run(prompt, "s")["s"] == ([4],)


def test_lazy_questions_may_be_async(behaviours: Bench) -> None:
    prompt = graph(
        a=("Add", {"a": 1, "b": 0}), b=("Add", {"a": 2, "b": 0}),
        s=("AsyncLazy", {"a": ("a", 0), "b": ("b", 0), "first": False}),
    )  # fmt: skip
    assert behaviours.run(prompt, "s")["s"] == ([2],)
    assert "a" not in behaviours.ran


# Blocking


def test_a_blocker_stops_what_follows_and_nothing_else(behaviours: Bench) -> None:
    prompt = graph(
        g=("Gate", {"value": 5, "open": False}),
        behind=("Add", {"a": ("g", 0), "b": 1}),
        shown=("Show", {"value": ("behind", 0)}),
        free=("Show", {"value": ("g", 1)}),
    )
    result = behaviours.result(prompt)
    assert result.status == "success"
    assert not {"behind", "shown"} & set(behaviours.ran)
    assert result.ui["free"]["text"] == ["5"]
    assert not behaviours.of(Blocked)


def test_a_blocker_with_a_message_is_reported(behaviours: Bench) -> None:
    prompt = graph(
        g=("Gate", {"value": 5, "open": False, "message": "closed today"}),
        shown=("Show", {"value": ("g", 0)}),
    )
    behaviours.result(prompt)
    assert [event.message for event in behaviours.of(Blocked)] == ["closed today"]


def test_blockers_inside_a_list_stop_only_their_items(behaviours: Bench) -> None:
    prompt = graph(
        c=("Count", {"length": 4}),
        b=("BlockInts", {"value": ("c", 0), "limit": 2}),
        a=("Add", {"a": ("b", 0), "b": 100}),
        s=("Show", {"value": ("a", 0)}),
    )
    result = behaviours.result(prompt)
    assert result.ui["s"]["text"] == ["101", "102"]


# IS_CHANGED


CHANGES = [
    # node type, value of the first and of the later runs, whether those run it again
    ("ChangedConstant", 1, 1, False),
    ("ChangedNaN", 1, 1, True),
    ("ChangedRaises", 1, 1, True),
    ("ChangedWrongArguments", 1, 1, True),
    ("ChangedAsync", 11, 11, False),
    ("ChangedObject", 1, 1, False),
]


@pytest.mark.parametrize(("kind", "first", "second", "again"), CHANGES)
def test_is_changed_decides_whether_a_node_runs_again(behaviours, caplog, kind, first, second, again) -> None:
    for number, (value, expected) in enumerate([(first, True), (second, again), (second, again)]):
        behaviours.run(graph(n=(kind, {"value": value}), s=("Show", {"value": ("n", 0)})), "s")
        assert ("n" in behaviours.ran) == expected, f"run {number}"
    assert ("IS_CHANGED" in caplog.text) == (kind in ("ChangedRaises", "ChangedWrongArguments"))


def test_is_changed_follows_what_is_outside_of_the_graph(behaviours: Bench) -> None:
    prompt = graph(n=("ChangedByState", {"value": 1}))
    ran = []
    for version in (1, 1, 2, 2):
        part("changing").ChangedByState.version = version
        behaviours.run(prompt, "n")
        ran.append(bool(behaviours.ran))
    assert ran == [True, False, True, False]


def test_is_changed_is_given_none_for_links(behaviours: Bench) -> None:
    seen = part("changing").ChangedSeesLinks.seen
    seen.clear()
    behaviours.run(graph(a=("Add", {"a": 1, "b": 1}), n=("ChangedSeesLinks", {"value": ("a", 0)})), "n")
    assert set(seen) == {None}


def test_instances_are_one_a_node_and_are_kept(behaviours: Bench) -> None:
    def calls(value: int) -> dict[str, int]:
        prompt = graph(x=("Remember", {"value": value}), y=("Remember", {"value": value}))
        outputs = behaviours.run(prompt, "x", "y")
        return {name: outputs[name][0][0] for name in ("x", "y")}

    assert calls(1) == {"x": 1, "y": 1}
    assert calls(2) == {"x": 2, "y": 2}


# VALIDATE_INPUTS

VALIDATIONS = [
    # node type and inputs: the type of the error and words of its details, or nothing
    ("ValidByName", {"value": 99, "name": "a"}, None, ""),
    ("ValidByName", {"value": 13, "name": "a"}, "custom_validation_failed", "13 brings bad luck"),
    ("ValidByName", {"value": 1, "name": "c"}, "value_not_in_list", "c"),
    ("ValidByAll", {"value": 99, "name": "anything"}, None, ""),
    ("ValidByAll", {"value": 1, "name": "a"}, "custom_validation_failed", "the name 'a' will not do"),
    ("ValidFalse", {"value": 1, "name": "b"}, None, ""),
    ("ValidFalse", {"value": 1, "name": "wrong"}, "custom_validation_failed", "name"),
    ("ValidFalse", {"value": 11, "name": "b"}, "value_bigger_than_max", "11"),
    ("ValidRaises", {"value": 1, "name": "a"}, "exception_during_validation", "validation fell over"),
    ("ValidAsync", {"value": 4, "name": "a"}, None, ""),
    ("ValidAsync", {"value": 5, "name": "a"}, "custom_validation_failed", "must be under five"),
]


@pytest.mark.parametrize(("kind", "inputs", "error", "words"), VALIDATIONS)
async def test_nodes_validate_by_themselves(behaviours: Bench, kind, inputs, error, words) -> None:
    prompt = graph(n=(kind, inputs), s=("Show", {"value": ("n", 0)}))
    validation = await behaviours.validated(prompt)
    assert validation.ok == (error is None)
    if error:
        found = validation.node_errors["n"]["errors"][0]
        assert found["type"] == error
        assert words in str(found)


TYPES = [
    ("Add", {"a": 1, "b": 1}, True),
    ("Mix", {"a": 1, "b": 1, "weight": 0.0}, True),
    ("Hidden", {}, False),
]


@pytest.mark.parametrize(("source", "inputs", "fine"), TYPES)
async def test_nodes_may_look_at_the_types_of_links(behaviours: Bench, source, inputs, fine) -> None:
    prompt = graph(
        x=(source, inputs),
        n=("ValidTypes", {"value": ("x", 0), "any": ("x", 0)}),
        s=("Show", {"value": ("n", 0)}),
    )
    validation = await behaviours.validated(prompt)
    assert validation.ok == fine
    assert fine or "must be INT or FLOAT, not FACTS" in str(validation.node_errors["n"])


# Expansion and loops


def test_an_expansion_may_mix_values_and_links(behaviours: Bench) -> None:
    prompt = graph(x=("ExpandMixed", {"a": 2, "b": 3}), s=("Add", {"a": ("x", 0), "b": ("x", 1)}))
    outputs = behaviours.run(prompt, "s")
    assert outputs["x"] == ([2], [10])
    assert outputs["s"] == ([12],)
    assert behaviours.ran == ["x", "x.0.0.1", "x.0.0.2", "s"]


def test_the_same_expansion_is_cached_under_another_id(behaviours: Bench) -> None:
    behaviours.run(graph(x=("ExpandMixed", {"a": 2, "b": 3})), "x")
    behaviours.run(graph(y=("ExpandMixed", {"a": 2, "b": 3})), "y")
    assert behaviours.ran == []


def test_items_of_a_list_expand_apart(behaviours: Bench) -> None:
    prompt = graph(c=("Count", {"length": 3}), x=("ExpandMixed", {"a": ("c", 0), "b": 1}))
    assert behaviours.run(prompt, "x")["x"] == ([1, 2, 3], [4, 6, 8])
    assert {"x.0.0.1", "x.1.0.1", "x.2.0.1"} <= set(behaviours.ran)


def test_a_raw_link_is_handed_on_without_waiting(behaviours: Bench) -> None:
    prompt = graph(a=("Add", {"a": 1, "b": 2}), x=("ExpandRaw", {"value": ("a", 0), "plus": 10}))
    assert behaviours.run(prompt, "x")["x"] == ([13],)
    assert behaviours.ran[0] == "x"
    assert behaviours.run(graph(a=("Add", {"a": 1, "b": 2}), r=("RawLink", {"value": ("a", 0)})), "r")[
        "r"
    ] == ([["a", 0]],)


def test_nodes_recurse(behaviours: Bench) -> None:
    assert behaviours.run(graph(f=("Factorial", {"n": 5, "so_far": 1})), "f")["f"] == ([120],)
    assert behaviours.run(graph(f=("Factorial", {"n": 150, "so_far": 1})), "f")["f"] == (
        [math.factorial(150)],
    )


def counting(start: int, end: int) -> dict:
    """While state1 < end: state1 += 1, state2 += state1."""
    return graph(
        open=("WhileOpen", {"condition": True, "state1": start, "state2": 0}),
        step=("Add", {"a": ("open", 1), "b": 1}),
        more=("Less", {"a": ("step", 0), "b": end}),
        sum=("Add", {"a": ("open", 2), "b": ("step", 0)}),
        close=(
            "WhileClose",
            {"flow": ("open", 0), "condition": ("more", 0), "state1": ("step", 0), "state2": ("sum", 0)},
        ),
        shown=("Show", {"value": ("close", 1)}),
    )


@pytest.mark.parametrize("rounds", [1, 2, 5, 30])
def test_while_loops_run_until_their_condition_is_false(behaviours: Bench, rounds: int) -> None:
    outputs = behaviours.run(counting(0, rounds), "shown")
    assert outputs["close"] == ([rounds], [rounds * (rounds + 1) // 2])


def test_a_loop_run_again_is_cached(behaviours: Bench) -> None:
    behaviours.run(counting(0, 4), "shown")
    behaviours.run(counting(0, 4), "shown")
    assert not [node for node in behaviours.ran if "sum" in node or "step" in node]


def test_progress_inside_a_loop_is_shown_on_the_nodes_of_the_prompt(behaviours: Bench) -> None:
    behaviours.run(counting(0, 3), "shown")
    shown = {event.place.display_node for event in behaviours.of(Running)}
    assert shown == {"open", "step", "more", "sum", "close", "shown"}


@pytest.mark.parametrize("begin", [("ForOpen", {"state1": 4}), ("CountOpen", {"rounds": 4})])
def test_for_loops_count_down_and_accumulate_a_list(
    behaviours: Bench, begin: tuple[str, dict[str, int]]
) -> None:
    prompt = graph(
        open=begin,
        body=("Accumulate", {"value": ("open", 1), "so_far": ("open", 2)}),
        close=("ForClose", {"flow": ("open", 0), "value": ("body", 0)}),
        items=("AccumulationToList", {"accumulation": ("close", 0)}),
        total=("Total", {"values": ("items", 0), "scale": 1}),
    )
    outputs = behaviours.run(prompt, "total")
    assert outputs["items"] == ([4, 3, 2, 1],)
    assert outputs["total"] == ([10],)


def test_a_cycle_that_an_expansion_makes_is_blamed_on_the_node_that_expands(behaviours: Bench) -> None:
    prompt = graph(
        a=("Add", {"a": 1, "b": 1}),
        x=("ExpandCycle", {"a": ("a", 0), "b": 3}),
        s=("Show", {"value": ("x", 0)}),
    )
    failed = behaviours.fail(prompt, "s")
    assert "cycle" in failed.exception_message
    assert failed.place.display_node == "x"
    assert behaviours.run(graph(a=("Add", {"a": 1, "b": 1})), "a")["a"] == ([2],)


POLICIES = {
    "none": NoCache(),
    "the last node": LastUsed(1),
    "the last hundred": LastUsed(100),
    "hardly any memory": Budgeted(1000, lambda value: {id(value): 400}),
}


@pytest.mark.parametrize("policy", POLICIES)
def test_loops_and_expansions_need_no_cache(behaviours: Bench, policy: str) -> None:
    with Engine(behaviours.registry, POLICIES[policy], emit=behaviours.events.append) as engine:
        for _ in range(2):
            loop = engine.run_sync(behaviours.job(counting(0, 6), "shown", "close"), keep="all")
            assert loop.outputs["close"] == ([6], [21])
            mixed = engine.run_sync(
                behaviours.job(graph(x=("ExpandMixed", {"a": 2, "b": 3})), "x"), keep="all"
            )
            assert mixed.outputs["x"] == ([2], [10])


def test_a_cycle_is_an_error_and_the_next_job_works(behaviours: Bench) -> None:
    prompt = graph(a=("Add", {"a": ("b", 0), "b": 1}), b=("Add", {"a": ("a", 0), "b": 1}))
    result = behaviours.result(prompt, "b")
    assert result.status == "error"
    assert behaviours.run(graph(a=("Add", {"a": 1, "b": 1})), "a")["a"] == ([2],)


# Async nodes


def overlap(spans: list[tuple[float, float]]) -> bool:
    """Whether all of them had begun before the first one ended."""
    return max(began for began, _ in spans) < min(ended for _, ended in spans)


def test_async_nodes_overlap(behaviours: Bench) -> None:
    prompt = graph(
        **{f"s{n}": ("Sleep", {"value": n, "seconds": 0.4}) for n in range(5)},
        a=("Add", {"a": ("s0", 0), "b": ("s1", 0)}),
        b=("Add", {"a": ("s2", 0), "b": ("s3", 0)}),
        c=("Add", {"a": ("a", 0), "b": ("b", 0)}),
        d=("Add", {"a": ("c", 0), "b": ("s4", 0)}),
    )
    outputs = behaviours.run(prompt, "d")
    assert outputs["d"] == ([10],)
    assert overlap([outputs[f"s{n}"][1][0] for n in range(5)])


def test_an_expansion_made_by_an_async_node_overlaps_too(behaviours: Bench) -> None:
    assert behaviours.run(graph(x=("AsyncExpands", {"count": 4, "seconds": 0.4})), "x")["x"] == ([10],)
    done = [
        event for event in behaviours.of(Done) if event.place.class_type == "Sleep" and event.seconds > 0.3
    ]
    began = [
        event for event in behaviours.of(Running) if event.place.node in {each.place.node for each in done}
    ]
    assert len(began) == 4
    assert max(event.number for event in began) < min(event.number for event in done)


def test_items_of_a_list_overlap_in_async_nodes(behaviours: Bench) -> None:
    prompt = graph(c=("Count", {"length": 4}), s=("Sleep", {"value": ("c", 0), "seconds": 0.4}))
    values, spans = behaviours.run(prompt, "s")["s"]
    assert values == [1, 2, 3, 4]
    assert overlap(spans)


def test_an_error_in_an_async_node_ends_the_job_and_names_it(behaviours: Bench) -> None:
    prompt = graph(
        f=("AsyncFails", {"value": 3}),
        s=("Sleep", {"value": 1, "seconds": 5.0}),
        a=("Add", {"a": ("f", 0), "b": ("s", 0)}),
    )
    started = time.monotonic()
    failed = behaviours.fail(prompt, "a")
    assert (failed.place.node, failed.exception_message.strip()) == ("f", "no 3 today")
    assert time.monotonic() - started < 4.5, "the job waited for the other node"


@pytest.mark.parametrize("kind", ["AsyncProgress", "SyncProgress", "BarProgress"])
def test_progress_reaches_the_events_of_its_node(behaviours: Bench, kind: str) -> None:
    behaviours.run(graph(p=(kind, {"steps": 3})), "p")
    said = [(event.place.node, event.value, event.maximum) for event in behaviours.of(Progress)]
    assert [each for each in said if each[1]] == [("p", 1, 3), ("p", 2, 3), ("p", 3, 3)]
    assert [event.preview.size for event in behaviours.of(PreviewReady)] == (
        [(512, 15)] if kind == "SyncProgress" else []
    )


def test_progress_of_overlapping_nodes_stays_apart(behaviours: Bench) -> None:
    prompt = graph(
        p=("AsyncProgress", {"steps": 4}),
        q=("AsyncProgress", {"steps": 3}),
        a=("Add", {"a": ("p", 0), "b": ("q", 0)}),
    )
    behaviours.run(prompt, "a")
    said = [(event.place.node, event.value) for event in behaviours.of(Progress) if event.value]
    assert [value for node, value in said if node == "p"] == [1, 2, 3, 4]
    assert [value for node, value in said if node == "q"] == [1, 2, 3]


def test_a_cancelled_job_ends_soon(behaviours: Bench) -> None:
    cancel, job = CancelToken(), behaviours.job(graph(e=("Endless", {})))
    threading.Timer(0.1, cancel.cancel).start()
    started = time.monotonic()
    assert behaviours.engine.run_sync(job, cancel=cancel).status == "interrupted"
    assert time.monotonic() - started < 5, "the node alone takes ten seconds"
    assert behaviours.of(Interrupted)[0].place.node == "e"


# Strange inputs


def test_inputs_of_any_name_reach_the_function(behaviours: Bench) -> None:
    prompt = graph(
        a=("Add", {"a": 1, "b": 1}),
        v=("Variadic", {"first": ("a", 0), "second": ("a", 0), "made_up": 5}),
    )
    assert behaviours.run(prompt, "v")["v"] == ([9], ["first,made_up,second"])


def test_hidden_inputs_that_no_run_hands_in_take_what_the_graph_gives(behaviours: Bench) -> None:
    prompt = graph(c=("CountOpen", {"rounds": 4, "state1": 2}), a=("Add", {"a": ("c", 1), "b": 1}))
    assert behaviours.run(prompt, "a")["a"] == ([3],)
    prompt["c"]["inputs"]["state1"] = 5
    assert behaviours.run(prompt, "a")["a"] == ([6],)


def test_undeclared_links_come_through_and_undeclared_constants_do_not(behaviours: Bench) -> None:
    prompt = graph(
        a=("Add", {"a": 1, "b": 1}),
        k=("Keywords", {"input1": 1, "input2": ("a", 0), "input3": ("a", 0), "stray": 5}),
    )
    assert behaviours.run(prompt, "k")["k"] == (["input1=1,input2=2,input3=2"],)


async def test_wildcards_link_with_everything(behaviours: Bench) -> None:
    prompt = graph(
        a=("Add", {"a": 1, "b": 1}),
        x=("Anything", {"value": ("a", 0)}),
        b=("Add", {"a": ("x", 0), "b": 1}),
        v=("Variadic", {"first": ("x", 0)}),
        s=("Show", {"value": ("b", 0)}),
        t=("Show", {"value": ("v", 0)}),
    )
    assert (await behaviours.validated(prompt)).outputs == ("s", "t")


def test_hidden_facts_are_handed_in(behaviours: Bench) -> None:
    prompt = graph(h=("Hidden", {}), a=("Add", {"a": 1, "b": 1}))
    (facts,) = behaviours.run(prompt, "h", extra={"extra_pnginfo": {"workflow": {"x": 1}}})["h"][0]
    assert facts == {"id": "h", "types": ["Add", "Hidden"], "info": {"workflow": {"x": 1}}, "live": True}


def test_packs_call_native_nodes_and_derive_from_them(behaviours: Bench) -> None:
    outputs = behaviours.run(graph(c=("CallsAnother", {"value": 4}), d=("Derived", {"value": 4})), "c", "d")
    assert (outputs["c"], outputs["d"]) == (([8],), ([9],))


def test_native_and_v1_nodes_share_a_graph(behaviours: Bench) -> None:
    prompt = graph(
        t=("ToyTwice", {"value": 4}), a=("Add", {"a": ("t", 0), "b": 1}), u=("ToyTwice", {"value": ("a", 0)})
    )
    assert behaviours.run(prompt, "u")["u"] == ([18],)


# Without an engine


def test_a_bounded_number_of_instances_is_kept(registry: Registry, monkeypatch) -> None:
    import compat.v1

    monkeypatch.setattr(compat.v1, "INSTANCES_KEPT", 3)
    remember = registry.types["Remember"]
    for number in (1, 2, 3, 4, 4, 1):
        outcome = remember({"value": 0}, Run(node=str(number)))
    assert outcome.outputs == (1,), "the first node's instance was let go"
    assert len(remember._instances) == 3


def test_what_a_function_returns_is_understood_in_every_shape() -> None:
    from compat.v1 import outcome_of
    from execution.declare.node import ExecutionBlocker

    blocker = ExecutionBlocker("x")
    assert outcome_of((1, 2)).outputs == (1, 2)
    assert outcome_of([1]).outputs == (1,)
    assert outcome_of(None).outputs == ()
    assert outcome_of({}).outputs == ()
    assert outcome_of(blocker).blocked is blocker
    assert outcome_of({"result": blocker, "ui": {"a": [1]}}).blocked is blocker
    full = outcome_of({"result": (1,), "ui": {"a": [1]}, "expand": {"n": {}}})
    assert (full.outputs, full.ui, full.expand) == ((1,), {"a": [1]}, {"n": {}})
