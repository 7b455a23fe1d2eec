"""Textual-inversion embeddings by their names in texts: where they lie, and the stamps of their files."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from diffusion.families.checkpoints import load_embedding
from diffusion.text.prompt_syntax import possible_names
from diffusion.text.tokens import Vectors
from execution.errors import FolderError
from execution.files.folders import Folders
from execution.files.identity import Stamp

SUFFIXES = ("", ".safetensors", ".pt", ".bin")
NAMED = re.compile(r"embedding:([^\s():]+)")


def embedding_path(folders: Folders, name: str) -> Path | None:
    """The file of an embedding, whose suffix may be left out; None if there is none."""
    for suffix in SUFFIXES:
        try:
            return folders.resolve("embeddings", name + suffix)
        except FolderError:
            continue
    return None


def embedding_finder(folders: Folders) -> Callable[[str], Vectors | None]:
    """What gives an embedding its vectors, by its name in a text."""

    def find(name: str) -> Vectors | None:
        path = embedding_path(folders, name)
        return None if path is None else load_embedding(path)

    return find


def embedding_stamps(folders: Folders, *texts: str | None) -> list[Any] | None:
    """The stamp of every embedding that the texts name; None if they name none."""
    written = {name for text in texts if text for name in NAMED.findall(text)}
    names = {name for each in written for name in possible_names(each)}
    return [[name, _stamp(folders, name)] for name in sorted(names)] or None


def _stamp(folders: Folders, name: str) -> Stamp | None:
    stamps = (folders.stamp("embeddings", name + suffix) for suffix in SUFFIXES)
    return next(filter(None, stamps), None)
