"""What comes out of a node: values, things to show, a graph to go on with, or a stop."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class ExecutionBlocker:
    """A value that keeps everything behind it from running; with a message, that is reported as an error."""

    def __init__(self, message: str | None = None) -> None:
        """Keep the message; None blocks silently."""
        self.message = message


class BlockedInput(Exception):
    """A lazy input that was awaited carries a blocker; a node that lets this pass is blocked, too."""

    def __init__(self, blocker: ExecutionBlocker) -> None:
        """Keep the blocker."""
        self.blocker = blocker
        super().__init__(blocker.message or "blocked")


class Ui(dict[str, Any]):
    """What an output node shows, by kind: `Ui({"images": [{"filename": …, "subfolder": …, "type": …}]})`."""


@dataclass(frozen=True)
class Outcome(Generic[T]):
    """The result of one call. `Outcome[Image]` in a return annotation declares the outputs `Image` declares.

    outputs: one value for each output; after an expansion they may be links `[id, slot]` into the new graph.
    ui: what the node shows, each value a list.
    expand: a graph in API format whose nodes join the running one; its ids must be new.
    blocked: nothing came out, and what follows is not to run.
    """

    outputs: tuple[Any, ...] = ()
    ui: Mapping[str, Any] | None = None
    expand: Mapping[str, Any] | None = None
    blocked: ExecutionBlocker | None = None
