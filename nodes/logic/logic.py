"""Choosing what is computed, and going between lists and batches."""

from collections.abc import Mapping
from typing import Annotated, Any

import torch
from torch import Tensor

from execution.declare.node import Each, ExecutionBlocker, Lazy, Output, Range, Tip, node

MAX_CHOICES = 8
Values = Annotated[Any, Tip("A value; nothing if it is not linked.")]


@node("IfElse", category="logic", search_aliases=("if", "switch", "condition", "branch"))
async def if_else(
    condition: Annotated[bool, Tip("Which of the two is computed and goes on.")] = True,
    on_true: Annotated[Lazy[Any] | None, Tip("Computed if the condition holds.")] = None,
    on_false: Annotated[Lazy[Any] | None, Tip("Computed if the condition does not hold.")] = None,
) -> Annotated[Any, Output("value")]:
    """If / Else.

    Computes only the side that is chosen. If that is not linked, what follows does not run.
    """
    chosen = on_true if condition else on_false
    return ExecutionBlocker() if chosen is None else await chosen


@node("SwitchValue", category="logic", search_aliases=("switch", "select", "case"))
async def switch(
    index: Annotated[int, Range(0, MAX_CHOICES - 1), Tip("Which value is computed and goes on.")] = 0,
    **values: Annotated[
        Lazy[Any] | None,
        Each(*(f"value_{number}" for number in range(MAX_CHOICES))),
        Tip("Computed if its number is chosen."),
    ],
) -> Annotated[Any, Output("value")]:
    """Switch.

    Computes only the value that is chosen by its number. If that is not linked, what follows does not run.
    """
    chosen = values.get(f"value_{index}")
    return ExecutionBlocker() if chosen is None else await chosen


@node("MakeList", category="logic/list", search_aliases=("list", "collect"))
def make_list(
    **values: Annotated[
        Any | None, Each(*(f"value_{number}" for number in range(MAX_CHOICES))), Tip("A value of the list.")
    ],
) -> Annotated[list[Any], Output("list")]:
    """Make List.

    Puts values of any type and size into a list; what follows runs once for each.
    """
    return [values[name] for name in sorted(values) if values[name] is not None]


@node("BatchToList", category="logic/list", search_aliases=("split", "unbatch"))
def batch_to_list(
    batch: Annotated[Any, Tip("Images, masks, a latent, or a list on one link.")],
) -> Annotated[list[Any], Output("list")]:
    """Batch to List.

    Takes a batch apart; what follows runs once for each of its members.
    """
    return members(batch)


@node("ListToBatch", category="logic/list", search_aliases=("join", "stack", "batch"))
def list_to_batch(
    list: Annotated[list[Any], Tip("Images, masks or latents of one size.")],
) -> Annotated[Any, Output("batch")]:
    """List to Batch.

    Puts images, masks or latents of one size into one batch, which is worked on together.
    """
    return together(list)


@node("ListItem", category="logic/list", search_aliases=("get", "pick"))
def list_item(
    list: Annotated[list[Any], Tip("A list, or a batch.")],
    index: Annotated[int, Range(-1_000_000, 1_000_000), Tip("Counted from 0; -1 is the last.")] = 0,
) -> Annotated[Any, Output("value")]:
    """List Item.

    Picks one member out of a list or a batch.
    """
    values = items_of(list)
    if not -len(values) <= index < len(values):
        raise ValueError(f"input 'index' is {index}, but the list has {len(values)} items")
    return values[index]


@node("ListLength", category="logic/list", search_aliases=("count", "size"))
def list_length(
    list: Annotated[list[Any], Tip("A list, or a batch.")],
) -> Annotated[int, Output("length")]:
    """List Length.

    Counts the members of a list or a batch.
    """
    return len(items_of(list))


def items_of(values: list[Any]) -> list[Any]:
    """The members of what came over a link: several themselves, of a single one its members."""
    return members(values[0]) if len(values) == 1 else values


def members(value: Any) -> list[Any]:
    """The members of a batch (each a batch of one) or of a list; anything else is its own only member."""
    if isinstance(value, Tensor) and value.ndim:
        return [value[index : index + 1] for index in range(len(value))]
    if isinstance(value, Mapping) and isinstance(value.get("samples"), Tensor):
        return [_member(value, index) for index in range(len(value["samples"]))]
    return list(value) if isinstance(value, list | tuple) else [value]


def _member(latent: Mapping[str, Any], index: int) -> dict[str, Any]:
    count = len(latent["samples"])
    found = {**latent, "samples": latent["samples"][index : index + 1]}
    mask = latent.get("noise_mask")
    if isinstance(mask, Tensor) and len(mask) == count:
        found["noise_mask"] = mask[index : index + 1]
    numbers = latent.get("batch_index")
    found["batch_index"] = [numbers[index] if numbers and len(numbers) == count else index]
    return found


def together(values: list[Any]) -> Any:
    """Images, masks or latents of one size as one batch.

    Raises:
        ValueError: they are of different kinds or sizes, or there are none.
    """
    if not values:
        raise ValueError("input 'list' is empty; there is nothing to make a batch of")
    if all(isinstance(each, Tensor) for each in values):
        return _joined(values)
    if all(isinstance(each, Mapping) and isinstance(each.get("samples"), Tensor) for each in values):
        joined = {**values[0], "samples": _joined([each["samples"] for each in values])}
        joined.pop("noise_mask", None)
        numbers = [each.get("batch_index") or list(range(len(each["samples"]))) for each in values]
        joined["batch_index"] = [number for each in numbers for number in each]
        if all(isinstance(each.get("noise_mask"), Tensor) for each in values):
            joined["noise_mask"] = _joined([each["noise_mask"] for each in values])
        return joined
    kinds = ", ".join(sorted({type(each).__name__ for each in values}))
    raise ValueError(f"input 'list' holds {kinds}; only images, masks or latents make a batch")


def _joined(values: list[Tensor]) -> Tensor:
    shapes = {tuple(each.shape[1:]) for each in values}
    if len(shapes) > 1:
        named = " and ".join("×".join(map(str, each)) for each in sorted(shapes))
        raise ValueError(f"input 'list' holds sizes {named}; bring them to one size first, with ImageScale")
    return torch.cat(values)
