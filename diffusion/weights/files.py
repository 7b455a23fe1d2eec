"""Weight files as named tensors that are read only when asked for.

What a file is follows from its first bytes, never from its name. Tensors are views of the memory-mapped
file, so opening costs a header and converting costs one tensor at a time. Pickled files are read by
`diffusion.weights.pickled`, which runs nothing.
"""

from __future__ import annotations

import mmap
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from diffusion.errors import FileProblem
from diffusion.weights.entries import Entry, Weights, let_go, mapped, require_whole, view
from diffusion.weights.gguf_file import open_gguf
from diffusion.weights.gguf_header import MAGIC
from diffusion.weights.pickled import open_pickled
from diffusion.weights.safetensors_header import Span, read_header
from diffusion.weights.scaled import with_scales_applied
from diffusion.weights.shards import put_together, shards_of

__all__ = ["Entry", "Weights", "identity", "open_weights"]

DTYPES: Mapping[str, torch.dtype] = {
    "BOOL": torch.bool,
    "U8": torch.uint8,
    "I8": torch.int8,
    "U16": torch.uint16,
    "I16": torch.int16,
    "U32": torch.uint32,
    "I32": torch.int32,
    "U64": torch.uint64,
    "I64": torch.int64,
    "F8_E4M3": torch.float8_e4m3fn,
    "F8_E5M2": torch.float8_e5m2,
    "F8_E8M0": torch.float8_e8m0fnu,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "F32": torch.float32,
    "F64": torch.float64,
    "C64": torch.complex64,
}

FOREIGN_STARTS: Mapping[bytes, str] = {
    b"<": "This is a web page, not weights: the download was probably refused.",
    b"version https://git-lfs": "This is a Git LFS pointer, not the weights it points to.",
    b"7z\xbc\xaf": "This is a 7z archive; unpack it first.",
    b"\x1f\x8b": "This is a gzip archive; unpack it first.",
}


def identity(weights: Weights, part: str) -> tuple[Any, ...]:
    """Which files tensors are from, in which state (times, size, place on the disk), and a part of them."""
    found = [each.stat() for each in shards_of(weights.path)]
    state = tuple((each.st_mtime_ns, each.st_ctime_ns, each.st_size, each.st_ino) for each in found)
    return (str(weights.path.resolve()), state, part)


def open_weights(path: Path | str) -> Weights:
    """The tensors of a weight file of any supported kind. FileProblem says what is wrong with it.

    One of several files of a model stands for all of them; a packed weight is one entry of its own shape.
    """
    parts = [_open_one(each) for each in shards_of(Path(path))]
    return with_scales_applied(parts[0] if len(parts) == 1 else put_together(parts))


def _open_one(path: Path) -> Weights:
    try:
        with path.open("rb") as file:
            start = file.read(64)
    except OSError as error:
        raise FileProblem(
            path, f"The file cannot be read ({error.strerror}).", "Check its path and rights."
        ) from None
    if start[8:9] == b"{":
        return _open_safetensors(path)
    if start[:4] == b"PK\x03\x04" or start[:1] == b"\x80":
        return open_pickled(path)
    if start[:4] == MAGIC:
        return open_gguf(path)
    for foreign, problem in FOREIGN_STARTS.items():
        if start.lstrip().startswith(foreign):
            raise FileProblem(path, problem, "Download the real file.")
    if int.from_bytes(start[:8], "little") < path.stat().st_size or path.suffix.lower() == ".safetensors":
        return _open_safetensors(path)
    raise FileProblem(
        path,
        "This is neither a safetensors nor a GGUF file nor a PyTorch checkpoint.",
        "Choose another file.",
    )


def _open_safetensors(path: Path) -> Weights:
    header = read_header(path)
    memory = mapped(path)
    entries = {name: _entry(path, memory, span) for name, span in header.tensors.items()}
    return Weights(path, entries, header.metadata)


def _entry(path: Path, memory: mmap.mmap, span: Span) -> Entry:
    dtype = DTYPES[span.dtype]
    count = (span.end - span.start) // dtype.itemsize

    def read() -> Tensor:
        require_whole(memory, path)
        return view(memory, span.start, count, dtype).view(span.shape)

    return Entry(span.shape, dtype, read, lambda: let_go(memory, span.start, span.end))
