"""Writing pictures: the workflow inside as PNG text or as EXIF, and small previews."""

import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image as PIL
from PIL.PngImagePlugin import PngInfo


@dataclass(frozen=True)
class Embedding:
    """Whether saved files carry the workflow that made them."""

    enabled: bool = True

    def texts(self, prompt: Any, extra: Mapping[str, Any] | None) -> dict[str, str]:
        """What goes into a file: `prompt`, and what came to be kept beside it (`workflow`), as JSON."""
        if not self.enabled:
            return {}
        parts = {"prompt": prompt, **(extra or {})}
        return {key: json.dumps(value) for key, value in parts.items() if value is not None}


def write_png(
    file: IO[bytes], pixels: NDArray[np.uint8], texts: Mapping[str, str], compress_level: int = 4
) -> None:
    """Write H×W×C pixels as PNG with `texts` as text chunks."""
    pnginfo = text_chunks(texts)
    picture(pixels).save(file, format="PNG", pnginfo=pnginfo, compress_level=compress_level)


def png(pixels: NDArray[np.uint8], compress_level: int = 1) -> bytes:
    """The bytes of a PNG."""
    file = io.BytesIO()
    write_png(file, pixels, {}, compress_level)
    return file.getvalue()


def jpeg(pixels: NDArray[np.uint8], size: tuple[int, int], quality: int = 90) -> bytes:
    """The bytes of a JPEG of `size` (width, height); transparency is left off."""
    shown = picture(pixels).convert("RGB")
    file = io.BytesIO()
    shown.resize(size, PIL.Resampling.BILINEAR).save(file, format="JPEG", quality=quality)
    return file.getvalue()


def picture(pixels: NDArray[np.uint8]) -> PIL.Image:
    """H×W×C (1, 3 or 4 channels) as a PIL picture."""
    return PIL.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels)


EXIF_PROMPT, EXIF_OTHERS = 0x0110, 0x010F  # camera model, and maker and the tags below it, hold `key:text`
JPEG_EXIF_LIMIT = 65_500  # of the 65,533 bytes that a JPEG segment can hold


def exif(texts: Mapping[str, str], limit: int | None = None) -> tuple[bytes, list[str]]:
    """`texts` as an EXIF block, and the keys left out because the block would grow beyond `limit` bytes."""
    block = PIL.Exif()
    left_out: list[str] = []
    tag, size = EXIF_OTHERS, 100
    for key, text in texts.items():
        entry = f"{key}:{text}"
        size += len(entry) + 16
        if limit is not None and size > limit:
            left_out.append(key)
            size -= len(entry) + 16
        elif key == "prompt":
            block[EXIF_PROMPT] = entry
        else:
            block[tag] = entry
            tag -= 1
    return (block.tobytes() if block else b""), left_out


def text_chunks(texts: Mapping[str, str]) -> PngInfo:
    """`texts` as text chunks of a PNG."""
    chunks = PngInfo()
    for key, text in texts.items():
        chunks.add_text(key, text)
    return chunks
