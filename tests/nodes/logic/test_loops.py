"""Loops through the engine: rounds, carried values, nesting, caching, progress, and when they do not end."""

from collections.abc import Iterator
from typing import Annotated, Any

import pytest
import torch

from execution.declare.node import Socket, Tip, Ui, node, node_types
from execution.declare.registry import Registry
from execution.engine import Engine, Result
from execution.events import Event, Progress, Running
from execution.job import Job
from execution.run.cache import Budgeted
from nodes.library import native_types

Given = Annotated[Any, Tip("Any.")]


@node("Plus")
def plus(a: Given, b: Given) -> Annotated[Any, Socket("*")]:
    """Plus."""
    return a + b


@node("Below")
def below(a: Given, b: Given) -> bool:
    """Below."""
    return bool(a < b)


@node("See", output_node=True)
def see(value: Given) -> Ui:
    """See."""
    return Ui(seen=[value])


@node("Thing")
def thing(name: Given) -> Annotated[Any, Socket("*")]:
    """A value that the engine cannot name by itself."""
    return {"samples": torch.full((1, 1), float(name))}


class Lab:
    """An engine with loops and a few toys, and what it said."""

    def __init__(self) -> None:
        """Begin with an empty cache."""
        import sys

        toys = node_types(sys.modules[__name__])
        self.events: list[Event] = []
        registry = Registry([*native_types("logic.logic", "logic.loops"), *toys])
        self.engine = Engine(registry, Budgeted(2**24), emit=self.events.append)

    def run(self, prompt: dict[str, Any], *targets: str) -> Result:
        """Run a prompt; raises what a node raised."""
        self.events.clear()
        result = self.engine.run_sync(Job("job", prompt, targets or None))
        if result.failure is not None:
            raise result.failure.error
        assert result.status == "success"
        return result

    def value(self, prompt: dict[str, Any], target: str, slot: int = 0) -> list[Any]:
        """The values of one output."""
        return self.run(prompt, target).outputs[target][slot]

    def ran(self, class_type: str) -> int:
        """How many nodes of a type ran."""
        return sum(each.place.class_type == class_type for each in self.events if isinstance(each, Running))


@pytest.fixture
def lab() -> Iterator[Lab]:
    """An engine that is closed afterwards."""
    found = Lab()
    yield found
    found.engine.close()


def made(class_type: str, **inputs: Any) -> dict[str, Any]:
    """A node; tuples are links."""
    links = {name: list(value) if isinstance(value, tuple) else value for name, value in inputs.items()}
    return {"class_type": class_type, "inputs": links}


def for_each(items: Any, step: Any = 10) -> dict[str, Any]:
    """Adds a step to each item, and sums the items up."""
    return {
        "start": made("ForEachStart", items=items, value=0),
        "add": made("Plus", a=("start", 1), b=step),
        "sum": made("Plus", a=("start", 4), b=("start", 1)),
        "end": made("ForEachEnd", loop=("start", 0), result=("add", 0), value=("sum", 0)),
    }


def test_each_item_makes_a_result_and_values_are_handed_on(lab: Lab) -> None:
    found = lab.run(for_each({"__value__": [1, 2, 5]}), "end").outputs["end"]
    assert found == ([11, 12, 15], [8])


def test_a_number_is_so_many_rounds_and_none_at_all_gives_nothing(lab: Lab) -> None:
    assert lab.run(for_each(3), "end").outputs["end"] == ([10, 11, 12], [3])
    assert lab.run(for_each(0), "end").outputs["end"] == ([], [0])


def test_index_and_count_are_given(lab: Lab) -> None:
    prompt = {
        "start": made("ForEachStart", items={"__value__": ["a", "b"]}),
        "both": made("MakeList", value_0=("start", 2), value_1=("start", 3), value_2=("start", 1)),
        "end": made("ForEachEnd", loop=("start", 0), result=("both", 0)),
    }
    assert lab.value(prompt, "end") == [0, 2, "a", 1, 2, "b"]


def test_images_of_a_batch_are_items(lab: Lab) -> None:
    batch = torch.arange(3.0).reshape(3, 1, 1, 1)

    @node("Batch")
    def images() -> Annotated[Any, Socket("*")]:
        """A batch."""
        return batch

    lab.engine.registry.add(images.native.bind({}))  # type: ignore[attr-defined]  # a function carries it
    prompt = {"batch": made("Batch"), **for_each(("batch", 0), 1.0)}
    assert [float(each) for each in lab.value(prompt, "end")] == [1, 2, 3]


def test_a_longer_list_runs_only_what_is_new(lab: Lab) -> None:
    lab.run(for_each({"__value__": [1, 2]}), "end")
    assert lab.ran("Plus") == 4
    lab.run(for_each({"__value__": [1, 2, 3]}), "end")
    assert lab.ran("Plus") == 2
    lab.run(for_each({"__value__": [1, 2, 3]}), "end")
    assert lab.ran("Plus") == 0


