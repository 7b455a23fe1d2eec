"""HyperTile: self-attention within tiles, whose size changes from call to call so that no seam stays.

tfernd 2023, https://github.com/tfernd/HyperTile. A level of depth d has sides 2^d times shorter than the
latent. Two things are as ComfyUI computes them: pictures that are not square are cut as if their sides were
swapped, and the last of the possible sizes is never drawn.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from diffusion.hooks import Place
from diffusion.model import Model
from diffusion.remembering import methods

PIXELS = 8  # of the picture, for each element of the latent
LEAST = 32  # pixels of a tile's side


@dataclass(frozen=True)
class Tiles:
    """Rows × columns of tiles over a feature map of a size."""

    rows: int
    columns: int
    size: tuple[int, int]

    def cut(self, tokens: Tensor) -> Tensor:
        """[B, H·W, C] → [B·rows·columns, h·w, C]."""
        height, width = (
            side // parts for side, parts in zip(self.size, (self.rows, self.columns), strict=True)
        )
        laid = tokens.reshape(-1, self.rows, height, self.columns, width, tokens.shape[-1])
        return laid.transpose(2, 3).reshape(-1, height * width, tokens.shape[-1])

    def joined(self, tokens: Tensor) -> Tensor:
        """The inverse of `cut`."""
        height, width = (
            side // parts for side, parts in zip(self.size, (self.rows, self.columns), strict=True)
        )
        laid = tokens.reshape(-1, self.rows, self.columns, height, width, tokens.shape[-1])
        return laid.transpose(2, 3).reshape(-1, math.prod(self.size), tokens.shape[-1])


@dataclass
class Tiling:
    """The hooks of one run; which of the possible sizes is taken is drawn from the run's seed."""

    tile: int
    choices: int
    deepest: int
    scaled: bool
    draws: torch.Generator | None = None
    current: Tiles | None = None

    def cut(self, place: Place, q: Tensor, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Before the projections of self-attention."""
        self.current = None
        tokens = q.shape[1]
        depth, size = depth_of(tokens, place.latent), swapped_grid(tokens, place.latent)
        if depth is None or depth > self.deepest or math.prod(size) != tokens or k.shape[1] != tokens:
            return q, k, v
        self.draws = self.draws or torch.Generator().manual_seed(int(place.call.get("seed", 0)))
        side = max(LEAST, self.tile) // PIXELS * (2**depth if self.scaled else 1)
        rows, columns = (self._parts(length, side) for length in size)
        if rows * columns == 1:
            return q, k, v
        self.current = Tiles(rows, columns, size)
        return self.current.cut(q), self.current.cut(k), self.current.cut(v)

    def join(self, place: Place, out: Tensor) -> Tensor:
        """After the output projection."""
        return self.current.joined(out) if self.current else out

    def _parts(self, length: int, side: int) -> int:
        possible = numbers_of_tiles(length, side, self.choices)
        drawn = torch.randint(max(1, len(possible) - 1), (1,), generator=self.draws)
        return possible[int(drawn)]


def depth_of(tokens: int, latent: tuple[int, int]) -> int | None:
    """How often both sides of the latent were halved to make so many tokens; None if they do not tell."""
    depth = round(math.log(math.prod(latent) / tokens, 4))
    return depth if depth >= 0 and tokens * 4**depth == math.prod(latent) else None


def swapped_grid(tokens: int, latent: tuple[int, int]) -> tuple[int, int]:
    """Rows × columns of tokens in the latent's proportions, but for its sides, which are swapped."""
    aspect = latent[1] / latent[0]
    return round(math.sqrt(tokens * aspect)), round(math.sqrt(tokens / aspect))


def numbers_of_tiles(length: int, least: int, choices: int) -> list[int]:
    """Into how many equal parts of at least `least` a length can be cut: `choices` of them, most first."""
    sides = [side for side in range(min(least, length), length + 1) if length % side == 0]
    return [length // side for side in sides[:choices]]


def in_tiles(model: Model, tile: int, choices: int = 2, deepest: int = 0, scaled: bool = False) -> Model:
    """The model whose self-attention, down to a depth, looks within tiles of about `tile` pixels a side."""
    cut, join = methods(lambda: Tiling(tile, choices, deepest, scaled), "cut", "join")
    return model.with_hook("attention.self.input", cut).with_hook("attention.self.output", join)
