"""Pictures from files as tensors."""

from collections.abc import Callable
from pathlib import Path

import torch
from PIL import Image as PIL
from torch import Tensor

from pictures import decoding
from pictures.budget import FLOATS, MASK, Budget, Budgets

NO_MASK = (64, 64)
"""Height and width of the mask of a picture without transparency, as the reference gives it."""


def read_image(
    path: Path, check: Callable[[], None] = lambda: None, budget: Budget | None = None
) -> tuple[Tensor, Tensor]:
    """All frames of a picture that have the size of the first, B×H×W×3, and where each is transparent, B×H×W.

    `check` is called before each frame. Where no frame has transparency the masks are 0 and 64×64. What is
    kept is taken from `budget` (default: one for this file alone).

    Raises:
        ValueError: the file is no picture, is damaged, or is beyond the budget.
    """
    masks: list[Tensor | None] = []
    with decoding.opened(path, path.name) as picture:
        count = decoding.frame_count(picture)
        spare = take(budget or Budgets().fresh(), path, picture, count)
        images = torch.empty(0)
        for frame in decoding.frames(picture):
            check()
            if not masks:
                images = torch.empty(count, frame.height, frame.width, 3)
            elif frame.size != (images.shape[2], images.shape[1]):
                continue
            decoding.fill(frame, images[len(masks)].numpy())
            clear = decoding.transparency(frame)
            masks.append(None if clear is None else torch.from_numpy(clear))
        spare()
    if len(masks) < count:
        images = images[: len(masks)].clone()
    size = NO_MASK if all(mask is None for mask in masks) else images.shape[1:3]
    return images, torch.stack([torch.zeros(size) if mask is None else mask for mask in masks])


def take(budget: Budget, path: Path, picture: PIL.Image, frames: int) -> Callable[[], None]:
    """Count what the frames of a picture will take; call the result when only they are left."""
    each = FLOATS + (MASK if decoding.has_transparency(picture) else 0)
    size = picture.width, picture.height
    budget.take(path.name, *size, each, frames)
    try:
        beside = budget.take(path.name, *size, decoding.weight(picture))
    except ValueError:
        budget.give_back(each * size[0] * size[1] * frames)
        raise
    return lambda: budget.give_back(beside)


def read_channel(path: Path, channel: str, budget: Budget | None = None) -> Tensor:
    """One channel of a picture ("red", "green", "blue", or "alpha" as transparency), 1×H×W.

    Raises:
        ValueError: the file is no picture, is damaged, or is beyond the budget.
    """
    with decoding.opened(path, path.name) as picture:
        take(budget or Budgets().fresh(), path, picture, 1)
        frame = next(decoding.frames(picture))
        if channel != "alpha":
            values = torch.empty(frame.height, frame.width, 3)
            decoding.fill(frame, values.numpy())
            return values[None, ..., ("red", "green", "blue").index(channel)].clone()
        clear = decoding.transparency(frame)
        return torch.zeros(1, *NO_MASK) if clear is None else torch.from_numpy(clear)[None]
