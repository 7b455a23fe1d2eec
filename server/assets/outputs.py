"""The files that a job's nodes showed, noted as assets of the job."""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from server.assets.library import Assets
from server.assets.places import ROOTS, Place
from server.assets.records import Asset


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
