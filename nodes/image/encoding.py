"""Writing pictures: the workflow inside as PNG text or as EXIF, and small previews."""

import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image as PIL

from pictures.texts import png_chunks, whole


@dataclass(frozen=True)
class Embedding:
    """Whether saved files carry the workflow that made them."""

    enabled: bool = True

    def texts(self, prompt: Any, extra: Mapping[str, Any] | None) -> dict[str, str]:
        """What goes into a file: `prompt`, and what came to be kept beside it (`workflow`), as JSON."""
        if not self.enabled:
            return {}
        parts = {"prompt": prompt, **(extra or {})}
        return {whole(key): json.dumps(value) for key, value in parts.items() if value is not None}


def write_png(
    file: IO[bytes], pixels: NDArray[np.uint8], texts: Mapping[str, str], compress_level: int = 4
) -> None:
    """Write H×W×C pixels as PNG with `texts` as text chunks."""
    pnginfo = png_chunks(texts)
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
