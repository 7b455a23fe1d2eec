"""Inputs that depend on the node: rows that grow, choices that bring inputs, types that match."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from execution.check.validation import validate
from execution.declare.dynamic import opened
from execution.declare.node import Branches, Grows, Lazy, Output, Range, Ui, node
from execution.declare.registry import Registry
from execution.engine import Engine
from execution.errors import DeclarationError
from execution.events import Done, Event
from execution.job import Job

T = TypeVar("T")
Number = TypeVar("Number", int, float)


@dataclass
class ByFactor:
    factor: Annotated[float, Range(0, 8)] = 2.0


@dataclass
class Hard:
    edge: int = 1


@dataclass
class Soft:
    blur: float = 0.5


@dataclass
class Cut:
    width: int
    how: Annotated[Hard | Soft, Branches({"hard": Hard, "soft": Soft})]


@dataclass
class Nothing:
    """No inputs."""


@node("Row")
def row(
    values: Annotated[Mapping[str, int], Grows("value", min=1, max=12)],
) -> Annotated[int, Output("sum")]:
    """Row."""
    return sum(values.values())


@node("Letters")
def letters(
    values: Annotated[Mapping[str, int | float], Grows(names=("a", "b", "c"), min=0)],
) -> Annotated[str, Output("text")]:
    """Letters."""
    return " ".join(f"{name}={value}" for name, value in values.items())


@node("Choose", essentials_category="Basics")
def choose(
    mode: Annotated[
        ByFactor | Cut | Nothing, Branches({"by factor": ByFactor, "cut": Cut, "nothing": Nothing})
    ],
) -> Annotated[str, Output("text")]:
    """Choose."""
    return repr(mode)


@node("Match")
async def match(which: bool, yes: Lazy[T] | None = None, no: Lazy[T] | None = None) -> T | None:
    """Match."""
    wanted = yes if which else no
    return await wanted if wanted is not None else None


@node("Numbers")
def numbers(a: Number) -> Number:
    """Numbers."""
    return a


@node("Show", output_node=True)
def show(value: Any) -> Ui:
    """Show."""
    return Ui({"value": [value]})


TYPES = [each.native for each in (row, letters, choose, match, numbers, show)]


def ran(class_type: str, **inputs: Any) -> Any:
    """What a node gives in a real run; names are written with __ for dots."""
    prompt = {
        "1": {
            "class_type": class_type,
            "inputs": {name.replace("__", "."): value for name, value in inputs.items()},
        },
        "2": {"class_type": "Show", "inputs": {"value": ["1", 0]}},
    }
    events: list[Event] = []
    with Engine(Registry(TYPES), emit=events.append) as engine:
        engine.run_sync(Job("j", prompt))
    return next(each.ui["value"][0] for each in events if isinstance(each, Done) and each.ui)


def test_a_row_is_given_by_the_names_of_its_own_in_the_order_of_their_numbers() -> None:
    assert ran("Row", values__value0=1, values__value1=2) == 3
    assert ran("Letters", values__c=3, values__a=1) == "a=1 c=3"


def test_a_choice_brings_an_instance_of_its_class() -> None:
    assert ran("Choose", mode="by factor", mode__factor=3) == "ByFactor(factor=3.0)"
    assert ran("Choose", mode="by factor") == "ByFactor(factor=2.0)"
    assert ran("Choose", mode="nothing") == "Nothing()"
    inner = {"mode": "cut", "mode__width": 5, "mode__how": "soft", "mode__how__blur": 1}
    assert ran("Choose", **inner) == "Cut(width=5, how=Soft(blur=1.0))"


def test_a_matched_type_may_be_lazy() -> None:
    assert ran("Match", which=True, yes="word") == "word"


def test_object_info_shows_rules_and_templates() -> None:
    shape = row.spec.object_info()["input"]["required"]["values"]
    member = {"value": ["INT"]}
    template = {"input": {"required": member}, "prefix": "value", "min": 1, "max": 12}
    assert shape == ["COMFY_AUTOGROW_V3", {"template": template}]
    named = letters.spec.object_info()["input"]["required"]["values"][1]["template"]
    assert named == {
        "input": {"required": {"values": ["INT,FLOAT"]}},
        "names": ["a", "b", "c"],
        "min": 0,
    }
    kind, options = choose.spec.object_info()["input"]["required"]["mode"]
    assert kind == "COMFY_DYNAMICCOMBO_V3"
    assert [each["key"] for each in options["options"]] == ["by factor", "cut", "nothing"]
    factor = ["FLOAT", {"default": 2.0, "min": 0, "max": 8}]
    assert options["options"][0]["inputs"] == {"required": {"factor": factor}}
    assert options["options"][2]["inputs"] == {}
    assert choose.spec.object_info()["essentials_category"] == "Basics"


def test_object_info_shows_what_matches() -> None:
    info = match.spec.object_info()
    assert info["input"]["optional"]["yes"] == [
        "COMFY_MATCHTYPE_V3",
        {"template": {"template_id": "T", "allowed_types": "*"}, "lazy": True},
    ]
    assert (info["output"], info["output_matchtypes"]) == (["COMFY_MATCHTYPE_V3"], ["T"])
    assert numbers.spec.by_name["a"].socket == "INT,FLOAT"
    read = type(numbers.spec).from_object_info("Numbers", numbers.spec.object_info())
    assert read.outputs == numbers.spec.outputs


WRONG = {
    "a step of a row that must be there": ("Row", {}, "required_input_missing", "values.value0"),
    "a word for a number of a row": ("Row", {"values.value0": "x"}, "invalid_input_type", "values.value0"),
    "a key that is not offered": ("Choose", {"mode": "other"}, "value_not_in_list", "mode"),
    "no key": ("Choose", {}, "required_input_missing", "mode"),
    "an input of the branch out of range": (
        "Choose",
        {"mode": "by factor", "mode.factor": 9},
        "value_bigger_than_max",
        "mode.factor",
    ),
    "an input of the branch missing": (
        "Choose",
        {"mode": "cut", "mode.how": "hard", "mode.how.edge": 1},
        "required_input_missing",
        "mode.width",
    ),
    "a key inside of the branch": (
        "Choose",
        {"mode": "cut", "mode.width": 1, "mode.how": "x"},
        "value_not_in_list",
        "mode.how",
    ),
}


@pytest.mark.parametrize(("class_type", "inputs", "kind", "name"), WRONG.values(), ids=WRONG)
def test_what_is_wrong_is_said_of_the_part(class_type: str, inputs: Any, kind: str, name: str) -> None:
    prompt = {
        "1": {"class_type": class_type, "inputs": inputs},
        "2": {"class_type": "Show", "inputs": {"value": ["1", 0]}},
    }
    found = validate(prompt, {each.spec.name: each.spec for each in TYPES})
    errors = found.node_errors["1"]["errors"]
    assert [(each["type"], each["extra_info"]["input_name"]) for each in errors] == [(kind, name)]


def test_a_branch_input_of_another_choice_is_left_out() -> None:
    spec = opened(choose.spec, {"mode": "nothing", "mode.factor": 3})
    assert list(spec.by_name) == ["mode"]


@given(st.sets(st.integers(0, 11)))
def test_any_steps_of_a_row_are_opened_and_the_least_ones_always(numbers: set[int]) -> None:
    spec = opened(row.spec, {f"values.value{number}": 1 for number in numbers})
    assert set(spec.by_name) == {f"values.value{number}" for number in numbers | {0}}
    assert [each.name for each in spec.required] == ["values.value0"]


def test_a_type_without_rules_is_opened_as_itself() -> None:
    assert opened(show.spec, {"value": 1}) is show.spec


def test_a_row_needs_to_say_of_what() -> None:
    with pytest.raises(DeclarationError, match=r"Mapping\[str, T\]"):

        @node("Bad")
        def bad(values: Annotated[dict, Grows("x")]) -> int:  # type: ignore[type-arg]
            """Bad."""
            return len(values)
