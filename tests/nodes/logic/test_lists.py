"""Lists are joined in the order of their inputs and read from both ends."""

import pytest

from nodes.library import native_types

NODES = {each.spec.name: each for each in native_types("logic.lists")}


def test_lists_are_joined_in_the_order_of_their_numbers() -> None:
    inputs = {f"inputs.input{at}": [at, at] for at in (10, 2, 0)}
    assert NODES["CreateList"](inputs, None).outputs == ([0, 0, 2, 2, 10, 10],)  # type: ignore[arg-type, union-attr]
    assert NODES["CreateList"].spec.input_is_list


@pytest.mark.parametrize(("index", "value"), [(0, "a"), (2, "c"), (-1, "c")])
def test_an_item_is_found_from_both_ends(index: int, value: str) -> None:
    found = NODES["GetItemFromList"]({"list": ["a", "b", "c"], "index": [index]}, None)  # type: ignore[arg-type]
    assert found.outputs == (value,)  # type: ignore[union-attr]


def test_an_item_beyond_the_end_is_said() -> None:
    with pytest.raises(ValueError, match="3 items"):
        NODES["GetItemFromList"]({"list": ["a", "b", "c"], "index": [3]}, None)  # type: ignore[arg-type]
