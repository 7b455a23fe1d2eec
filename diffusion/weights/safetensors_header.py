"""The header of a safetensors file, parsed strictly: which tensor lies where, and the file's metadata.

The format is a length (8 bytes, little-endian), that many bytes of JSON, then the tensors' bytes without gaps
(https://github.com/huggingface/safetensors). A header is not trusted: it is read one entry at a time by
regular expressions, so that neither nesting nor size can cost more than the few numbers it may hold.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from diffusion.errors import FileProblem

MAX_HEADER = 8 << 20
MAX_TENSORS = 1 << 17

ITEM_BYTES: Mapping[str, int] = {
    **dict.fromkeys(("BOOL", "U8", "I8", "F8_E4M3", "F8_E5M2", "F8_E8M0"), 1),
    **dict.fromkeys(("U16", "I16", "F16", "BF16"), 2),
    **dict.fromkeys(("U32", "I32", "F32"), 4),
    **dict.fromkeys(("U64", "I64", "F64", "C64"), 8),
}

_PLAIN = rb'[^"\\\x00-\x1f]*+'
_STRING = rb'"' + _PLAIN + rb"(?:\\." + _PLAIN + rb')*+"'
_NUMBERS = rb"\[\s*+(?:\d{1,18}\s*+(?:,\s*+\d{1,18}\s*+){0,31})?\]"
_TYPE = rb'"dtype"\s*+:\s*+' + _STRING
_FIELD = rb"(?:" + _TYPE + rb'|"(?:shape|data_offsets)"\s*+:\s*+' + _NUMBERS + rb")\s*+"
_NAME = rb'"' + _PLAIN + rb"(?:\\." + _PLAIN + rb'){0,999}+"'
_KEY = re.compile(rb"\s{0,99}+(" + _NAME + rb")\s{0,99}+:\s{0,99}+")
_ENTRY = re.compile(rb"\{\s*+" + _FIELD + rb",\s*+" + _FIELD + rb",\s*+" + _FIELD + rb"\}")
_PAIR = rb"\s*+" + _STRING + rb"\s*+:\s*+" + _STRING + rb"\s*+"
_METADATA = re.compile(rb"\{(?:" + _PAIR + rb"(?:," + _PAIR + rb")*+|\s*+)\}")
_NEXT = re.compile(rb"\s*+([,}])")


@dataclass(frozen=True, slots=True)
class Span:
    """One tensor's type, shape and place: bytes `start` to `end` of the file."""

    dtype: str
    shape: tuple[int, ...]
    start: int
    end: int


@dataclass(frozen=True)
class Header:
    """A file's tensors by name, and its metadata."""

    tensors: Mapping[str, Span]
    metadata: Mapping[str, str]


class BadHeader(ValueError):
    """What is wrong with a header, in one sentence."""


def read_header(path: Path) -> Header:
    """The checked header of a file. FileProblem says what is wrong with it."""
    try:
        with path.open("rb") as file:
            return _header(file, path.stat().st_size)
    except (BadHeader, UnicodeDecodeError) as error:
        raise FileProblem(path, f"This is not a sound safetensors file: {error}") from None


def _header(file: BinaryIO, file_size: int) -> Header:
    start = file.read(8)
    size = int.from_bytes(start, "little")
    if len(start) < 8 or size < 2:
        raise BadHeader("It is too short to have a header.")
    if size > MAX_HEADER:
        raise BadHeader(f"Its header claims {size:,} bytes; more than {MAX_HEADER:,} is never read.")
    if 8 + size > file_size:
        raise BadHeader(f"Its header claims {size:,} bytes but the file has {file_size:,}: it is cut short.")
    tensors, metadata = _parse(file.read(size))
    shifted = {name: _checked(name, span, 8 + size) for name, span in tensors.items()}
    _require_seamless(shifted, 8 + size, file_size)
    return Header(shifted, metadata)


def _parse(text: bytes) -> tuple[dict[str, Span], dict[str, str]]:
    """Entries one by one; a name that comes twice is an error."""
    tensors: dict[str, Span] = {}
    metadata: dict[str, str] | None = None
    if text[:1] != b"{":
        raise BadHeader("Its header is not a JSON object.")
    position, more = 1, text[1:].strip(b" ") != b"}"
    while more:
        key = _match(_KEY, text, position)
        name = _loaded(key[1])
        if name in tensors or (name == "__metadata__" and metadata is not None):
            raise BadHeader(f"The name {name[:80]!r} comes twice.")
        body = _match(_METADATA if name == "__metadata__" else _ENTRY, text, key.end())
        if name == "__metadata__":
            metadata = json.loads(body[0])
        else:
            tensors[name] = _span(name, body[0])
        if len(tensors) > MAX_TENSORS:
            raise BadHeader(f"It has more than {MAX_TENSORS:,} tensors.")
        end = _match(_NEXT, text, body.end())
        position, more = end.end(), end[1] == b","
    if position > 1 and text[position:].strip(b" \n"):
        raise BadHeader("Something follows the end of its header.")
    return tensors, metadata or {}


def _match(pattern: re.Pattern[bytes], text: bytes, position: int) -> re.Match[bytes]:
    found = pattern.match(text, position)
    if found is None:
        raise BadHeader(f"Its header does not follow the format at byte {position:,}.")
    return found


def _loaded(text: bytes) -> str:
    try:
        return str(json.loads(text))
    except json.JSONDecodeError:
        raise BadHeader("A name in its header is not valid JSON.") from None


def _span(name: str, text: bytes) -> Span:
    fields = json.loads(text)
    try:
        dtype, shape, (start, end) = fields["dtype"], tuple(fields["shape"]), fields["data_offsets"]
    except (KeyError, ValueError):
        raise BadHeader(f"Tensor {name[:80]!r} lacks its type, shape or offsets.") from None
    if dtype not in ITEM_BYTES:
        raise BadHeader(f"Tensor {name[:80]!r} has the unknown type {dtype!r:.40}.")
    return Span(dtype, shape, start, end)


def _checked(name: str, span: Span, base: int) -> Span:
    """A span with offsets counted from the start of the file, once its size fits its shape."""
    if span.start > span.end:
        raise BadHeader(f"Tensor {name[:80]!r} ends before it starts.")
    if math.prod(span.shape) * ITEM_BYTES[span.dtype] != span.end - span.start:
        raise BadHeader(f"Tensor {name[:80]!r} has {span.end - span.start:,} bytes, which is not its shape.")
    return Span(span.dtype, span.shape, base + span.start, base + span.end)


def _require_seamless(tensors: Mapping[str, Span], base: int, file_size: int) -> None:
    """Every byte belongs to one tensor: nothing overlaps, hides between or follows."""
    position = base
    for name, span in sorted(tensors.items(), key=lambda item: (item[1].start, item[1].end)):
        if span.end > file_size:
            raise BadHeader(f"Tensor {name[:80]!r} ends beyond the file: it is cut short.")
        if span.start != position:
            problem = "overlaps another" if span.start < position else "leaves a gap before it"
            raise BadHeader(f"Tensor {name[:80]!r} {problem}.")
        position = span.end
    if position != file_size:
        raise BadHeader(f"It has {file_size - position:,} bytes beyond its last tensor.")
