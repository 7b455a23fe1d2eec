"""LoRA files made of differences of weights: each cut down to the matrices of low rank that come nearest.

The nearest matrix of rank r is what the r largest singular values leave (Eckart & Young 1936).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import torch
from torch import Tensor

from diffusion.model import Model
from diffusion.patches.weights.adapter_names import (
    ONLY_TOWER_PREFIXES,
    diffusers_name,
    diffusers_places,
    flat,
    tower_prefixes,
)
from diffusion.text.encoding import TextEncoder
from diffusion.weights.entries import Entry
from diffusion.weights.loading import NO_PATCHES
from diffusion.weights.patched import patched
from diffusion.weights.writing import Progress, entry_of, ignore

STORED = torch.float16


def factors(difference: Tensor, rank: int) -> tuple[Tensor, Tensor]:
    """(up, down) whose product is the nearest of a rank; of a convolution the 1×1 and the larger one."""
    matrix = difference.flatten(1).double()
    rank = min(rank, *matrix.shape)
    tall = matrix.shape[0] > matrix.shape[1]
    wide = matrix.T if tall else matrix
    values, vectors = torch.linalg.eigh(wide @ wide.T)
    basis, lengths = vectors[:, -rank:], values[-rank:].clamp(min=0).sqrt()
    balance = lengths.sqrt()
    left = basis * balance
    right = torch.where(balance[:, None] > 0, basis.T @ wide / balance[:, None], 0.0)
    up, down = (right.T, left.T) if tall else (left, right)
    if difference.ndim == 4:
        up, down = up[..., None, None], down.reshape(rank, *difference.shape[1:])
    return up.float(), down.float()


def extracted(
    model: Model | None,
    text: TextEncoder | None,
    rank: int,
    *,
    whole: bool = False,
    biases: bool = True,
    progress: Progress = ignore,
) -> dict[str, Entry]:
    """The tensors of a LoRA from models whose weights are differences, under kohya's names.

    `whole` keeps the differences as they are. What does not differ is left out.
    """
    sources = list(_differences(model, text))
    found: dict[str, Entry] = {}
    for done, (base, kind, entry) in enumerate(sources):
        progress(done, len(sources))
        if kind == "weight" or (kind == "bias" and biases):
            tensors = _parts(entry.read().float(), kind, rank, whole)
            found |= {base + ending: entry_of(tensor.to(STORED)) for ending, tensor in tensors.items()}
        entry.release()
    return found


def _parts(difference: Tensor, kind: str, rank: int, whole: bool) -> Mapping[str, Tensor]:
    if not bool(difference.any()):
        return {}
    if kind == "bias":
        return {".diff_b": difference}
    if whole or difference.ndim < 2:
        return {".diff": difference}
    up, down = factors(difference, rank)
    return {".lora_up.weight": up, ".lora_down.weight": down, ".alpha": torch.tensor(float(len(down)))}


def _differences(model: Model | None, text: TextEncoder | None) -> Iterator[tuple[str, str, Entry]]:
    """(kohya's name, "weight" or "bias", the tensor) for everything that can be changed."""
    if model is not None:
        places = diffusers_places(model.backbone.weights)
        for name, entry in patched(model.backbone.weights, model.weight_patches).items():
            base, _, kind = name.rpartition(".")
            yield f"lora_unet_{flat(diffusers_name(base, places))}", kind, entry
    for tower in text.towers if text is not None else ():
        keys = [each.key for each in text.towers]  # type: ignore[union-attr]
        prefix = ONLY_TOWER_PREFIXES[0] if len(keys) == 1 else tower_prefixes(tower.key, keys)[0]
        patches = text.patches.get(tower.key, NO_PATCHES)  # type: ignore[union-attr]
        for name, entry in patched(tower.resident.weights, patches).items():
            base, _, kind = name.rpartition(".")
            yield prefix + flat(base), kind, entry
