"""What the facades stand on: one object that holds everything ComfyUI's modules reach for by name."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from compat.placeholders import PlaceholderType, placeholder

if TYPE_CHECKING:
    from execution.declare.node import NodeType
    from execution.files.folders import Folders

Send = Callable[[str | int, object, str | None], None]
"""Delivers a pack's own websocket message: (event, data, client id or None for everybody).

A text event has a name and JSON data; a binary one has a number and bytes.
"""

log = logging.getLogger("nodeloom.packs")


def nowhere(event: str | int, data: object, client: str | None) -> None:
    """A `Send` for when nobody listens, as on the command line."""


@dataclass
class Host:
    """The program as packs see it.

    `types` is the live mapping of node types: native ones stand in it before packs load, packs' own join it.
    `classes` is `nodes.NODE_CLASS_MAPPINGS`: packs read it, and some write to it.
    """

    folders: Folders
    types: Mapping[str, NodeType]
    send: Send = nowhere
    providers: Mapping[type, object] = field(default_factory=dict)
    classes: dict[str, Any] = field(default_factory=dict)
    display_names: dict[str, str] = field(default_factory=dict)
    web_directories: dict[str, str] = field(default_factory=dict)
    foreign: set[str] = field(default_factory=set)
    replacements: list[dict[str, Any]] = field(default_factory=list)
    server: Any = None
    loop: asyncio.AbstractEventLoop | None = None
    placeholders: dict[str, PlaceholderType] = field(default_factory=dict)

    @property
    def base(self) -> Path:
        """The installation as packs know it: the folder of `models`, `input`, `custom_nodes` and the rest."""
        return self.folders.base.resolve()

    def placeholder(self, name: str) -> PlaceholderType:
        """The one placeholder class for a dotted name of ComfyUI's."""
        if name not in self.placeholders:
            self.placeholders[name] = placeholder(name)
        return self.placeholders[name]

    def complain(self, what: str, problem: BaseException) -> None:
        """Write down that code of a pack raised where nothing can be done about it."""
        log.warning("%s raised %s: %s", what, type(problem).__name__, problem)
