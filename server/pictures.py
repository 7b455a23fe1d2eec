"""Previews and single channels of stored pictures. Sizes are checked before a pixel is decoded; work happens
in threads.
"""

import asyncio
import io
import json
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from server.answers import refusal
from server.files import open_regular, state_of

if TYPE_CHECKING:
    from PIL.Image import Image

    from pictures.budget import Budget

CACHE_BYTES = 32 * 2**20
AT_ONCE = 2
QUALITY = 90
TRIMMED = 64 * 2**20
"""After so many bytes of pictures their memory is given back to the system at once."""


@dataclass(frozen=True)
class Form:
    """How a picture is wanted: `kind` webp, jpeg or png; `channel` rgba, rgb or a; `side` bounds the longer
    side.
    """

    kind: str
    quality: int = QUALITY
    channel: str = "rgba"
    side: int | None = None

    @property
    def type(self) -> str:
        return f"image/{self.kind}"


def preview_form(preview: str, channel: str, size: str) -> Form:
    """The form that `?preview=webp;90&channel=rgb&size=256` asks for. Odd values fall back to what is
    safe.
    """
    kind, _, quality = preview.partition(";")
    kind = {"jpg": "jpeg"}.get(kind.lower(), kind.lower())
    if (not preview and not size) or channel == "a":
        kind = "png"
    elif kind not in ("webp", "jpeg"):
        kind = "webp"
    side = max(1, min(int(size), 4096)) if size.isascii() and size.isdigit() and len(size) < 8 else None
    good = quality.isascii() and quality.isdigit() and len(quality) < 8
    return Form(kind, max(1, min(int(quality), 100)) if good else QUALITY, channel, side)


def bad_picture(why: str) -> Exception:
    """The 400 for what cannot be read as a picture."""
    return refusal(400, "bad_picture", "The file cannot be read as a picture.", why[:200])


@contextmanager
def opened(file: BinaryIO) -> "Iterator[Image]":
    """An open picture, of which only the header has been read. 400 for what cannot be decoded here."""
    from pictures import decoding
    from pictures.budget import OverBudget

    try:
        with decoding.opened(file, "the picture") as picture:
            yield picture
    except OverBudget as error:
        raise refusal(400, "too_large", "The picture is too large to be decoded here.", str(error)) from error
    except decoding.BadPicture as error:
        raise bad_picture(str(error)) from error


def first_frame(picture: "Image") -> "Image":
    """The first frame, upright."""
    from pictures import decoding

    return next(decoding.frames(picture))


def only_channel(picture: "Image", channel: str) -> "Image":
    """The picture (RGB or RGBA) without transparency (`rgb`), its transparency alone (`a`), or as it is."""
    from PIL import Image

    from pictures.decoding import alpha, as_mode

    if channel == "rgb":
        return as_mode(picture, "RGB")
    if channel != "a":
        return picture
    alone = Image.new("RGBA", picture.size)
    alone.putalpha(alpha(picture))
    return alone


ENCODING = {"webp": 28, "jpeg": 4, "png": 4}
"""Bytes of a pixel that conversions and encoders hold beside what was decoded."""
FULL_PREVIEW_SIDE = 3072
"""The longer side of a preview of a picture that is too large to be encoded in full."""


def render(path: Path, form: Form, most: int) -> bytes:
    """Encode a stored picture in another form, holding at most `most` bytes decoded."""
    from pictures.budget import Budget, trim
    from pictures.decoding import as_mode

    budget = Budget(most, most)
    file, _ = open_regular(path)
    with file:
        shown = shown_in(file, form, budget)
    large = budget.taken > TRIMMED
    if large:
        trim()
    if form.kind == "jpeg":
        shown = as_mode(shown, "RGB")
    encoded = io.BytesIO()
    shown.save(encoded, form.kind, quality=form.quality)
    if large:
        del shown
        trim()
    return encoded.getvalue()


def shown_in(file: BinaryIO, form: Form, budget: "Budget") -> "Image":
    """The first frame as it is wanted, RGB or RGBA; a preview of a very large picture becomes smaller."""
    from pictures.decoding import in_bytes, reduced

    with opened(file) as picture:
        whole = each_of(picture) + ENCODING[form.kind]
        side, wide, high = form.side, *picture.size
        if side is None and form.channel == "rgba" and wide * high * whole > budget.picture:
            side = FULL_PREVIEW_SIDE
        budget.take("the picture", wide, high, whole if side is None else each_of(picture))
        if side is None:
            return only_channel(in_bytes(first_frame(picture)), form.channel)
        picture.draft(None, (side, side))
        small = reduced(in_bytes(reduced(first_frame(picture), side)), side)
    small = only_channel(small, form.channel)
    small.thumbnail((side, side))
    return small


