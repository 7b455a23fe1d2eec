"""Pictures from files as tensors."""

from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from pictures import decoding

MAX_PIXELS = 1 << 29
"""How many pixels all frames of a file may have together."""
NO_MASK = (64, 64)
"""Height and width of the mask of a picture without transparency, as the reference gives it."""


def read_image(path: Path, check: Callable[[], None] = lambda: None) -> tuple[Tensor, Tensor]:
    """All frames of a picture that have the size of the first, B×H×W×3, and where each is transparent, B×H×W.

    `check` is called before each frame. Where no frame has transparency the masks are 0 and 64×64.

    Raises:
        ValueError: the file is no picture, is damaged, or has too many pixels.
    """
    images: list[Tensor] = []
    masks: list[Tensor | None] = []
    with decoding.opened(path, path.name, MAX_PIXELS) as picture:
        for frame in decoding.frames(picture):
            check()
            if images and frame.size != (images[0].shape[1], images[0].shape[0]):
                continue
            images.append(torch.from_numpy(decoding.colours(frame)))
            clear = decoding.transparency(frame)
            masks.append(None if clear is None else torch.from_numpy(clear))
    size = NO_MASK if all(mask is None for mask in masks) else images[0].shape[:2]
    return torch.stack(images), torch.stack([torch.zeros(size) if mask is None else mask for mask in masks])


def read_channel(path: Path, channel: str) -> Tensor:
    """One channel of a picture ("red", "green", "blue", or "alpha" as transparency), 1×H×W.

    Raises:
        ValueError: the file is no picture, is damaged, or has too many pixels.
    """
    with decoding.opened(path, path.name, MAX_PIXELS) as picture:
        frame = next(decoding.frames(picture))
        if channel != "alpha":
            values = decoding.colours(frame)[..., ("red", "green", "blue").index(channel)]
            return torch.from_numpy(values)[None].clone()
        clear = decoding.transparency(frame)
        return torch.zeros(1, *NO_MASK) if clear is None else torch.from_numpy(clear)[None]
