"""The texts inside WebP, JPEG and AVIF pictures: `keyword:text` entries of their EXIF."""

from __future__ import annotations

import struct
from collections.abc import Iterator

TIFF_STARTS = ((b"MM\0*", ">"), (b"II*\0", "<"))
ASCII = 2
MOST_BLOCKS = 8
"""How many times something that looks like EXIF is tried: picture data may look like it."""


def is_picture(data: bytes) -> bool:
    """Whether a file begins like a WebP, a JPEG or an AVIF."""
    webp = data[:4] == b"RIFF" and data[8:12] == b"WEBP"
    return webp or data[:3] == b"\xff\xd8\xff" or data[4:12] in (b"ftypavif", b"ftypavis")


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
            if kind == ASCII and length > 4:
                text = bytes(block[offset : offset + length]).rstrip(b"\0").decode("utf-8", "replace")
                keyword, colon, rest = text.partition(":")
                if colon:
                    yield keyword.lower(), rest
    except struct.error:
        return
