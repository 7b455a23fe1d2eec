"""How Qwen2.5-VL looks at a picture (Bai et al. 2025, arXiv 2502.13923): patches in windows, merged by fours.

Attention stays within windows of 112 pixels, but for a few layers that see all. Names are those of its files.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from diffusion.weights.entries import Weights
from diffusion.weights.shapes import Unlike

MEAN = (0.48145466, 0.4578275, 0.40821073)
DEVIATION = (0.26862954, 0.26130258, 0.27577711)
PATCH, MERGED = 14, 2
CELL = PATCH * MERGED
LEAST, MOST = 56 * 56, 28 * 28 * 16384  # pixels of a picture as it is looked at
WINDOW = 112 // CELL
SEE_ALL = (7, 15, 23, 31)
HEAD = 80
EPS = 1e-6
THETA = 10000.0


@dataclass(frozen=True)
class VisionSizes:
    """The measures of a picture encoder; `out` is the width of the language model that it talks to."""

    width: int
    layers: int
    inner: int
    out: int


def vision_sizes(weights: Weights) -> VisionSizes:
    """The sizes of an encoder's tensors. Unlike says what does not fit."""
    names = ("patch_embed.proj.weight", "blocks.0.mlp.gate_proj.weight", "merger.mlp.2.weight")
    shapes = [weights.shape(name) for name in names]
    if any(shape is None for shape in shapes):
        raise Unlike(f"one of {', '.join(names)} is missing under visual.")
    (width, *_), (inner, *_), (out, *_) = (shape for shape in shapes if shape)
    layers = len({name.split(".")[1] for name in weights if name.startswith("blocks.")})
    return VisionSizes(width, layers, inner, out)


class Norm(nn.Module):
    """A vector brought to length one per feature, times a weight."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        return F.rms_norm(x.float(), self.weight.shape, self.weight.float(), EPS).to(x.dtype)


class Attention(nn.Module):
    """Attention among patches, within windows or among all."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.heads = width // HEAD
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)

    def forward(self, x: Tensor, turns: tuple[Tensor, Tensor], windows: list[int]) -> Tensor:
        """x [N, width]; `windows` are the counts of patches that see each other."""
        q, k, v = self.qkv(x).reshape(len(x), 3, self.heads, -1).permute(1, 2, 0, 3)
        q, k = turned(q, turns), turned(k, turns)
        parts = zip(*(each.split(windows, dim=1) for each in (q, k, v)), strict=True)
        seen = [F.scaled_dot_product_attention(*(each[None] for each in part))[0] for part in parts]
        out: Tensor = self.proj(torch.cat(seen, dim=1).transpose(0, 1).reshape(len(x), -1))
        return out


def turned(x: Tensor, turns: tuple[Tensor, Tensor]) -> Tensor:
    """Vectors [heads, N, d] turned by the angles of their places, the first half against the second."""
    cos, sin = turns
    first, second = x.float().chunk(2, dim=-1)
    return (x.float() * cos + torch.cat([-second, first], dim=-1) * sin).to(x.dtype)


class FeedForward(nn.Module):
    """Two linear layers multiplied, and a third."""

    def __init__(self, width: int, inner: int) -> None:
        super().__init__()
        self.gate_proj = nn.Linear(width, inner)
        self.up_proj = nn.Linear(width, inner)
        self.down_proj = nn.Linear(inner, width)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.down_proj(F.silu(self.gate_proj(x)) * self.up_proj(x))
        return out


class Block(nn.Module):
    """One layer, normed before each part."""

    def __init__(self, sizes: VisionSizes) -> None:
        super().__init__()
        self.norm1, self.norm2 = Norm(sizes.width), Norm(sizes.width)
        self.attn = Attention(sizes.width)
        self.mlp = FeedForward(sizes.width, sizes.inner)

    def forward(self, x: Tensor, turns: tuple[Tensor, Tensor], windows: list[int]) -> Tensor:
        x = x + self.attn(self.norm1(x), turns, windows)
        out: Tensor = x + self.mlp(self.norm2(x))
        return out


