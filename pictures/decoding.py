"""Reading pictures from files, one way for loaders, previews and masks.

Turned upright by EXIF; grey of 16 bits and of floats, Lab, CMYK and palettes become red, green and blue;
pages and frames come one by one. What PIL may open is listed here, for some of its readers start programs.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image as PIL
from PIL import ImageCms, ImageOps, ImageSequence, UnidentifiedImageError

from pictures.budget import A_PICTURE, IN_BYTES, OverBudget, megabytes

FORMATS = (
    *("PNG", "JPEG", "WEBP", "GIF", "BMP", "DIB", "TIFF", "AVIF", "JPEG2000"),
    *("PPM", "TGA", "ICO", "PCX", "QOI", "DDS", "PSD", "SGI"),
)
"""What is decoded. Others (EPS starts a program) never are."""
SEQUENCES = frozenset({"PNG", "WEBP", "GIF", "TIFF", "AVIF"})
"""Formats whose further pictures are frames or pages. A photograph's may be views, a PSD's are layers."""
SIXTEEN_BITS, THIRTY_TWO_BITS = 2**16 - 1, 2**32 - 1
ORIENTATION = 0x0112
"""EXIF's tag for how a picture is to be turned; 1 is upright."""
STRIP_PIXELS = 2**20
DEEP_GREY = 36
"""Bytes of a pixel that passing from grey of many bits to three floats takes on the way."""
CANVASES = 8
"""Bytes of a pixel of the canvases on which WebP's and AVIF's decoders lay frames over one another."""
REDUCED = frozenset({"L", "RGB", "RGBA", "LA", "CMYK", "YCbCr"})
"""Modes whose values can be averaged; a palette's cannot."""
MULTIPLIED = MappingProxyType({"La": "LA", "RGBa": "RGBA"})
"""Modes whose colours are multiplied by their opacity, and those without."""
Pixels = NDArray[np.float32]


class BadPicture(ValueError):
    """A file that is no picture, or is damaged."""


@contextmanager
def opened(source: Path | BinaryIO, name: str) -> Iterator[PIL.Image]:
    """The picture in a file, whose header alone has been read; `Budget.take` what is to be decoded of it.

    Raises:
        BadPicture: it is none, or is damaged (also found while reading).
        OverBudget: it has more pixels than PIL opens at all.
    """
    try:
        with PIL.open(source, formats=FORMATS) as picture:
            yield picture
    except UnidentifiedImageError as error:
        raise BadPicture(f"'{name}' is not a picture that can be read; save it as PNG") from error
    except (PIL.DecompressionBombError, PIL.DecompressionBombWarning) as error:
        most = f"decoded, one picture may take {megabytes(A_PICTURE)}"
        raise OverBudget(f"'{name}' has too many pixels: {most}; make it smaller") from error
    except (BadPicture, OverBudget):
        raise
    except (OSError, SyntaxError, EOFError, ValueError, OverflowError, MemoryError) as error:
        raise BadPicture(f"'{name}' cannot be read: {error}; save it again as PNG") from error


def frame_count(picture: PIL.Image) -> int:
    """How many pictures of a file are frames or pages."""
    return int(getattr(picture, "n_frames", 1)) if picture.format in SEQUENCES else 1


def frames(picture: PIL.Image) -> Iterator[PIL.Image]:
    """The frames or pages of an open picture, each upright, and good until the next is asked for."""
    if picture.format not in SEQUENCES:
        yield upright(picture)
        return
    for frame in ImageSequence.Iterator(picture):
        yield upright(frame)


def upright(picture: PIL.Image) -> PIL.Image:
    """A picture turned as its EXIF says; itself if it is upright. Loading comes first: it turns a TIFF by
    itself.
    """
    picture.load()
    turned = picture.getexif().get(ORIENTATION, 1) != 1
    return ImageOps.exif_transpose(picture) if turned else picture


def colours(picture: PIL.Image) -> Pixels:
    """Red, green and blue, H×W×3, 0…1; grey of 16 or 32 bits keeps them all."""
    grey = _deep_grey(picture)
    if grey is not None:
        return np.repeat(grey[..., None], 3, axis=-1)
    return np.asarray(_plain(picture).convert("RGB")).astype(np.float32) / 255.0


