"""Weight files as named tensors that are read only when asked for.

What a file is follows from its first bytes, never from its name. Tensors are views of the memory-mapped
file, so opening costs a header and converting costs one tensor at a time. Pickled files are read by
`diffusion.pickled`, which runs nothing.
"""

from __future__ import annotations

import mmap
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch
from torch import Tensor

from diffusion.errors import FileProblem
from diffusion.safetensors_header import Span, read_header

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
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "F32": torch.float32,
    "F64": torch.float64,
    "C64": torch.complex64,
}

FOREIGN_STARTS: Mapping[bytes, str] = {
    b"<": "This is a web page, not weights: the download was probably refused.",
    b"version https://git-lfs": "This is a Git LFS pointer, not the weights it points to.",
    b"GGUF": "This is a GGUF file, which is not supported.",
    b"7z\xbc\xaf": "This is a 7z archive; unpack it first.",
    b"\x1f\x8b": "This is a gzip archive; unpack it first.",
}


@dataclass(frozen=True, slots=True)
class Entry:
    """One tensor of a file: shape and type are known, its bytes come with `read` and go with `release`."""

    shape: tuple[int, ...]
    dtype: torch.dtype
    read: Callable[[], Tensor]
    release: Callable[[], None] = lambda: None

    @property
    def bytes(self) -> int:
        """Bytes in the file's own type."""
        return torch.Size(self.shape).numel() * self.dtype.itemsize

    def taking(self, shape: tuple[int, ...], take: Callable[[Tensor], Tensor]) -> Entry:
        """An entry made of this one: a slice, a transposition."""
        return replace(self, shape=shape, read=lambda: take(self.read()))


@dataclass(frozen=True)
class Weights(Mapping[str, Entry]):
    """Named entries of a file, in its order, with its metadata."""

    path: Path
    entries: Mapping[str, Entry]
    metadata: Mapping[str, str] = field(default_factory=dict)

    def __getitem__(self, name: str) -> Entry:
        return self.entries[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.entries)

    def __len__(self) -> int:
        return len(self.entries)

    def shape(self, name: str) -> tuple[int, ...] | None:
        """The shape of a tensor, None if there is none of that name."""
        entry = self.entries.get(name)
        return entry.shape if entry else None

    def tensor(self, name: str) -> Tensor:
        """A tensor of the file, to be read and never written."""
        return self.entries[name].read()

    def under(self, prefix: str) -> Weights:
        """The entries whose names start with a prefix, without it."""
        cut = len(prefix)
        kept = {name[cut:]: entry for name, entry in self.entries.items() if name.startswith(prefix)}
        return replace(self, entries=kept)

    def having(self, entries: Mapping[str, Entry]) -> Weights:
        """Other entries of the same file."""
        return replace(self, entries=entries)

    def __hash__(self) -> int:
        return id(self)


def open_weights(path: Path | str) -> Weights:
    """The tensors of a weight file of any supported kind. FileProblem says what is wrong with it."""
    path = Path(path)
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
        from diffusion.pickled import open_pickled

        return open_pickled(path)
    for foreign, problem in FOREIGN_STARTS.items():
        if start.lstrip().startswith(foreign):
            raise FileProblem(path, problem, "Download the real file.")
    if int.from_bytes(start[:8], "little") < path.stat().st_size or path.suffix.lower() == ".safetensors":
        return _open_safetensors(path)
    raise FileProblem(
        path, "This is neither a safetensors file nor a PyTorch checkpoint.", "Choose another file."
    )


def mapped(path: Path) -> mmap.mmap:
    """A file as memory: private, so that nothing written there could reach the disk."""
    with path.open("rb") as file:
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)


def view(memory: mmap.mmap, start: int, count: int, dtype: torch.dtype) -> Tensor:
    """`count` elements at a byte offset, as a one-dimensional view of mapped memory."""
    if count == 0:
        return torch.empty(0, dtype=dtype)
    if start % dtype.itemsize:
        return torch.frombuffer(bytearray(memory[start : start + count * dtype.itemsize]), dtype=dtype)
    return torch.frombuffer(memory, dtype=dtype, count=count, offset=start)


def let_go(memory: mmap.mmap, start: int, end: int) -> None:
    """Tells the system that a stretch of mapped memory is not needed now; it can always be read again."""
    first, last = -(-start // mmap.PAGESIZE) * mmap.PAGESIZE, end // mmap.PAGESIZE * mmap.PAGESIZE
    if hasattr(memory, "madvise") and last > first:
        memory.madvise(mmap.MADV_DONTNEED, first, last - first)


def _open_safetensors(path: Path) -> Weights:
    header = read_header(path)
    memory = mapped(path)
    entries = {name: _entry(memory, span) for name, span in header.tensors.items()}
    return Weights(path, entries, header.metadata)


def _entry(memory: mmap.mmap, span: Span) -> Entry:
    dtype = DTYPES[span.dtype]
    count = (span.end - span.start) // dtype.itemsize
    return Entry(
        span.shape,
        dtype,
        lambda: view(memory, span.start, count, dtype).view(span.shape),
        lambda: let_go(memory, span.start, span.end),
    )
