"""Latents: batches, and which noise each row of them gets."""

from collections.abc import Sequence
from typing import Annotated, Literal

import torch
from torch import Tensor

from diffusion.images import like, resize, to_batch
from execution.declare.node import Range, Tip, node
from nodes.latent.latent import AnyLatent, First, Second, with_samples
from nodes.mask.masking import flat
from nodes.sockets import Latent, LatentValue
from nodes.widgets import Batch


@node("LatentBatch", category="latent/batch", display_name=None)
def batch(samples1: First, samples2: Second) -> Latent:
    """Batch Latents.

    Puts latents together into one batch.
    """
    a = samples1["samples"]
    b = like(samples2["samples"], a, repeat=False)
    joined = with_samples(samples1, torch.cat([a, b.to(a)]))
    joined["batch_index"] = [*_batch_index(samples1), *_batch_index(samples2)]
    return joined


def _batch_index(latent: LatentValue) -> list[int]:
    return list(latent.get("batch_index") or range(latent["samples"].shape[0]))


@node("RepeatLatentBatch", category="latent/batch")
def repeat(samples: AnyLatent, amount: Annotated[int, Range(1, 64), Tip("How often.")] = 1) -> Latent:
    """Repeat Latent Batch.

    Repeats a batch of latents; each repetition gets noise of its own.
    """
    x = samples["samples"]
    repeated = with_samples(samples, x.repeat(amount, *[1] * (x.ndim - 1)))
    mask = samples.get("noise_mask")
    if mask is not None and mask.shape[0] > 1:
        repeated["noise_mask"] = to_batch(mask, x.shape[0]).repeat(amount, *[1] * (mask.ndim - 1))
    if "batch_index" in samples:
        index = samples["batch_index"]
        offset = max(index) - min(index) + 1
        repeated["batch_index"] = [each + turn * offset for turn in range(amount) for each in index]
    return repeated


@node("LatentFromBatch", category="latent/batch")
def from_batch(
    samples: AnyLatent,
    batch_index: Annotated[int, Range(0, 63), Tip("The first latent taken, counted from 0.")] = 0,
    length: Annotated[int, Range(1, 64), Tip("How many.")] = 1,
) -> Latent:
    """Latent From Batch.

    Takes some latents out of a batch; they keep the noise they had there.
    """
    x = samples["samples"]
    first = min(batch_index, x.shape[0] - 1)
    return _rows(samples, first, min(x.shape[0] - first, length))


def _rows(latent: LatentValue, first: int, length: int) -> LatentValue:
    """`length` rows of a latent from `first` on, with their masks and noise numbers."""
    x = latent["samples"]
    taken = with_samples(latent, x[first : first + length].clone())
    mask = latent.get("noise_mask")
    if mask is not None and mask.shape[0] > 1:
        taken["noise_mask"] = to_batch(mask, x.shape[0])[first : first + length].clone()
    taken["batch_index"] = _batch_index(latent)[first : first + length]
    return taken


@node("RebatchLatents", category="latent/batch")
def rebatch(
    latents: Annotated[list[Latent], Tip("Latents, in any number of batches.")],
    batch_size: Annotated[Batch, Tip("How many latents the new batches hold at most.")] = 1,
) -> list[Latent]:
    """Rebatch Latents.

    Deals a list of batches out anew, so many latents to a batch.
    """
    rows = [_rows(each, row, 1) for each in latents for row in range(each["samples"].shape[0])]
    batches: list[list[LatentValue]] = []
    for row in rows:
        fits = batches and len(batches[-1]) < batch_size
        if fits and batches[-1][0]["samples"].shape == row["samples"].shape:
            batches[-1].append(row)
        else:
            batches.append([row])
    return [_joined(each) for each in batches]


def _joined(rows: Sequence[LatentValue]) -> LatentValue:
    """Latents of equal size as one batch; where only some have a mask, the others are sampled everywhere."""
    joined = with_samples(rows[0], torch.cat([each["samples"] for each in rows]))
    joined["batch_index"] = [number for each in rows for number in _batch_index(each)]
    if any("noise_mask" in each for each in rows):
        joined["noise_mask"] = torch.cat([_full_mask(each) for each in rows])
    return joined


def _full_mask(latent: LatentValue) -> Tensor:
    """The noise mask of a latent at the picture's size, 1×1×H×W; ones if it has none."""
    rows, columns = latent["samples"].shape[-2:]
    mask = latent.get("noise_mask")
    if mask is None:
        return torch.ones(1, 1, rows * 8, columns * 8)
    return resize(flat(mask)[:, None], columns * 8, rows * 8, "bilinear")


@node("LatentBatchSeedBehavior", category="latent/advanced", display_name=None, v3=True)
def seed_behaviour(
    samples: AnyLatent,
    seed_behavior: Annotated[
        Literal["random", "fixed"], Tip("Noise of its own for each latent of the batch, or the same for all.")
    ] = "fixed",
) -> Latent:
    """Latent Batch Seed Behavior.

    Chooses whether the latents of a batch start from different noise.
    """
    changed = with_samples(samples, samples["samples"])
    if seed_behavior == "fixed":
        changed["batch_index"] = [_batch_index(samples)[0]] * samples["samples"].shape[0]
    else:
        changed.pop("batch_index", None)
    return changed
