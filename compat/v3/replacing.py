"""V3's way for packs to say which node took the place of an old one: `io.NodeReplace` and who takes it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass
class NodeReplace:
    """What takes the place of `old_node_id`, and how inputs, outputs and widgets are mapped."""

    new_node_id: str
    old_node_id: str
    old_widget_ids: Sequence[str] | None = None
    input_mapping: Sequence[Mapping[str, Any]] | None = None
    output_mapping: Sequence[Mapping[str, Any]] | None = None

    def as_dict(self) -> dict[str, Any]:
        """The replacement as JSON values."""
        return {
            "new_node_id": self.new_node_id,
            "old_node_id": self.old_node_id,
            "old_widget_ids": plain(self.old_widget_ids),
            "input_mapping": plain(self.input_mapping),
            "output_mapping": plain(self.output_mapping),
        }


def plain(values: Sequence[Any] | None) -> list[Any] | None:
    """A list of names or of objects, each its own."""
    if values is None:
        return None
    return [dict(value) if isinstance(value, Mapping) else value for value in values]


class ReplacementsSync:
    """Takes what packs say, for plain functions: `api.node_replacement.register(…)`."""

    def __init__(self, told: list[dict[str, Any]]) -> None:
        self._told = told

    def register(self, replacement: NodeReplace) -> None:
        """Add a replacement."""
        self._told.append(replacement.as_dict())


class Replacements:
    """The same for `async def` functions: `await api.node_replacement.register(…)`."""

    def __init__(self, told: list[dict[str, Any]]) -> None:
        self._sync = ReplacementsSync(told)

    async def register(self, replacement: NodeReplace) -> None:
        """Add a replacement."""
        self._sync.register(replacement)
