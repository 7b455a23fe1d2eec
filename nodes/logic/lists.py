"""Lists put together and taken apart, under the names of today's ComfyUI."""

from collections.abc import Mapping
from typing import Annotated, TypeVar

from execution.declare.node import Grows, Output, Tip, node

T = TypeVar("T")


@node("CreateList", category="logic", v3=True, search_aliases=("image iterator", "text iterator", "iterator"))
def create_list(
    inputs: Annotated[
        Mapping[str, list[T]], Grows("input", min=1, max=100), Tip("Values or lists of one type.")
    ],
) -> Annotated[list[T], Output("list")]:
    """Create List.

    Joins values and lists, one after another; what follows runs once for each.
    """
    return [each for values in inputs.values() for each in values]


@node("GetItemFromList", category="logic", v3=True)
def get_item(
    list: Annotated[list[T], Tip("A list of values.")],
    index: Annotated[int, Tip("Its place, from 0; -1 is the last.")] = 0,
) -> Annotated[T, Output("*")]:
    """GetItemFromList.

    One value of a list.
    """
    if not -len(list) <= index < len(list):
        raise ValueError(f"input 'index' is {index}, but the list has {len(list)} items")
    return list[index]