class PatchEmbed(nn.Module):
    """Patches of two moments as vectors."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.proj = nn.Conv3d(3, width, (2, PATCH, PATCH), (2, PATCH, PATCH), bias=False)

    def forward(self, patches: Tensor) -> Tensor:
        """patches [N, 3, 2, 14, 14]."""
        return F.linear(patches.flatten(1), self.proj.weight.flatten(1))


class Merger(nn.Module):
    """Four patches that lie together become one vector of the language model."""

    def __init__(self, sizes: VisionSizes) -> None:
        super().__init__()
        wide = sizes.width * MERGED**2
        self.ln_q = Norm(sizes.width)
        self.mlp = nn.Sequential(nn.Linear(wide, wide), nn.GELU(), nn.Linear(wide, sizes.out))

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.mlp(self.ln_q(x).reshape(len(x) // MERGED**2, -1))
        return out


class QwenVision(nn.Module):
    """The whole picture encoder."""

    def __init__(self, sizes: VisionSizes) -> None:
        super().__init__()
        self.patch_embed = PatchEmbed(sizes.width)
        self.blocks = nn.ModuleList([Block(sizes) for _ in range(sizes.layers)])
        self.merger = Merger(sizes)

    def forward(self, pixels: Tensor) -> tuple[Tensor, int, int]:
        """The features [n, out] of the first picture of B×H×W×C, and the rows and columns of cells.

        They come window by window, as the models that read them are run elsewhere too; within one window
        row by row.
        """
        weight = self.patch_embed.proj.weight
        patches, rows, columns = patches_of(pixels)
        order, windows = window_order(rows, columns)
        per_cell = MERGED**2
        x = self.patch_embed(patches.to(weight.device, weight.dtype))
        x = x.reshape(rows * columns, per_cell, -1)[order.to(x.device)].flatten(0, 1)
        turns = tuple(
            each.reshape(rows * columns, per_cell, -1)[order].flatten(0, 1).to(x.device)
            for each in angles(rows, columns, x.shape[-1] // self.blocks[0].attn.heads)  # type: ignore[union-attr]
        )
        counts, everything = [count * per_cell for count in windows], [len(x)]
        for number, block in enumerate(self.blocks):
            x = block(x, turns, everything if number in SEE_ALL else counts)
        return self.merger(x), rows, columns


def looked_at(height: int, width: int) -> tuple[int, int]:
    """The size at which a picture is looked at: sides of whole cells, pixels within limits."""
    tall, wide = round(height / CELL) * CELL, round(width / CELL) * CELL
    if tall * wide > MOST:
        scale = math.sqrt(height * width / MOST)
        shorter = [max(CELL, math.floor(each / scale / CELL) * CELL) for each in (height, width)]
        return shorter[0], shorter[1]
    if tall * wide < LEAST:
        scale = math.sqrt(LEAST / (height * width))
        longer = [math.ceil(each * scale / CELL) * CELL for each in (height, width)]
        return longer[0], longer[1]
    return tall, wide


def patches_of(pixels: Tensor) -> tuple[Tensor, int, int]:
    """The first picture as patches [N, 3, 2, 14, 14], cell by cell, and the rows and columns of cells."""
    picture = pixels[:1, ..., :3].float().movedim(-1, 1)
    height, width = looked_at(*picture.shape[2:])
    picture = F.interpolate(picture, (height, width), mode="bilinear", align_corners=False)
    mean, deviation = (torch.tensor(each).view(1, 3, 1, 1) for each in (MEAN, DEVIATION))
    picture = (picture - mean) / deviation
    rows, columns = height // CELL, width // CELL
    split = picture.reshape(3, rows, MERGED, PATCH, columns, MERGED, PATCH)
    cells = split.permute(1, 4, 2, 5, 0, 3, 6).reshape(-1, 3, 1, PATCH, PATCH)
    return cells.expand(-1, -1, 2, -1, -1), rows, columns


def window_order(rows: int, columns: int) -> tuple[Tensor, list[int]]:
    """Cells window by window, and how many each window has; windows at the edges may be smaller."""
    cells = torch.arange(rows * columns).reshape(rows, columns)
    windows = [
        part.flatten() for band in torch.split(cells, WINDOW) for part in torch.split(band, WINDOW, dim=1)
    ]
    return torch.cat(windows), [len(window) for window in windows]


def angles(rows: int, columns: int, head: int) -> tuple[Tensor, Tensor]:
    """Cosines and sines [N, head] of the patches' rows and columns, cell by cell."""
    down = torch.arange(rows * MERGED)[:, None].expand(-1, columns * MERGED)
    across = torch.arange(columns * MERGED)[None].expand(rows * MERGED, -1)
    quarter = head // 4
    rates = THETA ** -(torch.arange(quarter, dtype=torch.float32) / quarter)
    found = []
    for places in (down, across):
        by_cell = places.reshape(rows, MERGED, columns, MERGED).permute(0, 2, 1, 3).reshape(-1)
        found.append(by_cell.float()[:, None] * rates)
    both = torch.cat([*found, *found], dim=-1)
    return both.cos(), both.sin()
