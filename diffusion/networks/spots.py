"""Where pictures lie for transformers: each token has an index, a row and a column.

FLUX Kontext (Black Forest Labs 2025, arXiv 2506.15742) and Qwen-Image-Edit append pictures to look at; the
methods differ in where.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

THETA = 10000.0
Size = tuple[int, int]  # height, width of a latent


@dataclass(frozen=True)
class Spot:
    """A picture of so many token rows and columns, at an index and from a first row and column on."""

    rows: int
    columns: int
    index: int = 0
    top: int = 0
    left: int = 0

    def centred(self) -> Spot:
        """The same with its places counted from its middle."""
        return replace(self, top=self.top - self.rows // 2, left=self.left - self.columns // 2)

    def ids(self, device: torch.device) -> Tensor:
        """Index, row and column of each token, in the order of the tokens: [rows · columns, 3]."""
        rows = torch.arange(self.rows, device=device, dtype=torch.float32) + self.top
        columns = torch.arange(self.columns, device=device, dtype=torch.float32) + self.left
        places = torch.cartesian_prod(rows, columns)
        return torch.cat([torch.full_like(places[:, :1], self.index), places], dim=1)


def _tokens(side: int) -> int:
    return (side + 1) // 2


def _placed(size: Size, index: int, top: int = 0, left: int = 0) -> Spot:
    """A latent of this size at an index, its corner in places of a latent."""
    return Spot(_tokens(size[0]), _tokens(size[1]), index, _tokens(top), _tokens(left))


def offset(image: Spot, references: Sequence[Size]) -> list[Spot]:
    """All at index 1, laid to the right of each other or below, whichever keeps the whole nearer to a square.

    The first lies at the corner.
    """
    spots, height, width = list[Spot](), 0, 0
    for ref_height, ref_width in references:
        top, left = (0, width) if ref_height + height > ref_width + width else (height, 0)
        spots.append(_placed((ref_height, ref_width), 1, top, left))
        height, width = max(height, ref_height + top), max(width, ref_width + left)
    return spots


def index(image: Spot, references: Sequence[Size]) -> list[Spot]:
    """All at the corner, at indices of their own."""
    return [_placed(size, number) for number, size in enumerate(references, 1)]


def diagonal(image: Spot, references: Sequence[Size]) -> list[Spot]:
    """All at the image's index, each below and to the right of all before (UNO, USO)."""
    spots, height, width = list[Spot](), image.rows * 2, image.columns * 2
    for size in references:
        spots.append(_placed(size, 0, height, width))
        height, width = height + size[0], width + size[1]
    return spots


Method = Callable[[Spot, Sequence[Size]], list[Spot]]
METHODS: Mapping[str, Method] = {"offset": offset, "index": index, "uxo": diagonal, "uno": diagonal}


def spots(rows: int, columns: int, references: Sequence[Size], method: str) -> list[Spot]:
    """The image's spot, then those of its references; an unknown method is `offset`."""
    image = Spot(rows, columns)
    return [image, *METHODS.get(method, offset)(image, references)]


def turns(ids: Tensor, axes: Sequence[int]) -> Tensor:
    """Places [N, 3] → turns of pairs of a head's channels, complex [N, D/2] (RoFormer, arXiv 2104.09864).

    `axes` says how many channels of a head turn by index, row and column.
    """
    angles = []
    for axis, width in enumerate(axes):
        rates = THETA ** -(torch.arange(0, width, 2, dtype=torch.float64, device="cpu") / width)
        angles.append(ids[:, axis, None].cpu().double() * rates)
    joined = torch.cat(angles, dim=1)
    return torch.polar(torch.ones_like(joined), joined).to(torch.complex64).to(ids.device)
