"""Where an asset's file is: a kind (`input`, `output`, `temp`, or a kind of models) and a name in it."""

import os
from pathlib import Path
from typing import NamedTuple

from execution.errors import FolderError
from execution.files.folders import Folders

ROOTS = ("input", "output", "temp")
MODELS = "models"
MODEL_TYPE = "model_type:"
"""Before the kind of models, in a tag."""


class Place(NamedTuple):
    """A file by kind and name; the name is relative, with `/`."""

    kind: str
    name: str

    @property
    def is_model(self) -> bool:
        return self.kind not in ROOTS

    @property
    def file_path(self) -> str:
        """The whole name, such as `models/checkpoints/x.safetensors` or `input/photo.png`."""
        return f"{MODELS}/{self.kind}/{self.name}" if self.is_model else f"{self.kind}/{self.name}"

    @property
    def choice(self) -> str:
        """What a loader's widget says to mean this file."""
        return self.name if self.is_model or self.kind == "input" else f"{self.name} [{self.kind}]"

    @property
    def tags(self) -> tuple[str, ...]:
        """The tags that tell where it is."""
        return (MODELS, MODEL_TYPE + self.kind) if self.is_model else (self.kind,)

    @property
    def last(self) -> str:
        """The file's own name, without folders."""
        return self.name.rpartition("/")[2]


def path_of(folders: Folders, place: Place) -> Path | None:
    """The real path of a place's file; None when there is none, or when it must not be reached. A model may
    be a link to elsewhere, a user's file may not.
    """
    try:
        if place.is_model:
            path = Path(os.path.realpath(folders.resolve(place.kind, place.name)))
        else:
            path = folders.inside(place.kind, place.name)
    except (FolderError, OSError, ValueError):
        return None
    return path if path.is_file() else None
