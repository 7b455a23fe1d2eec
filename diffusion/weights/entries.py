"""Named tensors of a file that are read only when asked for, as views of the memory-mapped file."""

from __future__ import annotations

import mmap
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch
from torch import Tensor

from diffusion.errors import FileProblem


@dataclass(frozen=True, slots=True)
class Entry:
    """One tensor of a file: shape and type are known, its bytes come with `read` and go with `release`.

    A packed weight has the shape of the weight and a floating type; `read` gives a `Quantised`. `packed` is
    how many bytes that takes in memory (0: it is a plain tensor), `parts` what a file holds in its place, by
    what is written behind its layer's name.
    """

    shape: tuple[int, ...]
    dtype: torch.dtype
    read: Callable[[], Tensor]
    release: Callable[[], None] = lambda: None
    packed: int = 0
    parts: Mapping[str, Entry] | None = None

    @property
    def bytes(self) -> int:
        """Bytes as a plain tensor of its own type."""
        return torch.Size(self.shape).numel() * self.dtype.itemsize

    def taking(self, shape: tuple[int, ...], take: Callable[[Tensor], Tensor]) -> Entry:
        """An entry made of this one: a slice, a transposition. Rows of a packed weight stay packed."""
        share = torch.Size(shape).numel() / max(torch.Size(self.shape).numel(), 1)
        packed = round(self.packed * share)
        return replace(self, shape=shape, read=lambda: take(self.read()), packed=packed, parts=None)

    def rows(self, start: int, stop: int) -> Entry:
        """Its rows from `start` up to `stop`."""
        return self.taking((stop - start, *self.shape[1:]), lambda t: t[start:stop])


def joined(entries: Sequence[Entry]) -> Entry:
    """Entries one below the other; packed ones stay packed."""
    first = entries[0]

    def read() -> Tensor:
        return torch.cat([entry.read() for entry in entries])

    def release() -> None:
        for entry in entries:
            entry.release()

    rows = sum(entry.shape[0] for entry in entries)
    packed = sum(entry.packed for entry in entries) if all(entry.packed for entry in entries) else 0
    return Stacked((rows, *first.shape[1:]), first.dtype, read, release, packed, stack=tuple(entries))


@dataclass(frozen=True, slots=True)
class Stacked(Entry):
    """Entries one below the other; where one of them is cut out again, it is given as it is."""

    stack: tuple[Entry, ...] = ()

    def taking(self, shape: tuple[int, ...], take: Callable[[Tensor], Tensor]) -> Entry:
        """An entry made of all of them."""
        whole = Entry(self.shape, self.dtype, self.read, self.release, self.packed)
        return whole.taking(shape, take)

    def rows(self, start: int, stop: int) -> Entry:
        """Its rows from `start` up to `stop`."""
        begins = 0
        for entry in self.stack:
            if (start, stop) == (begins, begins + entry.shape[0]):
                return entry
            begins += entry.shape[0]
        return self.taking((stop - start, *self.shape[1:]), lambda t: t[start:stop])


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


def mapped(path: Path) -> mmap.mmap:
    """A file as memory: private, so that nothing written there could reach the disk."""
    with path.open("rb") as file:
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)


def require_whole(memory: mmap.mmap, path: Path) -> None:
    """FileProblem if a mapped file has been cut since: reading beyond its end would kill the process."""
    if memory.size() < len(memory):
        problem = "It was changed while it was in use."
        raise FileProblem(
            path, problem, "Load it again, and replace files by renaming rather than overwriting."
        )


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
