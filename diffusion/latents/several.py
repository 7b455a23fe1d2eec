"""Several latents sampled together, such as a film's and its sound's, as one tensor and apart again.

Samplers, guidance and masks work on one tensor. `Packing` lays latents of one batch behind each other in it,
flat; only the network is given them apart.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, eq=False)
class Several:
    """Latents [B, C, …] of one batch, each of its own form: the "samples" of a LATENT that holds several."""

    parts: tuple[Tensor, ...]

    def __len__(self) -> int:
        """B."""
        return len(self.parts[0])

    def each(self, function: Callable[[Tensor], Tensor]) -> Several:
        """All of them through a function."""
        return Several(tuple(function(part) for part in self.parts))


@dataclass(frozen=True)
class Packing:
    """The shapes [C, …] of latents that lie behind each other in a tensor [B, 1, N]."""

    shapes: tuple[tuple[int, ...], ...]

    @classmethod
    def of(cls, parts: Sequence[Tensor]) -> Packing:
        """How these latents are packed. ValueError if they are not of one batch."""
        if len({len(part) for part in parts}) > 1:
            raise ValueError(f"Latents of batches of {', '.join(str(len(part)) for part in parts)}.")
        return cls(tuple(tuple(part.shape[1:]) for part in parts))

    def packed(self, parts: Sequence[Tensor]) -> Tensor:
        """Latents as one tensor [B, 1, N]."""
        return torch.cat([part.flatten(1) for part in parts], dim=1)[:, None]

    def apart(self, packed: Tensor) -> tuple[Tensor, ...]:
        """The latents [B, C, …] in a tensor [B, 1, N], as views."""
        sizes = [torch.Size(shape).numel() for shape in self.shapes]
        pieces = torch.split(packed[:, 0], sizes, dim=1)
        pairs = zip(pieces, self.shapes, strict=True)
        return tuple(piece.reshape(len(piece), *shape) for piece, shape in pairs)
