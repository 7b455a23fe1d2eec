"""Published subgraphs: workflows with a subgraph in them, from packs' `subgraphs/` and an installation's
`blueprints/`.
"""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PACK_FOLDER, OWN_FOLDER = "subgraphs", "blueprints"
MOST_BYTES = 16 * 2**20


@dataclass(frozen=True)
class Published:
    """One published subgraph: where it comes from, and its file."""

    source: str
    pack: str
    path: Path

    @property
    def id(self) -> str:
        """The same on every machine, whatever the folders are called."""
        return hashlib.sha256(f"{self.source}/{self.pack}/{self.path.stem}".encode()).hexdigest()

    def to_json(self) -> dict[str, Any]:
        return {"source": self.source, "name": self.path.stem, "info": {"node_pack": self.pack}}

    def with_data(self) -> dict[str, Any]:
        """The same with the workflow as text; blocks."""
        return {**self.to_json(), "data": self.path.read_text("utf-8")}


def published(base: Path, packs: Mapping[str, Path]) -> dict[str, Published]:
    """All published subgraphs by id; blocks."""
    found = [*of_packs(packs), *of_folder("templates", "comfyui", base / OWN_FOLDER)]
    return {each.id: each for each in found}


def of_packs(packs: Mapping[str, Path]) -> Iterator[Published]:
    """Those of packs."""
    for name, folder in packs.items():
        yield from of_folder("custom_node", f"custom_nodes.{name}", folder / PACK_FOLDER)


def of_folder(source: str, pack: str, folder: Path) -> Iterator[Published]:
    """Those of a folder: plain files, not too large, no links out of it."""
    for path in sorted(folder.glob("*.json")):
        inside = path.resolve().is_relative_to(folder.resolve())
        if inside and path.is_file() and path.stat().st_size <= MOST_BYTES:
            yield Published(source, pack, path)