def each_of(picture: "Image") -> int:
    """Bytes of a pixel that an open picture takes until it is upright and in bytes."""
    from pictures.budget import IN_BYTES
    from pictures.decoding import weight

    turned = IN_BYTES if "exif" in picture.info or picture.format == "TIFF" else 0
    converted = IN_BYTES if picture.mode not in ("L", "RGB", "RGBA") else 0
    return weight(picture) + turned + converted


def with_alpha_of(original: Path, mask: BinaryIO, most: int) -> bytes:
    """A PNG of the original's colours with the mask picture's alpha, keeping the original's texts.

    Both are upright, as they are seen and as they are loaded, and take at most `most` bytes together.
    """
    from pictures.budget import IN_BYTES, Budget, trim
    from pictures.decoding import alpha, in_bytes
    from pictures.texts import png_chunks

    budget = Budget(most, most)
    file, _ = open_regular(original)
    with file, opened(file) as picture:
        budget.take("the picture", *picture.size, each_of(picture) + IN_BYTES)
        with opened(mask) as covering:
            budget.take("the mask", *covering.size, each_of(covering) + 1)
            opacity = alpha(first_frame(covering))
        del covering
        texts = texts_of(picture)
        colours = in_bytes(first_frame(picture))
    if opacity.size != colours.size:
        (width, height), (wide, high) = opacity.size, colours.size
        raise bad_picture(f"the mask has {width}×{height} pixels, the picture (seen upright) {wide}×{high}")
    colours.putalpha(opacity)
    encoded = io.BytesIO()
    colours.save(encoded, "PNG", pnginfo=png_chunks(texts), compress_level=4)
    if budget.taken > TRIMMED:
        del colours, picture, opacity
        trim()
    return encoded.getvalue()


def texts_of(picture: "Image") -> dict[str, str]:
    """The texts of an open picture, by keyword: chunks of a PNG, entries of another one's EXIF."""
    from pictures.texts import exif_texts, own_keyword

    found: dict[str, str] = getattr(picture, "text", None) or exif_texts(picture.info.get("exif", b""))
    return {own_keyword(key, getattr(text, "tkey", None) or ""): str(text) for key, text in found.items()}


class Pictures:
    """Renders in threads, a few at once, and remembers what was asked for last."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._turns = asyncio.Semaphore(AT_ONCE)
        self._kept: OrderedDict[tuple[Any, ...], bytes] = OrderedDict()
        self._size = 0

    async def rendered(self, path: Path, form: Form) -> bytes:
        """The stored picture in another form."""
        file, status = await asyncio.to_thread(open_regular, path)
        file.close()
        key = (path, state_of(status), form)
        if key in self._kept:
            self._kept.move_to_end(key)
            return self._kept[key]
        async with self._turns:
            encoded = await asyncio.to_thread(render, path, form, self._most)
        self._keep(key, encoded)
        return encoded

    async def masked(self, original: Path, mask: BinaryIO) -> bytes:
        """See `with_alpha_of`."""
        async with self._turns:
            return await asyncio.to_thread(with_alpha_of, original, mask, self._most)

    def _keep(self, key: tuple[Any, ...], encoded: bytes) -> None:
        if key not in self._kept:
            self._kept[key] = encoded
            self._size += len(encoded)
        while self._size > CACHE_BYTES:
            _, dropped = self._kept.popitem(last=False)
            self._size -= len(dropped)


MOST_HEADER = 8 * 2**20


def safetensors_metadata(path: Path) -> dict[str, Any] | None:
    """The `__metadata__` of a safetensors file, read from its header alone; None when there is none or it is
    broken.
    """
    file, status = open_regular(path)
    with file:
        length = int.from_bytes(file.read(8), "little")
        if not 2 <= length <= min(MOST_HEADER, status.st_size - 8):
            return None
        try:
            header = json.loads(file.read(length))
        except (ValueError, RecursionError):
            return None
    found = header.get("__metadata__") if isinstance(header, dict) else None
    return found if isinstance(found, dict) and found else None
