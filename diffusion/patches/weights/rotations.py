"""Weights turned by orthogonal matrices, which keeps the angles between what neurons look for.

    OFT    block-diagonal rotations of the outputs    Qiu et al. 2023, arXiv 2306.07280
    BOFT   several such, over interleaved outputs     Liu et al. 2023, arXiv 2311.06243

Files hold any square blocks; a rotation is made of the skew-symmetric part of each (Cayley's transform).
"""

from __future__ import annotations

import torch
from torch import Tensor


def orthogonal(blocks: Tensor, longest: float = 0.0) -> Tensor:
    """(I + Q)(I - Q)⁻¹ of blocks [..., b, b]; Q = blocks - blocksᵀ, shortened to `longest` (0: never)."""
    q = blocks - blocks.mT
    length = torch.linalg.vector_norm(q)
    if 0 < longest < length:
        q = q * (longest / length)
    identity = torch.eye(q.shape[-1], device=q.device, dtype=q.dtype)
    turn: Tensor = torch.linalg.solve(
        identity - q, identity + q
    )  # both are functions of Q, so their order is free
    return turn


def turned(weight: Tensor, blocks: Tensor, longest: float, strength: float) -> Tensor:
    """A weight [out, …] turned: by blocks [n, b, b] as OFT does, or [m, n, b, b] as BOFT."""
    return turned_by(weight, orthogonal(blocks.to(weight), longest), strength)


def turned_by(weight: Tensor, rotation: Tensor, strength: float) -> Tensor:
    """A weight turned by rotations that are written out, of the same shapes."""
    identity = torch.eye(rotation.shape[-1], device=weight.device, dtype=weight.dtype)
    rotation = strength * rotation + (1 - strength) * identity
    rows = weight.flatten(1)
    if rotation.ndim == 3:
        return _within_blocks(rotation.mT, rows).reshape(weight.shape)
    half = rotation.shape[-1] // 2
    for level, each in enumerate(rotation):
        rows = _apart(_within_blocks(each, _together(rows, half * 2**level)), half * 2**level)
    return rows.reshape(weight.shape)


def _within_blocks(rotation: Tensor, rows: Tensor) -> Tensor:
    """Each block of as many rows as a rotation of [n, b, b] has, turned by its own."""
    blocks = rows.reshape(*rotation.shape[:2], -1)
    return (rotation @ blocks).reshape(rows.shape)


def _together(rows: Tensor, distance: int) -> Tensor:
    """Rows that stand a distance apart brought next to each other."""
    return rows.reshape(-1, 2, distance, rows.shape[1]).transpose(1, 2).reshape(rows.shape)


def _apart(rows: Tensor, distance: int) -> Tensor:
    """The inverse of `_together`."""
    return rows.reshape(-1, distance, 2, rows.shape[1]).transpose(1, 2).reshape(rows.shape)
