"""Safetensors written tensor by tensor, so that a large file never stands in memory as a whole."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from typing import IO

import torch
from torch import Tensor

from diffusion.weights.entries import Entry
from diffusion.weights.files import DTYPES
from diffusion.weights.quantised import plain

NAMES: Mapping[torch.dtype, str] = {dtype: name for name, dtype in DTYPES.items()}
Progress = Callable[[int, int], None]


def ignore(done: int, total: int) -> None:
    """Watches nothing."""


def write_safetensors(
    file: IO[bytes],
    entries: Mapping[str, Entry],
    metadata: Mapping[str, str] | None = None,
    progress: Progress = ignore,
) -> None:
    """Writes named tensors, each read when its turn comes and let go after; `progress` may raise to end it.

    A packed weight is written as its parts, as its own file has them, where it has not been changed or cut
    and the format can hold them; else in its logical number type. ValueError if a tensor is not what its
    entry says.
    """
    entries = dict(_with_parts(entries))
    header: dict[str, object] = {"__metadata__": dict(metadata)} if metadata else {}
    offset = 0
    for name, entry in entries.items():
        span = [offset, offset + entry.bytes]
        header[name] = {"dtype": NAMES[entry.dtype], "shape": list(entry.shape), "data_offsets": span}
        offset += entry.bytes
    text = json.dumps(header, ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)
    file.write(len(text).to_bytes(8, "little") + text)
    for done, (name, entry) in enumerate(entries.items()):
        progress(done, len(entries))
        file.write(_bytes(name, entry))
        entry.release()


def _with_parts(entries: Mapping[str, Entry]) -> Iterator[tuple[str, Entry]]:
    """Entries as they are written: the parts of a packed layer under its name."""
    for name, entry in entries.items():
        layer, _, kind = name.rpartition(".")
        if entry.parts is None or kind != "weight":
            yield name, entry
        else:
            yield from ((f"{layer}.{part}", each) for part, each in entry.parts.items())


def entry_of(tensor: Tensor) -> Entry:
    """A tensor in memory as an entry."""
    return Entry(tuple(tensor.shape), tensor.dtype, lambda: tensor)


def _bytes(name: str, entry: Entry) -> memoryview:
    tensor = plain(entry.read()).detach().cpu().contiguous()
    if tuple(tensor.shape) != entry.shape or tensor.dtype != entry.dtype:
        found, right = (tuple(tensor.shape), tensor.dtype), (entry.shape, entry.dtype)
        raise ValueError(f"tensor {name} is {found} instead of {right}")
    data: memoryview = tensor.reshape(-1).view(torch.uint8).numpy().data
    return data
