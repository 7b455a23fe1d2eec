"""Latents: making, scaling, turning, mixing, batches."""

from typing import Annotated, Literal, cast

import torch
from torch import Tensor

from diffusion.images import resize
from diffusion.latents.several import Several
from execution.declare.node import Range, Tip, node
from nodes.image.composites import paste, paste_feathered
from nodes.sockets import Latent, LatentValue, Mask
from nodes.widgets import MAX_SIDE, Batch, Crop, Flip, Turn, quarter_turns

Steps8 = Annotated[int, Range(0, MAX_SIDE, step=8)]
"""A place in the picture that the latent stands for, in pixels."""
AnyLatent = Annotated[Latent, Tip("The latent.")]
First = Annotated[Latent, Tip("The first latent; it sets size and batch.")]
Second = Annotated[Latent, Tip("The second latent.")]
LatentMethod = Annotated[
    Literal["nearest-exact", "bilinear", "area", "bicubic", "bislerp"],
    Tip("How places in between are found; bislerp turns directions and keeps strengths."),
]


def with_samples(latent: LatentValue, samples: Tensor | Several) -> LatentValue:
    """The same latent, all its other keys kept, with other samples."""
    return cast(LatentValue, {**latent, "samples": samples})


@node("EmptyLatentImage", category="latent")
def empty(
    width: Annotated[int, Range(16, MAX_SIDE, step=8), Tip("Of the picture, in pixels.")] = 512,
    height: Annotated[int, Range(16, MAX_SIDE, step=8), Tip("Of the picture, in pixels.")] = 512,
    batch_size: Annotated[Batch, Tip("How many pictures at once.")] = 1,
) -> Latent:
    """Empty Latent Image.

    A batch of blank latents to denoise from.
    """
    return {"samples": torch.zeros(batch_size, 4, height // 8, width // 8)}


@node("EmptySD3LatentImage", category="latent/sd3", display_name=None)
def empty_of_sixteen(
    width: Annotated[int, Range(16, MAX_SIDE, step=16), Tip("Of the picture, in pixels.")] = 1024,
    height: Annotated[int, Range(16, MAX_SIDE, step=16), Tip("Of the picture, in pixels.")] = 1024,
    batch_size: Annotated[Batch, Tip("How many pictures at once.")] = 1,
) -> Latent:
    """Empty SD3 Latent Image.

    A batch of blank latents of 16 channels, for SD3, FLUX and their kin.
    """
    return {"samples": torch.zeros(batch_size, 16, height // 8, width // 8)}


@node("EmptyHunyuanImageLatent", category="latent")
def empty_of_hunyuan_image(
    width: Annotated[int, Range(64, MAX_SIDE, step=32), Tip("Of the picture, in pixels.")] = 2048,
    height: Annotated[int, Range(64, MAX_SIDE, step=32), Tip("Of the picture, in pixels.")] = 2048,
    batch_size: Annotated[Batch, Tip("How many pictures at once.")] = 1,
) -> Latent:
    """EmptyHunyuanImageLatent.

    A batch of blank latents of 64 channels, 32 pixels a place, for HunyuanImage 2.1.
    """
    return {"samples": torch.zeros(batch_size, 64, height // 32, width // 32)}


@node("LatentUpscale", category="latent")
def upscale(
    samples: AnyLatent,
    upscale_method: LatentMethod,
    width: Annotated[Steps8, Tip("Of the picture, in pixels; 0 keeps the proportions.")] = 512,
    height: Annotated[Steps8, Tip("Of the picture, in pixels; 0 keeps the proportions.")] = 512,
    *,
    crop: Crop,
) -> Latent:
    """Upscale Latent.

    Brings a latent to the size of a picture in pixels.
    """
    x = samples["samples"]
    if not width and not height:
        return samples
    width = max(64, width or round(x.shape[-1] * height / x.shape[-2]))
    height = max(64, height or round(x.shape[-2] * width / x.shape[-1]))
    return with_samples(samples, resize(x, width // 8, height // 8, upscale_method, crop))


@node("LatentUpscaleBy", category="latent")
def upscale_by(
    samples: AnyLatent,
    upscale_method: LatentMethod,
    scale_by: Annotated[float, Range(0.01, 8.0, step=0.01), Tip("2 doubles width and height.")] = 1.5,
) -> Latent:
    """Upscale Latent By.

    Makes a latent larger or smaller by a factor.
    """
    x = samples["samples"]
    width, height = (max(1, round(side * scale_by)) for side in (x.shape[-1], x.shape[-2]))
    return with_samples(samples, resize(x, width, height, upscale_method))


@node("LatentComposite", category="latent")
def composite(
    samples_to: Annotated[Latent, Tip("The latent below.")],
    samples_from: Annotated[Latent, Tip("The latent laid over it.")],
    x: Annotated[Steps8, Tip("Its left edge, in pixels of the picture.")] = 0,
    y: Annotated[Steps8, Tip("Its upper edge, in pixels of the picture.")] = 0,
    feather: Annotated[Steps8, Tip("How far its inner edges fade, in pixels of the picture.")] = 0,
) -> Latent:
    """Latent Composite.

    Pastes one latent into another.
    """
    below, over = samples_to["samples"], samples_from["samples"]
    return with_samples(samples_to, paste_feathered(below, over, x // 8, y // 8, feather // 8))


@node("LatentCompositeMasked", category="latent")
def composite_masked(
    destination: Annotated[Latent, Tip("The latent below.")],
    source: Annotated[Latent, Tip("The latent laid over it.")],
    x: Annotated[Steps8, Tip("Its left edge, in pixels of the picture.")] = 0,
    y: Annotated[Steps8, Tip("Its upper edge, in pixels of the picture.")] = 0,
    resize_source: Annotated[bool, Tip("Stretch the source over the whole destination.")] = False,
    mask: Annotated[Mask, Tip("Where the source is seen. Without it: everywhere.")] | None = None,
) -> Latent:
    """LatentCompositeMasked.

    Pastes one latent into another through a mask.
    """
    below, over = destination["samples"], source["samples"]
    pasted = paste(below, over, x, y, mask, unit=8, stretch=resize_source)
    return with_samples(destination, pasted)


@node("LatentRotate", category="latent/transform")
def rotate(samples: AnyLatent, rotation: Turn) -> Latent:
    """Rotate Latent.

    Turns a latent by quarters.
    """
    return with_samples(samples, torch.rot90(samples["samples"], quarter_turns(rotation), dims=(3, 2)))


@node("LatentFlip", category="latent/transform")
def flip(samples: AnyLatent, flip_method: Flip) -> Latent:
    """Flip Latent.

    Mirrors a latent.
    """
    return with_samples(samples, samples["samples"].flip(2 if flip_method.startswith("x") else 3))


@node("LatentCrop", category="latent/transform")
def crop(
    samples: AnyLatent,
    width: Annotated[int, Range(64, MAX_SIDE, step=8), Tip("Of the piece, in pixels of the picture.")] = 512,
    height: Annotated[int, Range(64, MAX_SIDE, step=8), Tip("Of the piece, in pixels of the picture.")] = 512,
    x: Annotated[Steps8, Tip("The piece's left edge, in pixels of the picture.")] = 0,
    y: Annotated[Steps8, Tip("The piece's upper edge, in pixels of the picture.")] = 0,
) -> Latent:
    """Crop Latent.

    Cuts a piece out of a latent; at least 64 pixels are left.
    """
    rows, columns = samples["samples"].shape[-2:]
    left, top = max(0, min(x // 8, columns - 8)), max(0, min(y // 8, rows - 8))
    piece = samples["samples"][..., top : top + height // 8, left : left + width // 8]
    return with_samples(samples, piece)