def fill(picture: PIL.Image, into: Pixels) -> None:
    """Write the `colours` of a picture into an array H×W×3, in strips, so that little is held beside it."""
    if _deep_grey_mode(picture):
        into[:] = colours(picture)
        return
    rows = max(1, STRIP_PIXELS // picture.width)
    for top in range(0, picture.height, rows):
        strip = picture.crop((0, top, picture.width, min(top + rows, picture.height)))
        np.divide(np.asarray(as_mode(_plain(strip), "RGB")), np.float32(255.0), out=into[top : top + rows])


def reduced(picture: PIL.Image, side: int) -> PIL.Image:
    """A picture made smaller by a whole number, its longer side still `side` or more; itself if it has to be.

    In strips, so that little is held beside it.
    """
    factor = max(picture.size) // side
    if factor < 2 or picture.mode not in REDUCED:
        return picture
    width, height = (-(-each // factor) for each in picture.size)
    small = PIL.new(picture.mode, (width, height))
    rows = max(1, STRIP_PIXELS // picture.width // factor)
    for top in range(0, height, rows):
        box = (0, top * factor, picture.width, min((top + rows) * factor, picture.height))
        small.paste(picture.crop(box).reduce(factor), (0, top))
    return small


def alpha(picture: PIL.Image) -> PIL.Image:
    """How opaque the pixels of an upright picture are, in 8 bits; 255 where it knows no transparency."""
    if picture.mode in ("RGBA", "LA"):
        return picture.getchannel("A")
    if not has_transparency(picture):
        return PIL.new("L", picture.size, 255)
    return as_mode(in_bytes(picture), "RGBA").getchannel("A")


def weight(picture: PIL.Image) -> int:
    """Bytes of a pixel that decoding holds beside the result."""
    deep = DEEP_GREY if _deep_grey_mode(picture) else 0
    return IN_BYTES + deep + (CANVASES if picture.format in ("WEBP", "AVIF") else 0)


def _deep_grey_mode(picture: PIL.Image) -> bool:
    return picture.mode[0] in "IF"


def transparency(picture: PIL.Image) -> Pixels | None:
    """Where a picture is transparent, H×W, 1 where wholly; None where it has no transparency."""
    clear: Pixels
    if not has_transparency(picture):
        return None
    if "A" not in picture.getbands() and picture.mode[0] in "IF":
        clear = (np.asarray(picture) == picture.info["transparency"]).astype(np.float32)
        return clear
    clear = np.asarray(_with_alpha(picture).getchannel("A")).astype(np.float32)
    clear /= np.float32(255.0)
    np.subtract(np.float32(1.0), clear, out=clear)
    return clear


def has_transparency(picture: PIL.Image) -> bool:
    """Whether pixels of a picture may be transparent."""
    return picture.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in picture.info


def in_bytes(picture: PIL.Image) -> PIL.Image:
    """A picture of 8 bits a channel, RGB or RGBA, as a screen shows it: what `colours` gives, rounded."""
    if _deep_grey(picture) is None:
        return _with_alpha(picture) if has_transparency(picture) else as_mode(_plain(picture), "RGB")
    shown = PIL.fromarray((colours(picture) * 255.0).round().astype(np.uint8))
    clear = transparency(picture)
    if clear is not None:
        shown.putalpha(PIL.fromarray(((1.0 - clear) * 255.0).round().astype(np.uint8)))
    return shown


def _with_alpha(picture: PIL.Image) -> PIL.Image:
    """A picture of 8 bits as RGBA; premultiplied colours are divided."""
    return as_mode(_plain(picture), "RGBA")


def as_mode(picture: PIL.Image, mode: str) -> PIL.Image:
    """A picture in a mode; itself, if it is in that."""
    return picture if picture.mode == mode else picture.convert(mode)


def _deep_grey(picture: PIL.Image) -> Pixels | None:
    """Grey of more than 8 bits as H×W, 0…1, cut off there; None for other pictures."""
    if picture.mode == "F":
        floats: Pixels = np.nan_to_num(np.asarray(picture).astype(np.float32)).clip(0.0, 1.0)
        return floats
    if not picture.mode.startswith("I"):
        return None
    whole = np.asarray(picture)
    most = SIXTEEN_BITS
    if picture.mode == "I" and whole.size and (whole.max() > SIXTEEN_BITS or whole.min() < 0):
        whole, most = whole.view(np.uint32), THIRTY_TWO_BITS
    grey: Pixels = (whole / most).astype(np.float32)
    return grey


def _plain(picture: PIL.Image) -> PIL.Image:
    """A picture in a mode that PIL turns into RGB by itself."""
    if picture.mode == "LAB":
        profiles = ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")
        turned = ImageCms.profileToProfile(picture, *profiles, outputMode="RGB")
        assert turned is not None, "not in place"
        return turned
    if picture.mode == "P" and isinstance(picture.info.get("transparency"), bytes):
        return picture.convert("RGBA")  # a palette whose colours have an opacity each
    return picture.convert(MULTIPLIED[picture.mode]) if picture.mode in MULTIPLIED else picture
