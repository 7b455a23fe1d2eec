"""The arithmetic of masks: `B×H×W` tensors between 0 and 1."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from diffusion.images import to_batch


def flat(mask: Tensor) -> Tensor:
    """`mask` as B×H×W, whatever leading axes it came with."""
    return mask.reshape(-1, mask.shape[-2], mask.shape[-1])


def resized(mask: Tensor, height: int, width: int) -> Tensor:
    """`mask` at another size (bilinear): B×`height`×`width`."""
    return F.interpolate(flat(mask)[:, None], size=(height, width), mode="bilinear")[:, 0]


def grow(mask: Tensor, steps: int, tapered: bool = True) -> Tensor:
    """`mask` widened by `steps` pixels, or narrowed when negative: the largest (smallest) value nearby.

    Nearby means a square, or with `tapered` the pixels that `steps` moves up, down, left or right can reach.
    """
    if steps < 0:
        return -grow(-mask, -steps, tapered)
    height, width = mask.shape[-2:]
    if not tapered:
        rows, columns = min(steps, height - 1), min(steps, width - 1)
        mask = F.max_pool2d(mask, (2 * rows + 1, 1), stride=1, padding=(rows, 0))
        return F.max_pool2d(mask, (1, 2 * columns + 1), stride=1, padding=(0, columns))
    for _ in range(min(steps, height + width)):
        upright = F.max_pool2d(mask, (3, 1), stride=1, padding=(1, 0))
        level = F.max_pool2d(mask, (1, 3), stride=1, padding=(0, 1))
        mask = torch.maximum(upright, level)
    return mask


def combine(destination: Tensor, source: Tensor, x: int, y: int, operation: str) -> Tensor:
    """`destination` with `source` worked into it at `x`, `y` by one of `OPERATIONS`; results stay in 0…1."""
    height, width = destination.shape[-2:]
    rows, columns = max(0, height - y), max(0, width - x)
    source = to_batch(source, max(destination.shape[0], source.shape[0]))[:, :rows, :columns]
    result = to_batch(destination, source.shape[0]).clone()
    place = result[:, y : y + source.shape[1], x : x + source.shape[2]]
    place.copy_(OPERATIONS[operation](place, source.to(place)))
    return result.clamp(0.0, 1.0)


def _logic(operation: Callable[[Tensor, Tensor], Tensor]) -> Callable[[Tensor, Tensor], Tensor]:
    """A bitwise operation on masks that are rounded to no or yes."""
    return lambda a, b: operation(a.round().bool(), b.round().bool()).to(a)


OPERATIONS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "multiply": torch.mul,
    "add": torch.add,
    "subtract": torch.sub,
    "and": _logic(torch.logical_and),
    "or": _logic(torch.logical_or),
    "xor": _logic(torch.logical_xor),
}


def feather(mask: Tensor, left: int, top: int, right: int, bottom: int) -> Tensor:
    """`mask` fading towards its borders over as many pixels as given for each side."""
    height, width = mask.shape[-2:]
    left, right = min(left, width), min(right, width)
    top, bottom = min(top, height), min(bottom, height)
    horizontal = _rise(width, left) * _fall(width, right)
    vertical = _rise(height, top) * _fall(height, bottom)
    return mask * (vertical[:, None] * horizontal[None, :]).to(mask)


def _rise(size: int, length: int) -> Tensor:
    """Ones that rise from 1 / `length` over the first `length` places."""
    return ((torch.arange(size) + 1) / max(1, length)).clamp(max=1.0)


def _fall(size: int, length: int) -> Tensor:
    """Ones that fall to 2 / `length` over the last places, and 1 / `length` at the very first one.

    The reference counts from the border as −0, −1, −2 …, and −0 is the opposite border; saved workflows
    rely on the pictures this makes, so it is kept.
    """
    weights = torch.ones(size)
    steps = torch.arange(length)
    weights[-steps] = (steps + 1) / max(1, length)
    return weights
