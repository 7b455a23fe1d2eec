"""A model that is cut into several files, `NAME-00001-of-00003.safetensors` and so on: any of them means all.

An index beside them (`NAME.safetensors.index.json`) is not needed; where there is one, what it lists is held
against what the files have.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path

from diffusion.errors import FileProblem
from diffusion.weights.entries import Entry, Weights

SHARD = re.compile(r"(?P<stem>.+)-(?P<number>\d{5})-of-(?P<count>\d{5})(?P<suffix>\.\w+)")
MOST = 999


def shards_of(path: Path) -> list[Path]:
    """All files of the model that a file belongs to, in order; itself alone where it is whole.

    Raises:
        FileProblem: one of them is missing.
    """
    shard = SHARD.fullmatch(path.name)
    if shard is None or not 1 < int(shard["count"]) <= MOST:
        return [path]
    numbers = range(1, int(shard["count"]) + 1)
    names = [f"{shard['stem']}-{number:05}-of-{shard['count']}{shard['suffix']}" for number in numbers]
    missing = [name for name in names if not path.with_name(name).is_file()]
    if missing:
        problem = f"It is one of {len(names)} files, of which {', '.join(missing[:3])} is not beside it."
        raise FileProblem(path, problem, "Put all of them into the same folder.")
    return [path.with_name(name) for name in names]


def put_together(parts: Sequence[Weights]) -> Weights:
    """The tensors of all files of a model, as if they were of the first.

    Raises:
        FileProblem: a tensor stands in two of them, or in none although an index lists it.
    """
    entries: dict[str, Entry] = {}
    metadata: dict[str, str] = {}
    for part in parts:
        twice = next((name for name in part if name in entries), None)
        if twice is not None:
            raise FileProblem(part.path, f"Tensor {twice} is in another of its {len(parts)} files too.")
        entries |= part.entries
        metadata = {**part.metadata, **metadata}
    whole = Weights(parts[0].path, entries, metadata)
    lost = next((name for name in listed(parts[0].path) if name not in entries), None)
    if lost is not None:
        raise FileProblem(whole.path, f"Tensor {lost} is in the index but in none of its {len(parts)} files.")
    return whole


def listed(path: Path) -> list[str]:
    """The tensors that the index beside a shard lists; none where there is no index.

    Raises:
        FileProblem: the index cannot be read.
    """
    shard = SHARD.fullmatch(path.name)
    index = path.with_name(f"{shard['stem']}{shard['suffix']}.index.json") if shard else None
    if index is None or not index.is_file():
        return []
    try:
        return list(json.loads(index.read_text())["weight_map"])
    except (OSError, ValueError, KeyError, TypeError):
        raise FileProblem(index, "It is not the index of a model in several files.", "Delete it.") from None
