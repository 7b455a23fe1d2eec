"""Texts inside pictures, by keyword: chunks of a PNG, `keyword:text` entries in EXIF of WebP, JPEG, AVIF.

Any keyword and any text can be written. What a format has no room for is mended, or left out and named.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator, Mapping

from PIL.PngImagePlugin import PngInfo

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
LONGEST_TEXT = 64 * 2**20
"""Bytes that the packed texts of a picture may have unpacked; more is taken for an attack."""
LONGEST_KEYWORD = 79
"""Bytes of a PNG's keyword (PNG specification, 11.3.4.2)."""
EXIF_PROMPT, EXIF_OTHERS = 0x0110, 0x010F  # camera model, and maker and the tags below it, hold `key:text`
MOST_ENTRIES = 0x0100
"""Entries of an EXIF block: tags from the maker's downwards, and the model's."""
JPEG_EXIF_LIMIT = 65_500  # of the 65,533 bytes that a JPEG segment can hold
TIFF_STARTS = ((b"MM\0*", ">"), (b"II*\0", "<"))
ASCII = 2
MOST_BLOCKS = 8
"""How many times something that looks like EXIF is tried: picture data may look like it."""


def whole(text: str) -> str:
    """A text that UTF-8 can hold: halves of letters become question marks, zeros are left out."""
    return text.encode("utf-8", "replace").decode("utf-8").replace("\0", "")


# --- writing ---


def png_chunks(texts: Mapping[str, str]) -> PngInfo:
    """`texts` as text chunks of a PNG. A keyword that does not fit stands as the translated one.

    Keywords are 1 to 79 bytes of Latin-1; an international chunk has a second one in UTF-8, of any length.
    """
    chunks = PngInfo()
    for key, text in texts.items():
        key, text = whole(key), whole(text)
        if _latin(key) == key:
            chunks.add_text(key, text)
        else:
            chunks.add_itxt(_latin(key), text, tkey=key)
    return chunks


def own_keyword(keyword: str, translated: str) -> str:
    """The keyword meant: the translated one where the other is but its stand-in."""
    return translated if translated and _latin(translated) == keyword else keyword


def _latin(key: str) -> str:
    """A keyword's stand-in that PNG allows."""
    latin = key.encode("latin-1", "replace").decode("latin-1").strip(" ")[:LONGEST_KEYWORD].strip(" ")
    return latin or "text"


def exif_block(texts: Mapping[str, str], limit: int | None = None) -> tuple[bytes, list[str]]:
    """`texts` as an EXIF block, and the keys left out because the block would grow beyond `limit` bytes.

    Entries are UTF-8, as widely read. A colon ends the keyword, so one inside it becomes `_`.
    """
    entries: dict[int, bytes] = {}
    left_out: list[str] = []
    size, tag = 100, EXIF_OTHERS
    for key, text in texts.items():
        entry = f"{whole(key).replace(':', '_')}:{whole(text)}".encode() + b"\0"
        size += len(entry) + 16
        if (limit is not None and size > limit) or len(entries) >= MOST_ENTRIES:
            left_out.append(key)
            size -= len(entry) + 16
        elif key == "prompt":
            entries[EXIF_PROMPT] = entry
        else:
            entries[tag] = entry
            tag -= 1
    return (_tiff(entries) if entries else b""), left_out


def _tiff(entries: Mapping[int, bytes]) -> bytes:
    """EXIF with one directory of texts by tag, which stand behind it (TIFF 6.0, section 2)."""
    count = len(entries)
    rows, bodies = b"", b""
    start = 8 + 2 + 12 * count + 4
    for tag, body in sorted(entries.items()):
        inside = body.ljust(4, b"\0") if len(body) <= 4 else struct.pack(">I", start + len(bodies))
        rows += struct.pack(">HHI", tag, ASCII, len(body)) + inside
        if len(body) > 4:
            bodies += body + b"\0" * (len(body) % 2)
    return b"Exif\0\0MM\0*" + struct.pack(">IH", 8, count) + rows + struct.pack(">I", 0) + bodies


# --- reading ---


def is_picture(data: bytes) -> bool:
    """Whether a file begins like a WebP, a JPEG or an AVIF."""
    webp = data[:4] == b"RIFF" and data[8:12] == b"WEBP"
    return webp or data[:3] == b"\xff\xd8\xff" or data[4:12] in (b"ftypavif", b"ftypavis")


def png_texts(data: bytes) -> dict[str, str]:
    """The text chunks of a PNG by keyword. A damaged rest is passed over."""
    texts: dict[str, str] = {}
    room = LONGEST_TEXT
    position = len(PNG_SIGNATURE)
    while position + 8 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, position)
        body = data[position + 8 : position + 8 + length]
        position += length + 12
        keyword, _, rest = body.partition(b"\0")
        if kind == b"tEXt":
            texts[keyword.decode("latin-1")] = _utf8(rest)
        elif kind == b"zTXt" and rest:
            text = _inflated(rest[1:], room)
            room -= len(text)
            texts[keyword.decode("latin-1")] = _utf8(text)
        elif kind == b"iTXt" and len(rest) > 2:
            parts = [*rest[2:].split(b"\0", 2), b"", b""]
            text = _inflated(parts[2], room) if rest[0] else parts[2]
            room -= len(text) if rest[0] else 0
            key = own_keyword(keyword.decode("latin-1"), parts[1].decode("utf-8", "replace"))
            texts[key] = text.decode("utf-8", "replace")
    return texts


def _utf8(text: bytes) -> str:
    """A text of Latin-1 by the specification, of UTF-8 by many writers."""
    try:
        return text.decode("utf-8")
    except UnicodeDecodeError:
        return text.decode("latin-1")


def _inflated(packed: bytes, room: int) -> bytes:
    """An unpacked text, cut at `room` bytes; nothing of a damaged one."""
    try:
        return zlib.decompressobj().decompress(packed, room) if room > 0 else b""
    except zlib.error:
        return b""


def exif_texts(data: bytes) -> dict[str, str]:
    """The texts of a picture by keyword, in lower case; none where it has no EXIF."""
    for mark, order in TIFF_STARTS:
        start = data.find(mark)
        for _ in range(MOST_BLOCKS):
            if start < 0:
                break
            found = dict(_entries(memoryview(data)[start:], order))
            if found:
                return found
            start = data.find(mark, start + 1)
    return {}


def _entries(block: memoryview, order: str) -> Iterator[tuple[str, str]]:
    """Keyword and text of each entry of the first directory of a TIFF block."""
    try:
        (directory,) = struct.unpack_from(order + "I", block, 4)
        (count,) = struct.unpack_from(order + "H", block, directory)
        for index in range(count):
            at = directory + 2 + 12 * index
            _, kind, length, offset = struct.unpack_from(order + "HHII", block, at)
            if kind == ASCII:
                start = offset if length > 4 else at + 8
                text = bytes(block[start : start + length]).rstrip(b"\0").decode("utf-8", "replace")
                keyword, colon, rest = text.partition(":")
                if colon:
                    yield keyword.lower(), rest
    except struct.error:
        return
