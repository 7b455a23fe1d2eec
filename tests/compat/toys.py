"""Native nodes small enough to test packs with."""

from __future__ import annotations

from typing import Annotated, Any, NamedTuple

from execution.declare.node import Hidden, Outcome, Range, Socket, Ui, node


@node("ToyTwice", category="toys")
def twice(value: Annotated[int, Range(0, 100)] = 1) -> Annotated[int, Socket("INT")]:
    """Twice."""
    return value * 2


class Pair(NamedTuple):
    first: int
    second: int


@node("ToyPair", category="toys")
async def pair(value: int = 0) -> Pair:
    """Pair."""
    return Pair(value, value + 1)


@node("ToyText", category="toys", output_node=True)
def text(
    value: str = "", prompt: Annotated[dict[str, Any] | None, Hidden("PROMPT")] = None
) -> Outcome[Annotated[str, Socket("STRING")]]:
    """Text."""
    return Outcome((value,), ui=Ui(text=[value, str(prompt)]))
