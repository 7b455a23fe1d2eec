"""Reading pictures from files: orientation, transparency, animations, 16 bits."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from PIL import Image as PIL
from PIL import ImageOps, ImageSequence, UnidentifiedImageError
from torch import Tensor

MAX_PIXELS = 1 << 29
"""How many pixels all frames of a file may have together."""
NO_MASK = (64, 64)
"""Height and width of the mask of a picture without transparency, as the reference gives it."""


def read_image(path: Path, check: Callable[[], None] = lambda: None) -> tuple[Tensor, Tensor]:
    """All frames of a picture that have the size of the first, B×H×W×3, and where each is transparent, B×H×W.

    `check` is called before each frame. Turned upright by EXIF. Without transparency the mask is 0 and 64×64.

    Raises:
        ValueError: the file is no picture, is damaged, or has too many pixels.
    """
    images: list[Tensor] = []
    masks: list[Tensor] = []
    with opened(path) as picture:
        for frame in _frames(picture):
            check()
            upright = ImageOps.exif_transpose(frame)
            if images and upright.size != (images[0].shape[1], images[0].shape[0]):
                continue
            images.append(colours(upright))
            masks.append(transparency(upright))
    return torch.stack(images), torch.stack(masks)


def read_channel(path: Path, channel: str) -> Tensor:
    """One channel of a picture ("red", "green", "blue", or "alpha" as transparency), 1×H×W.

    Raises:
        ValueError: the file is no picture, is damaged, or has too many pixels.
    """
    with opened(path) as picture:
        upright = ImageOps.exif_transpose(picture)
        if channel == "alpha":
            return transparency(upright)[None]
        return colours(upright)[None, ..., ("red", "green", "blue").index(channel)]


@contextmanager
def opened(path: Path) -> Iterator[PIL.Image]:
    """The picture in a file.

    Raises:
        ValueError: the file is no picture, is damaged (also found while reading), or has too many pixels.
    """
    try:
        with PIL.open(path) as picture:
            frames = getattr(picture, "n_frames", 1)
            if picture.width * picture.height * frames > MAX_PIXELS:
                size = f"{frames} × {picture.width}×{picture.height}"
                raise ValueError(f"'{path.name}' has {size} pixels, more than {MAX_PIXELS}; make it smaller")
            yield picture
    except UnidentifiedImageError as error:
        raise ValueError(f"'{path.name}' is not a picture that can be read; save it as PNG") from error
    except (OSError, SyntaxError, EOFError, PIL.DecompressionBombError) as error:
        raise ValueError(f"'{path.name}' cannot be read: {error}; save it again as PNG") from error


def _frames(picture: PIL.Image) -> Iterator[PIL.Image]:
    """The frames of an animation. The further pictures of an MPO photograph are views, not frames."""
    if picture.format == "MPO":
        yield picture
    else:
        yield from ImageSequence.Iterator(picture)


def colours(picture: PIL.Image) -> Tensor:
    """Red, green and blue, H×W×3; grey of 16 bits keeps them all."""
    if picture.mode.startswith("I"):
        grey = np.asarray(picture).astype(np.float32) / 65535.0
        return torch.from_numpy(grey).clamp(0, 1)[..., None].expand(-1, -1, 3).clone()
    return torch.from_numpy(np.asarray(picture.convert("RGB")).astype(np.float32) / 255.0)


def transparency(picture: PIL.Image) -> Tensor:
    """Where a picture is transparent, H×W."""
    if "transparency" in picture.info and "A" not in picture.getbands():
        picture = picture.convert("RGBA")
    if "A" not in picture.getbands():
        return torch.zeros(NO_MASK)
    alpha = np.asarray(picture.getchannel("A")).astype(np.float32) / 255.0
    return 1.0 - torch.from_numpy(alpha)
