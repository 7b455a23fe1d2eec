"""The header of a GGUF file, parsed strictly: its facts, and which tensor lies where.

The format is a magic word, a version, counts, key-value pairs, tensors' names with shapes, kinds and offsets,
then the bytes at aligned places (https://github.com/ggml-org/ggml/blob/master/docs/gguf.md). Shapes are
written with the fastest axis first. A header is not trusted: nothing is read beyond the file, and no list of
it is kept but short ones of numbers.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from diffusion.errors import FileProblem
from diffusion.weights.ggml import FORMATS, PLAIN

MAGIC = b"GGUF"
VERSIONS = (2, 3)
STRING, ARRAY = 8, 9
NUMBERS: Mapping[int, str] = {
    0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d",
}  # fmt: skip
MAX_TENSORS, MAX_FACTS, MAX_ITEMS, KEPT_ITEMS, MAX_DIMS = 1 << 17, 1 << 16, 1 << 22, 64, 8

Fact = int | float | bool | str | tuple[int | float | bool, ...]


@dataclass(frozen=True, slots=True)
class Block:
    """One tensor: its kind by number, shape with the slowest axis first, and bytes `start` to `end`."""

    kind: int
    shape: tuple[int, ...]
    start: int
    end: int


@dataclass(frozen=True)
class GgufHeader:
    """A file's facts and tensors by name."""

    facts: Mapping[str, Fact]
    tensors: Mapping[str, Block] = field(default_factory=dict)


class Short(Exception):
    """The file ends before its header does."""


class BadHeader(ValueError):
    """What is wrong with a header, in one sentence."""


def read_gguf_header(path: Path, memory: memoryview) -> GgufHeader:
    """The checked header of a file that lies in memory. FileProblem says what is wrong with it."""
    try:
        return _header(_Reader(memory))
    except Short:
        problem = f"It is cut short: its header does not end within its {len(memory):,} bytes."
        raise FileProblem(path, problem, "Download it again.") from None
    except (BadHeader, UnicodeDecodeError, struct.error) as error:
        raise FileProblem(path, f"This is not a sound GGUF file: {error}") from None


class _Reader:
    """Reads on from a place, never beyond the end."""

    def __init__(self, memory: memoryview) -> None:
        self.memory, self.at = memory, 0

    def bytes(self, count: int) -> bytes:
        if count > len(self.memory) - self.at:
            raise Short
        self.at += count
        return bytes(self.memory[self.at - count : self.at])

    def skip(self, count: int) -> None:
        if count > len(self.memory) - self.at:
            raise Short
        self.at += count

    def number(self, code: str) -> int:
        (value,) = struct.unpack(f"<{code}", self.bytes(struct.calcsize(f"<{code}")))
        return value  # type: ignore[no-any-return]  # floats and booleans too, where a fact is one

    def string(self) -> str:
        return self.bytes(self.number("Q")).decode()

    def fact(self, kind: int) -> Fact | None:
        """A value; None for a list that is not kept."""
        if kind == STRING:
            return self.string()
        if kind != ARRAY:
            return self.number(_code(kind))
        item, count = self.number("I"), self.number("Q")
        if count > MAX_ITEMS:
            raise BadHeader(f"A list in its header claims {count:,} items.")
        if item == STRING:
            for _ in range(count):
                self.skip(self.number("Q"))
            return None
        code = _code(item)
        if count > KEPT_ITEMS:
            self.skip(count * struct.calcsize(f"<{code}"))
            return None
        return tuple(self.number(code) for _ in range(count))


def _code(kind: int) -> str:
    if kind not in NUMBERS:
        raise BadHeader(f"A fact in its header is of the unknown type {kind}.")
    return NUMBERS[kind]


def _header(reader: _Reader) -> GgufHeader:
    if reader.bytes(4) != MAGIC:
        raise BadHeader("It does not begin as one.")
    version = reader.number("I")
    if version not in VERSIONS:
        raise BadHeader(f"It is of version {version}; those that are read are 2 and 3, little-endian.")
    count, pairs = reader.number("Q"), reader.number("Q")
    if count > MAX_TENSORS or pairs > MAX_FACTS:
        raise BadHeader(f"It claims {count:,} tensors and {pairs:,} facts.")
    facts: dict[str, Fact] = {}
    for _ in range(pairs):
        name, kind = reader.string(), reader.number("I")
        value = reader.fact(kind)
        if value is not None:
            facts[name] = value
    found: dict[str, tuple[int, tuple[int, ...], int]] = {}
    for _ in range(count):
        name = reader.string()
        if name in found:
            raise BadHeader(f"The name {name[:80]!r} comes twice.")
        dims = reader.number("I")
        if dims > MAX_DIMS:
            raise BadHeader(f"Tensor {name[:80]!r} claims {dims} axes.")
        shape = tuple(reader.number("Q") for _ in range(dims))[::-1]
        found[name] = reader.number("I"), shape, reader.number("Q")
    alignment = facts.get("general.alignment", 32)
    if not isinstance(alignment, int) or alignment <= 0 or alignment & (alignment - 1):
        raise BadHeader(f"Its alignment is {alignment}, which is no power of two.")
    base = -(-reader.at // alignment) * alignment
    size = len(reader.memory)
    return GgufHeader(facts, {name: _block(name, *each, base, size) for name, each in found.items()})


def _block(name: str, kind: int, shape: tuple[int, ...], offset: int, base: int, size: int) -> Block:
    count = math.prod(shape)
    if kind in PLAIN:
        length = count * PLAIN[kind].itemsize
    elif kind in FORMATS:
        form = FORMATS[kind]
        if not shape or shape[-1] % form.numbers:
            raise BadHeader(f"Tensor {name[:80]!r} has rows that are not whole blocks of {form.name}.")
        length = count // form.numbers * form.size
    else:
        raise BadHeader(f"Tensor {name[:80]!r} is packed in a kind that is not known here (number {kind}).")
    start = base + offset
    if start + length > size:
        missing = start + length - size
        raise BadHeader(f"It is cut short: tensor {name[:80]!r} ends {missing:,} bytes beyond it.")
    return Block(kind, shape, start, start + length)
