"""The arithmetic of cutting a picture around a mask and pasting it back without a seam.

Images are B×H×W×C, masks B×H×W. A box may reach beyond the picture; there its border pixels repeat.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from diffusion.images import to_batch
from nodes.mask.masking import grow


@dataclass(frozen=True)
class Box:
    """A rectangle of a picture, in pixels."""

    top: int
    left: int
    height: int
    width: int

    def cut(self, picture: Tensor) -> Tensor:
        """The part of a picture H×W×… inside; border pixels repeat beyond it."""
        rows = torch.arange(self.top, self.top + self.height).clamp(0, picture.shape[0] - 1)
        columns = torch.arange(self.left, self.left + self.width).clamp(0, picture.shape[1] - 1)
        return picture[rows][:, columns]

    def within(self, height: int, width: int) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
        """The rows and columns of a picture that it covers, and the same counted from its own corner."""
        rows = slice(max(0, self.top), min(height, self.top + self.height))
        columns = slice(max(0, self.left), min(width, self.left + self.width))
        own_rows = slice(rows.start - self.top, rows.stop - self.top)
        own_columns = slice(columns.start - self.left, columns.stop - self.left)
        return (rows, columns), (own_rows, own_columns)


@dataclass(frozen=True, eq=False)
class Stitch:
    """Whole pictures, where a piece of each was cut out, and how much of the piece counts when it returns."""

    images: Tensor
    boxes: tuple[Box, ...]
    weights: Tensor


def around(mask: Tensor, margin: int, context: float, aspect: float) -> Box:
    """The box around a mask H×W with a margin, `context` times as large, of the proportions width/height."""
    height, width = mask.shape
    rows, columns = mask.amax(1).nonzero(), mask.amax(0).nonzero()
    if not len(rows):
        return _of_proportions(0, 0, height, width, aspect, (height, width))
    top, bottom = int(rows[0]) - margin, int(rows[-1]) + 1 + margin
    left, right = int(columns[0]) - margin, int(columns[-1]) + 1 + margin
    more_rows = round((bottom - top) * (context - 1) / 2)
    more_columns = round((right - left) * (context - 1) / 2)
    top, left = top - more_rows, left - more_columns
    size = (bottom + more_rows - top, right + more_columns - left)
    return _of_proportions(top, left, *size, aspect, (height, width))


def _of_proportions(
    top: int, left: int, height: int, width: int, aspect: float, picture: tuple[int, int]
) -> Box:
    """A box grown to proportions around its middle, and moved into the picture as far as it fits."""
    wide, tall = max(width, round(height * aspect)), max(height, round(width / aspect))
    top, left = top - (tall - height) // 2, left - (wide - width) // 2
    return Box(_moved(top, tall, picture[0]), _moved(left, wide, picture[1]), tall, wide)


def _moved(start: int, size: int, whole: int) -> int:
    """Where a stretch starts once it is moved into a whole, or centred on it if it is longer."""
    if size >= whole:
        return (whole - size) // 2
    return min(max(start, 0), whole - size)


def faded(mask: Tensor, reach: int) -> Tensor:
    """A mask B×H×W that is 1 wherever it was not 0, and falls to 0 over twice `reach` pixels around that."""
    solid = grow((mask > 0).to(mask), reach, tapered=False)
    half = reach // 2
    for _ in range(2 if half else 0):
        padded = F.pad(solid[:, None], (half,) * 4, mode="replicate")
        solid = F.avg_pool2d(padded, 2 * half + 1, stride=1)[:, 0]
    return solid


def scaled(x: Tensor, height: int, width: int) -> Tensor:
    """Pictures B×H×W×C at another size, smooth in both directions."""
    if x.shape[1:3] == (height, width):
        return x
    out = F.interpolate(x.movedim(-1, 1), size=(height, width), mode="bicubic", antialias=True)
    return out.movedim(1, -1).clamp(0, 1)


def cut_out(
    images: Tensor, mask: Tensor, size: tuple[int, int], context: float, blend: int
) -> tuple[Stitch, Tensor, Tensor]:
    """A piece of every picture around its mask, at `size` (height, width): how it returns, pieces, masks."""
    rows = max(len(images), len(mask))
    images, mask = to_batch(images, rows), to_batch(mask, rows)
    weights = faded(mask, blend)
    boxes = tuple(around(each, 2 * blend, context, size[1] / size[0]) for each in mask)
    pieces = [scaled(box.cut(each)[None], *size) for box, each in zip(boxes, images, strict=True)]
    masks = [scaled(box.cut(each)[None, ..., None], *size) for box, each in zip(boxes, mask, strict=True)]
    return Stitch(images, boxes, weights), torch.cat(pieces), torch.cat(masks)[..., 0]


def paste_back(stitch: Stitch, pieces: Tensor) -> Tensor:
    """The whole pictures with pieces in their places; more pieces than pictures give as many pictures."""
    results = []
    for number, piece in enumerate(to_batch(pieces, max(len(pieces), len(stitch.boxes)))):
        origin = number % len(stitch.boxes)
        picture, box, weights = stitch.images[origin].clone(), stitch.boxes[origin], stitch.weights[origin]
        place, own = box.within(*picture.shape[:2])
        share = weights[place][..., None]
        colours = min(piece.shape[-1], picture.shape[-1])
        new = scaled(piece[None, ..., :colours], box.height, box.width)[0][own]
        old = picture[place][..., :colours]
        picture[(*place, slice(colours))] = torch.where(share > 0, old + (new - old) * share, old)
        results.append(picture)
    return torch.stack(results)
