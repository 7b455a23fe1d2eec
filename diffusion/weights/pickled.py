"""PyTorch's own files (.ckpt, .pt, .pth, .bin), new (zip) and old (one pickle after another), as weights.

Their pickles are read by `diffusion.unpickling`, which runs nothing; here the calls that stand for tensors
become entries, each checked against the storage it claims to look at. All else in the file is ignored.
"""

from __future__ import annotations

import mmap
import zipfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from diffusion.errors import FileProblem
from diffusion.weights.entries import Entry, Weights, let_go, mapped, require_whole, view
from diffusion.weights.unpickling import BadPickle, Call, Name, Reference, Unpickling

MAX_PICKLE = 32 << 20
MAX_DEPTH = 16
MAX_FACT = 1000  # characters
LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
WRAPPERS = ("state_dict", "params_ema", "params")

STORAGES: Mapping[str, torch.dtype] = {
    "FloatStorage": torch.float32,
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "DoubleStorage": torch.float64,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
    "ShortStorage": torch.int16,
    "CharStorage": torch.int8,
    "ByteStorage": torch.uint8,
    "BoolStorage": torch.bool,
}


@dataclass(frozen=True, slots=True)
class Stored:
    """Where a storage's elements lie in the file."""

    start: int
    bytes: int


def open_pickled(path: Path) -> Weights:
    """The tensors of a PyTorch file. FileProblem if it is broken, holds none, or asks for the impossible."""
    try:
        memory = mapped(path)
        tree, stored, names = _zipped(path, memory) if memory[:2] == b"PK" else _legacy(memory)
        entries = dict(_entries(path, memory, stored, tree))
    except (BadPickle, zipfile.BadZipFile, OverflowError) as error:
        raise FileProblem(path, f"This is not a sound PyTorch file: {error}") from None
    except (ValueError, TypeError, IndexError, KeyError, AttributeError):
        raise FileProblem(
            path, "This is not a sound PyTorch file: a tensor in it is described wrongly."
        ) from None
    if not entries:
        foreign = sorted(name for name in names if not name.startswith(("torch", "collections")))[:5]
        mentions = f" It mentions {', '.join(foreign)}; nothing of it was run." if foreign else ""
        raise FileProblem(path, f"This PyTorch file holds no tensors.{mentions}", "Choose another file.")
    return _unwrapped(Weights(path, entries, _facts(tree)))


def _facts(tree: Any) -> dict[str, str]:
    """The words, numbers and yes or no that stand beside the tensors, outside of any container."""
    items = tree.items() if isinstance(tree, dict) else ()
    plain = {str(name): str(value) for name, value in items if isinstance(value, str | bool | int | float)}
    return {name: value for name, value in plain.items() if len(name) + len(value) < MAX_FACT}


def _unwrapped(weights: Weights) -> Weights:
    for wrapper in WRAPPERS:
        inner = weights.under(f"{wrapper}.")
        if inner:
            return inner
    return weights


def _zipped(path: Path, memory: mmap.mmap) -> tuple[Any, Callable[[str], Stored], set[str]]:
    """The value, the storages and the names of a zip file written by torch.save."""
    with zipfile.ZipFile(path) as archive:
        files = {entry.filename: entry for entry in archive.infolist()}
    root = next((name[: -len("data.pkl")] for name in files if name.endswith("data.pkl")), None)
    if root is None:
        raise BadPickle("It is a zip archive without data.pkl.")
    pickle = _placed(memory, files[f"{root}data.pkl"])
    if pickle.bytes > MAX_PICKLE:
        raise BadPickle(f"Its pickle has {pickle.bytes:,} bytes; more than {MAX_PICKLE:,} is never read.")
    order = files.get(f"{root}byteorder")
    if order is not None and _content(memory, _placed(memory, order)) != b"little":
        raise BadPickle("It was written on a big-endian machine.")
    reading = Unpickling(_content(memory, pickle))

    def stored(key: str) -> Stored:
        if f"{root}data/{key}" not in files:
            raise BadPickle(f"Its storage {key[:40]!r} is missing.")
        return _placed(memory, files[f"{root}data/{key}"])

    return reading.read(), stored, reading.names


def _placed(memory: mmap.mmap, entry: zipfile.ZipInfo) -> Stored:
    """Where an uncompressed member of a zip archive lies; its own header says how long that header is."""
    if entry.compress_type != zipfile.ZIP_STORED:
        raise BadPickle(f"Its part {entry.filename[-40:]!r} is compressed, which torch.save never does.")
    header = memory[entry.header_offset : entry.header_offset + 30]
    if header[:4] != b"PK\x03\x04":
        raise BadPickle("Its zip directory points to the wrong place.")
    start = (
        entry.header_offset
        + 30
        + int.from_bytes(header[26:28], "little")
        + int.from_bytes(header[28:30], "little")
    )
    if start + entry.file_size > len(memory):
        raise BadPickle("It is cut short.")
    return Stored(start, entry.file_size)


