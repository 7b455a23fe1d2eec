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
from server.files import open_regular

if TYPE_CHECKING:
    from PIL.Image import Image

FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "AVIF")
"""What is decoded. Others (EPS starts a program) never are."""
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


def read_picture(file: BinaryIO, most_pixels: int) -> "Image":
    """Decode the first frame. 400 for what is no picture or too large to be decoded here."""
    from PIL import Image, UnidentifiedImageError

    try:
        picture = Image.open(file, formats=FORMATS)
        if picture.width * picture.height > most_pixels:
            raise bad_picture(f"{picture.width}×{picture.height} is more than {most_pixels} pixels")
        picture.load()
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise bad_picture(f"it has more than {most_pixels} pixels") from error
    except (
        UnidentifiedImageError,
        OSError,
        ValueError,
        SyntaxError,
        EOFError,
        MemoryError,
        OverflowError,
    ) as error:
        raise bad_picture(str(error)) from error
    return picture


def only_channel(picture: "Image", channel: str) -> "Image":
    """The picture without transparency (`rgb`), its transparency alone (`a`), or as it is."""
    from PIL import Image

    if channel == "rgb":
        return picture.convert("RGBA").convert("RGB") if has_alpha(picture) else picture.convert("RGB")
    if channel != "a":
        return picture
    alpha = (
        picture.convert("RGBA").getchannel("A") if has_alpha(picture) else Image.new("L", picture.size, 255)
    )
    alone = Image.new("RGBA", picture.size)
    alone.putalpha(alpha)
    return alone


def has_alpha(picture: "Image") -> bool:
    """Whether pixels carry transparency."""
    return picture.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in picture.info


def render(path: Path, form: Form, most_pixels: int) -> bytes:
    """Encode a stored picture in another form."""
    file, _ = open_regular(path)
    with file:
        picture = only_channel(read_picture(file, most_pixels), form.channel)
    if form.side is not None:
        picture.thumbnail((form.side, form.side))
    if form.kind == "jpeg" or picture.mode not in ("RGB", "RGBA", "L", "LA"):
        picture = picture.convert("RGBA" if has_alpha(picture) and form.kind != "jpeg" else "RGB")
    encoded = io.BytesIO()
    picture.save(encoded, form.kind, quality=form.quality)
    return encoded.getvalue()


def with_alpha_of(original: Path, mask: BinaryIO, most_pixels: int) -> bytes:
    """A PNG of the original's colours with the mask picture's alpha, keeping the original's text chunks."""
    from PIL.PngImagePlugin import PngInfo

    file, _ = open_regular(original)
    with file:
        colours = read_picture(file, most_pixels)
    alpha = read_picture(mask, most_pixels).convert("RGBA").getchannel("A")
    if alpha.size != colours.size:
        raise bad_picture(f"the mask is {alpha.size}, the picture {colours.size}")
    texts = PngInfo()
    for name, text in getattr(colours, "text", {}).items():
        texts.add_text(name, text)
    result = colours.convert("RGBA")
    result.putalpha(alpha)
    encoded = io.BytesIO()
    result.save(encoded, "PNG", pnginfo=texts, compress_level=4)
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
        key = (path, status.st_mtime_ns, status.st_size, form)
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
