"""Switches compute one side, conditions join, and choices of one's own are taken as they are."""

from typing import Any

import pytest
import torch

from execution.check.validation import validate
from execution.declare.registry import Registry
from execution.engine import Engine
from execution.events import Event, Running
from execution.job import Job
from nodes.library import native_types
from nodes.logic.switches import truth

TYPES = native_types("logic.switches", "logic.primitive", "logic.looking", "logic.numbers")


def ran(prompt: dict[str, Any], target: str) -> tuple[Any, set[str]]:
    """The first output of a node, and the nodes that were computed."""
    events: list[Event] = []
    with Engine(Registry(TYPES), emit=events.append) as engine:
        result = engine.run_sync(Job("j", prompt, [target]), keep="all")
    assert result.status == "success", result
    return result.outputs[target][0], {each.place.node for each in events if isinstance(each, Running)}


@pytest.mark.parametrize(("side", "value"), [(True, "yes"), (False, "no")])
def test_only_the_chosen_side_is_computed(side: bool, value: str) -> None:
    prompt = {
        "yes": {"class_type": "PrimitiveString", "inputs": {"value": "yes"}},
        "no": {"class_type": "PrimitiveString", "inputs": {"value": "no"}},
        "s": {
            "class_type": "ComfySwitchNode",
            "inputs": {"switch": side, "on_true": ["yes", 0], "on_false": ["no", 0]},
        },
    }
    found, computed = ran(prompt, "s")
    assert found == [value]
    assert computed == {"s", value}


@pytest.mark.parametrize(
    ("values", "both", "either"),
    [
        ((True, 1), True, True),
        ((0, "a"), False, True),
        (("", 0.0), False, False),
        ((torch.zeros(2), torch.ones(1)), False, True),
    ],
)
def test_conditions_join(values: tuple[Any, ...], both: bool, either: bool) -> None:
    row = {f"value{at}": each for at, each in enumerate(values)}
    nodes = {each.spec.name: each for each in TYPES}
    for name, wanted in (("ComfyAndNode", both), ("ComfyOrNode", either)):
        inputs = {f"values.{part}": value for part, value in row.items()}
        assert nodes[name](inputs, None).outputs == (wanted,)  # type: ignore[arg-type, union-attr]
    assert [nodes["ComfyNotNode"]({"value": each}, None).outputs[0] for each in values] == [  # type: ignore[arg-type, union-attr]
        not truth(each) for each in values
    ]


def test_a_choice_of_ones_own_is_no_error_though_no_list_offers_it() -> None:
    prompt = {
        "c": {"class_type": "CustomCombo", "inputs": {"choice": "Turbo", "index": 2, "option1": "Quality"}},
        "s": {"class_type": "PreviewAny", "inputs": {"source": ["c", 0]}},
    }
    specs = {each.spec.name: each.spec for each in TYPES}
    assert validate(prompt, specs).ok
    assert ran(prompt, "c")[0] == ["Turbo"]
