"""Choices compute one side only; lists and batches become one another."""

from collections.abc import Iterator
from typing import Any

import pytest
import torch

from execution.declare.registry import Registry
from execution.engine import Engine
from execution.events import Event, Running
from execution.job import Job
from nodes.library import native_types
from nodes.logic.logic import (
    batch_to_list,
    items_of,
    list_item,
    list_length,
    list_to_batch,
    make_list,
    members,
)


@pytest.fixture
def engine() -> Iterator[tuple[Engine, list[Event]]]:
    """An engine of logic and primitives, and what it says."""
    events: list[Event] = []
    with Engine(
        Registry(native_types("logic.logic", "logic.primitive", "logic.looking")), emit=events.append
    ) as found:
        yield found, events


def chosen(engine: Any, node: dict[str, Any]) -> tuple[list[str] | None, set[str]]:
    """What a node between two texts gives to a preview, and which texts were computed."""
    machine, events = engine
    texts = {name: {"class_type": "PrimitiveString", "inputs": {"value": name}} for name in ("yes", "no")}
    show = {"class_type": "PreviewAny", "inputs": {"source": ["choice", 0]}}
    result = machine.run_sync(Job("1", {**texts, "choice": node, "show": show}))
    assert result.status == "success", result.failure
    ran = {each.place.node for each in events if isinstance(each, Running)}
    return result.ui.get("show", {}).get("text"), ran & texts.keys()


@pytest.mark.parametrize(
    ("condition", "linked", "text", "ran"),
    [
        (True, ("on_true", "on_false"), ["yes"], {"yes"}),
        (False, ("on_true", "on_false"), ["no"], {"no"}),
        (False, ("on_true",), None, set()),
    ],
)
def test_only_the_chosen_side_is_computed(
    engine: Any, condition: bool, linked: tuple[str, ...], text: Any, ran: set[str]
) -> None:
    links = {"on_true": ["yes", 0], "on_false": ["no", 0]}
    inputs = {"condition": condition, **{name: links[name] for name in linked}}
    assert chosen(engine, {"class_type": "IfElse", "inputs": inputs}) == (text, ran)


@pytest.mark.parametrize(
    ("index", "text", "ran"), [(0, ["yes"], {"yes"}), (3, ["no"], {"no"}), (5, None, set())]
)
def test_only_the_numbered_value_is_computed(engine: Any, index: int, text: Any, ran: set[str]) -> None:
    inputs = {"index": index, "value_0": ["yes", 0], "value_3": ["no", 0]}
    assert chosen(engine, {"class_type": "SwitchValue", "inputs": inputs}) == (text, ran)


def test_a_list_holds_what_is_linked_in_order(engine: Any) -> None:
    machine, _ = engine
    prompt = {
        "list": {"class_type": "MakeList", "inputs": {"value_2": "c", "value_0": "a"}},
        "show": {"class_type": "PreviewAny", "inputs": {"source": ["list", 0]}},
    }
    assert machine.run_sync(Job("1", prompt)).ui["show"]["text"] == ["a", "c"]
    assert make_list(**{f"value_{n}": None for n in range(8)}) == []


def test_images_and_masks_become_a_list_and_a_batch_again() -> None:
    batch = torch.rand(3, 2, 2, 3)
    parts = batch_to_list(batch)
    assert [tuple(each.shape) for each in parts] == [(1, 2, 2, 3)] * 3
    assert torch.equal(list_to_batch(parts), batch)


def test_latents_keep_their_masks_and_noise_numbers() -> None:
    latent = {"samples": torch.rand(2, 4, 2, 2), "noise_mask": torch.rand(2, 1, 8, 8), "batch_index": [5, 7]}
    first, second = batch_to_list(latent)
    assert (first["batch_index"], second["batch_index"]) == ([5], [7])
    assert torch.equal(second["noise_mask"], latent["noise_mask"][1:])
    together = list_to_batch([first, second])
    assert together["batch_index"] == [5, 7]
    assert torch.equal(together["samples"], latent["samples"])
    assert torch.equal(together["noise_mask"], latent["noise_mask"])
    assert "noise_mask" not in list_to_batch([first, {"samples": torch.rand(1, 4, 2, 2)}])
    assert batch_to_list({"samples": torch.zeros(2, 4, 1, 1)})[1]["batch_index"] == [1]


def test_what_does_not_fit_together_is_refused() -> None:
    with pytest.raises(ValueError, match="empty"):
        list_to_batch([])
    with pytest.raises(ValueError, match="sizes 2×2×3 and 4×4×3"):
        list_to_batch([torch.zeros(1, 2, 2, 3), torch.zeros(1, 4, 4, 3)])
    with pytest.raises(ValueError, match="holds int, str"):
        list_to_batch([1, "a"])


def test_members_are_counted_and_picked() -> None:
    assert list_length(["a", "b"]) == 2
    assert list_length([torch.zeros(4, 1, 1, 3)]) == 4
    assert list_item(["a", "b"], -1) == "b"
    assert list_item([("x", "y")], 0) == "x"
    with pytest.raises(ValueError, match="has 2 items"):
        list_item(["a", "b"], 2)
    assert members(5) == [5]
    assert items_of([[1, 2]]) == [1, 2]
