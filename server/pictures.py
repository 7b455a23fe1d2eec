"""Previews and single channels of stored pictures. Sizes are checked before a pixel is decoded; work happens
in threads.
"""

import asyncio
import io
import json
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from server.answers import refusal
from server.files import open_regular, state_of

if TYPE_CHECKING:
    from PIL.Image import Image

CACHE_BYTES = 32 * 2**20
AT_ONCE = 2
QUALITY = 90


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


def read_picture(file: BinaryIO, most_pixels: int) -> "tuple[Image, dict[str, str]]":
    """The first frame, upright and in 8 bits, and the file's texts. 400 for what cannot be decoded here."""
    from pictures import decoding

    try:
        with decoding.opened(file, "the picture", most_pixels) as picture:
            shown = decoding.in_bytes(next(decoding.frames(picture)))
            found: dict[str, str] = getattr(picture, "text", None) or {}
            return shown, {getattr(text, "tkey", None) or key: str(text) for key, text in found.items()}
    except decoding.BadPicture as error:
        raise bad_picture(str(error)) from error


def only_channel(picture: "Image", channel: str) -> "Image":
    """The picture (RGB or RGBA) without transparency (`rgb`), its transparency alone (`a`), or as it is."""
    from PIL import Image

    if channel == "rgb":
        return picture.convert("RGB")
    if channel != "a":
        return picture
    alone = Image.new("RGBA", picture.size)
    alone.putalpha(picture.convert("RGBA").getchannel("A"))
    return alone


def render(path: Path, form: Form, most_pixels: int) -> bytes:
    """Encode a stored picture in another form."""
    file, _ = open_regular(path)
    with file:
        picture = only_channel(read_picture(file, most_pixels)[0], form.channel)
    if form.side is not None:
        picture.thumbnail((form.side, form.side))
    if form.kind == "jpeg":
        picture = picture.convert("RGB")
    encoded = io.BytesIO()
    picture.save(encoded, form.kind, quality=form.quality)
    return encoded.getvalue()


def with_alpha_of(original: Path, mask: BinaryIO, most_pixels: int) -> bytes:
    """A PNG of the original's colours with the mask picture's alpha, keeping the original's texts.

    Both are upright, as they are seen and as they are loaded.
    """
    from pictures.texts import png_chunks

    file, _ = open_regular(original)
    with file:
        colours, texts = read_picture(file, most_pixels)
    alpha = read_picture(mask, most_pixels)[0].convert("RGBA").getchannel("A")
    if alpha.size != colours.size:
        (width, height), (wide, high) = alpha.size, colours.size
        raise bad_picture(f"the mask has {width}×{height} pixels, the picture (seen upright) {wide}×{high}")
    colours.putalpha(alpha)
    encoded = io.BytesIO()
    colours.save(encoded, "PNG", pnginfo=png_chunks(texts), compress_level=4)
    return encoded.getvalue()


class Pictures:
    """Renders in threads, a few at once, and remembers what was asked for last."""

    def __init__(self, most_pixels: int) -> None:
        self._most_pixels = most_pixels
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
            encoded = await asyncio.to_thread(render, path, form, self._most_pixels)
        self._keep(key, encoded)
        return encoded

    async def masked(self, original: Path, mask: BinaryIO) -> bytes:
        """See `with_alpha_of`."""
        async with self._turns:
            return await asyncio.to_thread(with_alpha_of, original, mask, self._most_pixels)

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
