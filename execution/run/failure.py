"""What went wrong in a node, as facts for an event: type, message, traceback, inputs as short texts."""

from __future__ import annotations

import traceback
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from execution.events import Place

LONGEST_TEXT = 2000
MOST_ITEMS = 20
OWN_FOLDER = str(Path(__file__).parents[1])


@dataclass(frozen=True)
class Failure:
    """The first error of a job, and the node to blame."""

    place: Place
    error: BaseException
    inputs: Mapping[str, list[Any]]

    def facts(self) -> dict[str, Any]:
        """The fields of a `Failed` event about the error."""
        return {
            "place": self.place,
            "exception_type": type_name(self.error),
            "exception_message": "\n".join([str(self.error), *getattr(self.error, "__notes__", ())]),
            "traceback": tuple(lines_of(self.error)),
            "current_inputs": {name: _shown_items(values) for name, values in self.inputs.items()},
        }


def _shown_items(values: list[Any]) -> list[Any]:
    return [shown(each) for each in values[:MOST_ITEMS]]


def type_name(error: BaseException) -> str:
    """The qualified name of an exception's type, without `builtins`."""
    kind = type(error)
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


def lines_of(error: BaseException) -> list[str]:
    """The traceback from where the engine called the node, oldest call first."""
    frames = traceback.extract_tb(error.__traceback__)
    own = 0
    while own < len(frames) - 1 and frames[own].filename.startswith(OWN_FOLDER):
        own += 1
    return traceback.format_list(frames[own:])


def shown(value: Any) -> Any:
    """A value for people: plain ones as they are, others as text, neither too long."""
    if value is None or isinstance(value, bool | int | float):
        return value
    try:
        text = value if isinstance(value, str) else str(value)
    except Exception:  # any class may break its own __str__
        text = f"<{type(value).__name__}>"
    return text if len(text) <= LONGEST_TEXT else text[:LONGEST_TEXT] + "…"