def _content(memory: mmap.mmap, place: Stored) -> bytes:
    return memory[place.start : place.start + place.bytes]


def _legacy(memory: mmap.mmap) -> tuple[Any, Callable[[str], Stored], set[str]]:
    """The value, the storages and the names of a file older than torch 1.6.

    Magic number, protocol, system, value and the list of storages follow each other as pickles; then each
    storage as its number of elements and the elements.
    """
    source = memory[:MAX_PICKLE]
    position, parts, names = 0, [], set[str]()
    for _ in range(5):
        reading = Unpickling(source, position)
        parts.append(reading.read())
        position, names = reading.position, names | reading.names
        if parts[0] != LEGACY_MAGIC:
            raise BadPickle("It is a pickle, but not one that torch.save wrote.")
    tree, keys = parts[3], parts[4]
    widths = {reference.value[2]: _dtype(reference.value[1]).itemsize for reference in _references(tree)}
    places: dict[str, Stored] = {}
    for key in keys:
        count = int.from_bytes(memory[position : position + 8], "little")
        places[key] = Stored(position + 8, count * widths.get(key, 1))
        position += 8 + places[key].bytes
    if position > len(memory):
        raise BadPickle("It is cut short.")
    return tree, places.__getitem__, names


def _walk(tree: Any) -> Iterator[tuple[str, Any]]:
    """Every leaf of nested dicts and lists with its dotted name, each container once and not too deep."""
    pending, seen = [("", tree, 0)], set[int]()
    while pending:
        name, value, depth = pending.pop()
        if not isinstance(value, (dict, list, tuple)):
            yield name, value
        elif id(value) not in seen and depth < MAX_DEPTH:
            seen.add(id(value))
            items = value.items() if isinstance(value, dict) else enumerate(value)
            inner = [(f"{name}.{key}" if name else str(key), item, depth + 1) for key, item in items]
            pending.extend(reversed(inner))


def _references(tree: Any) -> Iterator[Reference]:
    for _, value in _walk(tree):
        call = _rebuilding(value)
        if call is not None and isinstance(call.arguments[0], Reference):
            yield call.arguments[0]


def _rebuilding(value: Any) -> Call | None:
    """The call that rebuilds a tensor, out of the wrappers for parameters and tensor subclasses."""
    for _ in range(4):
        if not isinstance(value, Call) or not isinstance(value.arguments, tuple) or not value.arguments:
            return None
        name = str(value.function) if isinstance(value.function, Name) else ""
        if name in ("torch._utils._rebuild_tensor_v2", "torch._utils._rebuild_tensor"):
            return value
        if name == "torch._tensor._rebuild_from_type_v2" and len(value.arguments) > 2:
            value = Call(value.arguments[0], value.arguments[2])
        elif name in ("torch._utils._rebuild_parameter", "torch._utils._rebuild_parameter_with_state"):
            value = value.arguments[0]
        else:
            return None
    return None


def _entries(
    path: Path, memory: mmap.mmap, stored: Callable[[str], Stored], tree: Any
) -> Iterator[tuple[str, Entry]]:
    for name, value in _walk(tree):
        call = _rebuilding(value)
        if call is not None:
            yield name, _entry(path, memory, stored, call.arguments)


def _entry(
    path: Path, memory: mmap.mmap, stored: Callable[[str], Stored], arguments: tuple[Any, ...]
) -> Entry:
    """A tensor as the arguments of its rebuilding describe it: storage, offset, shape and strides."""
    reference, offset, shape, stride = arguments[:4]
    if (
        not isinstance(reference, Reference)
        or not _whole(offset, *shape, *stride)
        or len(shape) != len(stride)
    ):
        raise BadPickle("A tensor in it is described wrongly.")
    dtype, place = _dtype(reference.value[1]), stored(reference.value[2])
    count = place.bytes // dtype.itemsize
    last = offset + sum((size - 1) * step for size, step in zip(shape, stride, strict=True))
    if 0 not in shape and last >= count:
        raise BadPickle("A tensor in it reaches beyond its storage.")

    def read() -> Tensor:
        if 0 in shape:
            return torch.empty(shape, dtype=dtype)
        require_whole(memory, path)
        return view(memory, place.start, count, dtype).as_strided(shape, stride, offset)

    return Entry(tuple(shape), dtype, read, lambda: let_go(memory, place.start, place.start + place.bytes))


def _whole(*numbers: Any) -> bool:
    """Whether all are sensible sizes or steps."""
    return all(isinstance(number, int) and 0 <= number < 1 << 40 for number in numbers)


def _dtype(storage: Any) -> torch.dtype:
    known = isinstance(storage, Name) and storage.module == "torch" and STORAGES.get(storage.name)
    if not known:
        raise BadPickle("It stores numbers of a kind that is not supported.")
    return known
