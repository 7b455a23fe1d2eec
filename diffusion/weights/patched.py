"""Tensors of a file with patches worked in, in the types they have there."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from diffusion.weights.entries import Entry, Weights
from diffusion.weights.loading import Patches


def patched(weights: Weights, patches: Patches) -> dict[str, Entry]:
    """A part's tensors with its patches worked in, each read when its turn comes."""
    return {name: _worked_in(entry, patches.get(name, ())) for name, entry in weights.items()}


def _worked_in(entry: Entry, patches: tuple[Callable[[Tensor], Tensor], ...]) -> Entry:
    if not patches:
        return entry

    def change(weight: Tensor) -> Tensor:
        value = weight.float()
        for patch in patches:
            value = patch(value)
        return value.to(weight.dtype)

    return entry.taking(entry.shape, change)