def test_items_without_a_name_are_known_by_where_they_come_from(lab: Lab) -> None:
    prompt = {
        "one": made("Thing", name=1),
        "two": made("Thing", name=2),
        "things": made("MakeList", value_0=("one", 0), value_1=("two", 0)),
        "start": made("ForEachStart", items=("things", 0)),
        "size": made("ListLength", list=("start", 1)),
        "end": made("ForEachEnd", loop=("start", 0), result=("size", 0)),
    }
    assert lab.value(prompt, "end") == [1, 1]
    shown = {**prompt, "see": made("See", value=("end", 0))}
    lab.run(shown)
    assert lab.ran("ListLength") == 0


def test_what_shows_inside_a_loop_shows_each_round_on_its_node(lab: Lab) -> None:
    prompt = {**for_each(2), "see": made("See", value=("add", 0)), "all": made("See", value=("end", 1))}
    result = lab.run(prompt)
    seen = {node_id: shown["seen"] for node_id, shown in result.ui.items()}
    assert sorted(value for values in seen.values() for value in values) == [1, 10, 11]
    shown_on = {each.place.display_node for each in lab.events if isinstance(each, Running)}
    assert shown_on <= prompt.keys()


def test_rounds_move_the_progress_of_the_closing_node(lab: Lab) -> None:
    lab.run(for_each(3), "end")
    rounds = [
        (each.value, each.maximum)
        for each in lab.events
        if isinstance(each, Progress) and each.place.display_node == "end"
    ]
    assert rounds == [(1, 3), (2, 3), (3, 3)]


def test_loops_stand_in_loops(lab: Lab) -> None:
    prompt = {
        "rows": made("ForEachStart", items={"__value__": [10, 20, 30]}, value=0),
        "columns": made("ForEachStart", items=2),
        "cell": made("Plus", a=("rows", 1), b=("columns", 1)),
        "row": made("ForEachEnd", loop=("columns", 0), result=("cell", 0)),
        "length": made("ListLength", list=("row", 0)),
        "sum": made("Plus", a=("rows", 4), b=("length", 0)),
        "table": made("ForEachEnd", loop=("rows", 0), result=("row", 0), value=("sum", 0)),
    }
    assert lab.run(prompt, "table").outputs["table"] == ([10, 11, 20, 21, 30, 31], [6])


def while_loop(limit: int, **more: Any) -> dict[str, Any]:
    """Adds 3 as long as the value is below a limit."""
    return {
        "start": made("WhileStart", value=0),
        "go_on": made("Below", a=("start", 2), b=limit),
        "next": made("Plus", a=("start", 2), b=3),
        "end": made("WhileEnd", loop=("start", 0), condition=("go_on", 0), value=("next", 0), **more),
    }


@pytest.mark.parametrize(("limit", "wanted"), [(7, 9), (0, 0), (900, 900)])
def test_a_while_loop_goes_on_as_long_as_its_condition_holds(lab: Lab, limit: int, wanted: int) -> None:
    assert lab.value(while_loop(limit, max_rounds=1000), "end") == [wanted]
    assert lab.ran("Plus") == wanted // 3


def test_a_while_loop_that_goes_on_does_only_the_new_rounds(lab: Lab) -> None:
    lab.run(while_loop(9, max_rounds=50), "end")
    longer = while_loop(15, max_rounds=50)
    lab.run(longer, "end")
    assert lab.ran("Plus") == 2


def test_a_while_loop_without_end_is_stopped_and_says_how(lab: Lab) -> None:
    with pytest.raises(ValueError, match=r"did not end within 5 rounds"):
        lab.run(while_loop(10**6, max_rounds=5), "end")


def test_while_loops_stand_in_loops(lab: Lab) -> None:
    prompt = {
        "each": made("ForEachStart", items={"__value__": [4, 7]}),
        "start": made("WhileStart", value=("each", 1)),
        "go_on": made("Below", a=("start", 2), b=10),
        "next": made("Plus", a=("start", 2), b=4),
        "inner": made("WhileEnd", loop=("start", 0), condition=("go_on", 0), value=("next", 0), max_rounds=9),
        "end": made("ForEachEnd", loop=("each", 0), result=("inner", 0)),
    }
    assert lab.value(prompt, "end") == [12, 11]


def test_a_closing_node_wants_an_opening_one(lab: Lab) -> None:
    prompt = {"end": made("ForEachEnd", loop={"__value__": 1}, result=1)}
    with pytest.raises(ValueError, match="has to be linked to the node that opens the loop"):
        lab.run(prompt, "end")
