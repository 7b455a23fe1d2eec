"""Latents: arithmetic on one or two of them, and operations that are handed on as values."""

from typing import Annotated, Any

import torch
from torch import Tensor

from diffusion.images import like, resize, to_batch
from diffusion.latents import arithmetic as latents
from execution.declare.node import Choice, Range, Tip, node
from nodes.latent.latent import AnyLatent, First, Second, with_samples
from nodes.sockets import Latent, LatentOperation, LatentValue
from nodes.widgets import MAX_SIDE


@node("LatentAdd", category="latent/advanced", display_name=None)
def add(samples1: First, samples2: Second) -> Latent:
    """Add Latents.

    The sum of two latents.
    """
    a, b = _pair(samples1, samples2)
    return with_samples(samples1, a + b)


@node("LatentSubtract", category="latent/advanced", display_name=None)
def subtract(samples1: First, samples2: Second) -> Latent:
    """Subtract Latents.

    The first latent without the second.
    """
    a, b = _pair(samples1, samples2)
    return with_samples(samples1, a - b)


def _pair(samples1: LatentValue, samples2: LatentValue) -> tuple[Tensor, Tensor]:
    """Both latents' samples, the second brought to the size and batch of the first."""
    a = samples1["samples"]
    return a, like(samples2["samples"].to(a), a)


@node("LatentMultiply", category="latent/advanced", display_name=None)
def multiply(
    samples: AnyLatent,
    multiplier: Annotated[float, Range(-10.0, 10.0, step=0.01), Tip("What it is multiplied by.")] = 1.0,
) -> Latent:
    """Multiply Latent.

    Makes a latent stronger or weaker.
    """
    return with_samples(samples, samples["samples"] * multiplier)


@node("LatentInterpolate", category="latent/advanced", display_name=None)
def interpolate(
    samples1: First,
    samples2: Second,
    ratio: Annotated[float, Range(0.0, 1.0, step=0.01), Tip("How much of the first.")] = 1.0,
) -> Latent:
    """Interpolate Latents.

    Mixes two latents by direction and by strength.
    """
    a, b = _pair(samples1, samples2)
    return with_samples(samples1, latents.interpolate(a, b, ratio))


@node("LatentBlend", category="_for_testing")
def blend(
    samples1: First,
    samples2: Second,
    blend_factor: Annotated[float, Range(0, 1, step=0.01), Tip("How much of the first.")] = 0.5,
) -> Latent:
    """Latent Blend.

    Mixes two latents value by value.
    """
    a, b = samples1["samples"], samples2["samples"]
    if a.shape[-2:] != b.shape[-2:]:
        b = resize(b, a.shape[-1], a.shape[-2], "bicubic", "center")
    return with_samples(samples1, a * blend_factor + to_batch(b, a.shape[0]) * (1 - blend_factor))


@node("LatentConcat", category="latent/advanced", display_name=None, v3=True)
def concat(
    samples1: First,
    samples2: Second,
    dim: Annotated[
        str,
        Choice(["x", "-x", "y", "-y", "t", "-t"]),
        Tip("Along which axis; with a minus the second comes first."),
    ],
) -> Latent:
    """Concatenate Latents.

    Puts two latents side by side.
    """
    a = samples1["samples"]
    b = to_batch(samples2["samples"], a.shape[0])
    axis = _axis(a, dim.removeprefix("-"))
    return with_samples(samples1, torch.cat([b, a] if dim.startswith("-") else [a, b], dim=axis))


@node("LatentCut", category="latent/advanced", display_name=None, v3=True)
def cut(
    samples: AnyLatent,
    dim: Annotated[str, Choice(["x", "y", "t"]), Tip("Along which axis.")],
    index: Annotated[
        int, Range(-MAX_SIDE, MAX_SIDE, step=1), Tip("The first place taken; negative counts from the end.")
    ] = 0,
    amount: Annotated[int, Range(1, MAX_SIDE, step=1), Tip("How many places, 8 pixels each.")] = 1,
) -> Latent:
    """Cut Latent.

    Takes a stretch out of a latent.
    """
    x = samples["samples"]
    axis = _axis(x, dim)
    size = x.shape[axis]
    start = min(index, size - 1) if index >= 0 else max(size + index, 0)
    return with_samples(samples, x.narrow(axis, start, min(size - start, amount)))


def _axis(x: Tensor, name: str) -> int:
    """The axis of a latent that is called x, y or t.

    Raises:
        ValueError: a latent of a still picture has no time.
    """
    if name == "t" and x.ndim < 5:
        raise ValueError("input 'dim' is 't', but 'samples' is a still picture's latent; choose x or y")
    return {"x": -1, "y": -2, "t": -3}[name] + x.ndim


# Operations that are handed on as values


@node(
    "LatentOperationTonemapReinhard",
    category="latent/advanced/operations",
    display_name=None,
    experimental=True,
)
def operation_tonemap(
    multiplier: Annotated[float, Range(0.0, 100.0, step=0.01), Tip("How bright white is.")] = 1.0,
) -> LatentOperation:
    """Latent Operation: Tonemap Reinhard.

    Compresses the strongest values, so that high guidance does not burn out.
    """

    def tonemap(latent: Tensor, **_: Any) -> Tensor:
        return latents.tonemapped(latent, multiplier)

    return tonemap


@node("LatentOperationSharpen", category="latent/advanced/operations", display_name=None, experimental=True)
def operation_sharpen(
    sharpen_radius: Annotated[int, Range(1, 31, step=1), Tip("How coarse the details are.")] = 9,
    sigma: Annotated[float, Range(0.1, 10.0, step=0.1), Tip("How evenly the places in reach count.")] = 1.0,
    alpha: Annotated[float, Range(0.0, 5.0, step=0.01), Tip("How strongly.")] = 0.1,
) -> LatentOperation:
    """Latent Operation: Sharpen.

    Raises the contrast of details.
    """

    def sharpen(latent: Tensor, **_: Any) -> Tensor:
        return latents.sharpened(latent, sharpen_radius, sigma, 10 * alpha)

    return sharpen


@node("LatentApplyOperation", category="latent/advanced/operations", display_name=None, experimental=True)
def apply_operation(
    samples: AnyLatent,
    operation: Annotated[LatentOperation, Tip("What is done to the latent.")],
) -> Latent:
    """Apply Latent Operation.

    Does an operation on a latent.
    """
    return with_samples(samples, operation(latent=samples["samples"]))
