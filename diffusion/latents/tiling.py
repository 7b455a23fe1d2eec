"""Large pictures in overlapping tiles whose seams fade into each other.

Each tile is weighted by a ramp along its edges; the sum is divided by the weights' sum. Three passes, with
square, flat and upright tiles, are averaged, so that no seam lies in the same place twice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import product
from types import EllipsisType

import torch
from torch import Tensor

from diffusion.weights.loading import Check, never

Compute = Callable[[Tensor], Tensor]


def in_tiles(
    x: Tensor, compute: Compute, tile: tuple[int, int], overlap: int, scale: float, check: Check = never
) -> Tensor:
    """`compute` over tiles of x [1, C, (T,) H, W], blended.

    `tile` (height, width) and `overlap` are in x's units; `scale` is how many elements of the result one of x
    becomes. `check` is asked between tiles and may raise.
    """
    height, width = x.shape[-2:]
    if height <= tile[0] and width <= tile[1]:
        return compute(x)
    total = weight = None
    shared = [min(overlap, side // 2) for side in tile]
    for top, left in product(starts(height, tile[0], shared[0]), starts(width, tile[1], shared[1])):
        check()
        part = compute(x[..., top : top + tile[0], left : left + tile[1]])
        if total is None or weight is None:
            size = (round(height * scale), round(width * scale))
            total, weight = part.new_zeros(*part.shape[:-2], *size), part.new_zeros(*size)
        rows, columns = (_ramp(part.shape[d - 2], round(shared[d] * scale)) for d in range(2))
        ramp = (rows[:, None] * columns).to(part)
        at = _window(round(top * scale), round(left * scale), part)
        total[at] += part * ramp
        weight[at] += ramp
    assert total is not None
    assert weight is not None
    return total / weight


def averaged(
    x: Tensor, compute: Compute, tile: tuple[int, int], overlap: int, scale: float, check: Check = never
) -> Tensor:
    """The mean of three tilings: square, flat and upright."""
    height, width = tile
    shapes = ((height * 2, width // 2), (height // 2, width * 2), (height, width))
    return sum((in_tiles(x, compute, shape, overlap, scale, check) for shape in shapes), torch.zeros(())) / 3


def starts(size: int, tile: int, overlap: int) -> Iterator[int]:
    """Where tiles begin along one side."""
    if size <= tile:
        return iter((0,))
    return iter(range(0, size - overlap, tile - overlap))


def _ramp(size: int, feather: int) -> Tensor:
    """Weights along one side: rising over `feather` elements, 1 inside, falling at the end."""
    ramp = torch.ones(size)
    if feather < size:
        rise = torch.arange(1, feather + 1) / feather if feather else torch.ones(0)
        ramp[:feather] *= rise
        ramp[size - feather :] *= rise.flip(0)
    return ramp


def _window(top: int, left: int, part: Tensor) -> tuple[EllipsisType, slice, slice]:
    return (..., slice(top, top + part.shape[-2]), slice(left, left + part.shape[-1]))
