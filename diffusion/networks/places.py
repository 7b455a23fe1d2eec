"""Where tokens lie, as sines and cosines of their column and row (Vaswani et al. 2017, in two dimensions)."""

from __future__ import annotations

import math

import torch
from torch import Tensor


def sines(rows: Tensor, columns: Tensor, width: int) -> Tensor:
    """A grid of rows at [R] and columns at [C] as [1, R · C, width]: the column's half, then the row's."""
    row, column = torch.meshgrid(rows.double(), columns.double(), indexing="ij")
    return torch.cat([_waves(column.flatten(), width // 2), _waves(row.flatten(), width // 2)], dim=1)[None]


def _waves(position: Tensor, width: int) -> Tensor:
    """[N] → [N, width]: sines, then cosines."""
    steps = torch.arange(width // 2, dtype=torch.float64, device=position.device) / (width // 2)
    angles = position[:, None] * torch.exp(-math.log(10000) * steps)
    return torch.cat([angles.sin(), angles.cos()], dim=1)
