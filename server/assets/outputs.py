"""What a job's nodes showed, noted as assets of the job: files where they are, texts as files of text."""

import asyncio
import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from execution.files.folders import Folders, atomic_write
from server.assets.library import Assets
from server.assets.places import ROOTS, Place
from server.assets.records import Asset

TEXTS = "texts"
"""The folder of texts, below `temp`."""


class Shown(NamedTuple):
    """A file that a node showed, and the word it was shown under."""

    node: str
    kind: str
    place: Place


def files_of(outputs: Mapping[str, Any]) -> Iterator[Shown]:
    """Every file in what nodes showed, in order; what does not name a file in a root is passed over."""
    for node, ui in outputs.items():
        for kind, items in ui.items() if isinstance(ui, dict) else ():
            for item in items if isinstance(items, list | tuple) else ():
                place = place_of(item)
                if place is not None:
                    yield Shown(str(node), str(kind), place)


def place_of(item: Any) -> Place | None:
    """The place that `{"filename", "subfolder", "type"}` names."""
    if not isinstance(item, dict):
        return None
    name, subfolder, root = item.get("filename"), item.get("subfolder") or "", item.get("type", "output")
    if not (isinstance(name, str) and name and isinstance(subfolder, str)) or root not in ROOTS:
        return None
    subfolder = subfolder.replace("\\", "/").strip("/")
    return Place(root, f"{subfolder}/{name}" if subfolder else name)


async def note_outputs(assets: Assets, job: str, outputs: Mapping[str, Any]) -> list[tuple[Shown, Asset]]:
    """The assets of a job's files; files that are gone have none."""
    noted = []
    for shown in files_of(outputs):
        asset = await assets.note(shown.place, job)
        if asset is not None:
            noted.append((shown, asset))
    return noted


async def note_texts(
    assets: Assets, folders: Folders, job: str, outputs: Mapping[str, Any]
) -> list[tuple[Shown, Asset]]:
    """The texts that a job's nodes showed, kept as temporary files, each named by its bytes."""
    noted = []
    for node, ui in outputs.items():
        texts = ui.get("text") if isinstance(ui, dict) else None
        for text in texts if isinstance(texts, list | tuple) else ():
            if isinstance(text, str) and text:
                content = text.encode("utf-8", "replace")
                place = Place("temp", f"{TEXTS}/{hashlib.sha256(content).hexdigest()[:32]}.txt")
                await asyncio.to_thread(keep_text, folders.inside(*place), content)
                asset = await assets.note(place, job)
                if asset is not None:
                    noted.append((Shown(str(node), "text", place), asset))
    return noted


def keep_text(path: Path, content: bytes) -> None:
    """Write a text unless it is there; blocks."""
    if not path.is_file():
        with atomic_write(path) as file:
            file.write(content)
