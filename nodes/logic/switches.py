"""Choosing by a condition, joining conditions, choices of one's own; the names are today's ComfyUI's."""

from collections.abc import Mapping
from typing import Annotated, Any, NamedTuple, TypeVar

from execution.declare.node import (
    ExecutionBlocker,
    Grows,
    Lazy,
    Options,
    Output,
    Range,
    Socket,
    Tip,
    node,
)

T = TypeVar("T")
Truths = Annotated[Mapping[str, Any], Grows("value", min=1, max=50), Tip("Numbers, texts, lists or truths.")]
MAX_INT = 2**63 - 1


class Chosen(NamedTuple):
    """What `CustomCombo` gives."""

    STRING: str
    INDEX: int


@node("ComfySwitchNode", category="logic", v3=True, search_aliases=("if", "else", "switch", "condition"))
async def switch(
    switch: Annotated[bool, Tip("Which of the two is computed and goes on.")],
    on_false: Annotated[Lazy[T] | None, Tip("Computed if the switch is off.")] = None,
    on_true: Annotated[Lazy[T] | None, Tip("Computed if the switch is on.")] = None,
) -> Annotated[T, Output("output")]:
    """If/Else Switch.

    Computes only the side that is chosen. If that is not linked, what follows does not run.
    """
    chosen = on_true if switch else on_false
    return ExecutionBlocker() if chosen is None else await chosen  # type: ignore[return-value]  # stops what follows


@node("ComfyAndNode", category="logic", v3=True)
def both(values: Truths) -> Annotated[bool, Output("BOOLEAN")]:
    """And.

    True if all values are: a number other than 0, a text or a list that is not empty.
    """
    return all(map(truth, values.values()))


@node("ComfyOrNode", category="logic", v3=True)
def either(values: Truths) -> Annotated[bool, Output("BOOLEAN")]:
    """Or.

    True if one of the values is: a number other than 0, a text or a list that is not empty.
    """
    return any(map(truth, values.values()))


@node("ComfyNotNode", category="logic", v3=True)
def opposite(
    value: Annotated[Any, Tip("A number, a text, a list or a truth.")],
) -> Annotated[bool, Output("BOOLEAN")]:
    """Not.

    True if the value is not: 0, an empty text or an empty list.
    """
    return not truth(value)


@node(
    "CustomCombo",
    category="utils",
    v3=True,
    experimental=True,
    search_aliases=("dropdown", "options", "list"),
)
def custom_combo(
    choice: Annotated[str, Socket("COMBO"), Tip("One of the texts that are written below.")],
    index: Annotated[int, Range(0, MAX_INT), Options(hidden=True), Tip("Its place in the list, from 0.")] = 0,
) -> Chosen:
    """Custom Combo.

    A choice among texts of one's own; gives the text and its place in the list.
    """
    return Chosen(choice, index)


@node("SeedNode", category="utils", v3=True)
def seed(
    seed: Annotated[
        int,
        Range(0, MAX_INT),
        Options(control_after_generate="fixed"),
        Tip("A number that noise is drawn from."),
    ] = 0,
) -> Annotated[int, Output("seed")]:
    """Seed.

    One seed for several nodes.
    """
    return seed


def truth(value: Any) -> bool:
    """Python's truth; of a tensor, whether anything in it is not 0."""
    return bool(value.any()) if hasattr(value, "any") else bool(value)
