"""Images: making, batches, one over the other, channels."""

from typing import Annotated, Literal, NamedTuple

import torch
from torch import Tensor

from diffusion.images import to_batch
from execution.declare.node import Range, Tip, node
from nodes.image import pictures
from nodes.image.composites import paste
from nodes.image.pictures import channels_first, channels_last, colour_of, same_channels, scaled
from nodes.sockets import Image, Mask, Picture
from nodes.widgets import Batch, Colour, Pixels, Place


@node("EmptyImage", category="image")
def empty_image(
    width: Annotated[Pixels, Tip("In pixels.")] = 512,
    height: Annotated[Pixels, Tip("In pixels.")] = 512,
    batch_size: Annotated[Batch, Tip("How many images.")] = 1,
    color: Annotated[Colour, Tip("The colour of every pixel.")] = 0,
) -> Image:
    """EmptyImage.

    Images of one colour.
    """
    return colour_of(color).expand(batch_size, height, width, 3).clone()


@node("ImageInvert", category="image")
def invert(image: Picture) -> Image:
    """Invert Image.

    The negative: black becomes white.
    """
    return 1.0 - image


@node("ImageBatch", category="image")
def batch(
    image1: Annotated[Image, Tip("The first images; they set the size.")],
    image2: Annotated[Image, Tip("The images that follow, scaled and cut to the size of the first.")],
) -> Image:
    """Batch Images.

    Puts images together into one batch.
    """
    if image1.shape[1:3] != image2.shape[1:3]:
        image2 = scaled(image2, image1.shape[2], image1.shape[1], "bilinear", "center")
    if image1.shape[3] < image2.shape[3]:
        image1 = same_channels(image1, image2)
    return torch.cat([image1, same_channels(image2, image1)])


@node("RebatchImages", category="image/batch")
def rebatch(
    images: Annotated[list[Image], Tip("Images, in any number of batches.")],
    batch_size: Annotated[Batch, Tip("How many images the new batches hold at most.")] = 1,
) -> list[Image]:
    """Rebatch Images.

    Deals a list of batches out anew, so many images to a batch.
    """
    rows = [row[None] for each in images for row in each]
    batches = [rows[start : start + batch_size] for start in range(0, len(rows), batch_size)]
    return [torch.cat(same_size) for each in batches for same_size in _runs(each)]


def _runs(rows: list[Tensor]) -> list[list[Tensor]]:
    """`rows` cut wherever the size changes, for only images of one size fit a batch."""
    runs: list[list[Tensor]] = []
    for row in rows:
        if runs and runs[-1][0].shape == row.shape:
            runs[-1].append(row)
        else:
            runs.append([row])
    return runs


@node("RepeatImageBatch", category="image/batch")
def repeat(image: Picture, amount: Annotated[Batch, Tip("How often.")] = 1) -> Image:
    """RepeatImageBatch.

    Repeats a batch of images.
    """
    return image.repeat(amount, 1, 1, 1)


@node("ImageFromBatch", category="image/batch")
def from_batch(
    image: Picture,
    batch_index: Annotated[int, Range(0, 4095), Tip("The first image taken, counted from 0.")] = 0,
    length: Annotated[Batch, Tip("How many images.")] = 1,
) -> Image:
    """ImageFromBatch.

    Takes some images out of a batch.
    """
    first = min(batch_index, image.shape[0] - 1)
    return image[first : first + length].clone()


@node("ImageBlend", category="image/postprocessing", display_name=None, v3=True)
def blend(
    image1: Annotated[Image, Tip("The image below; it sets the size.")],
    image2: Annotated[Image, Tip("The image laid over it.")],
    blend_factor: Annotated[float, Range(0.0, 1.0, step=0.01), Tip("How much of the blend is seen.")] = 0.5,
    *,
    blend_mode: Annotated[
        Literal["normal", "multiply", "screen", "overlay", "soft_light", "difference"],
        Tip("How the colours of both are combined."),
    ],
) -> Image:
    """Blend Images.

    Lays one image over another.
    """
    size = max(image1.shape[0], image2.shape[0])
    return pictures.blend(to_batch(image1, size), to_batch(image2, size), blend_factor, blend_mode)


@node("ImageCompositeMasked", category="image")
def composite(
    destination: Annotated[Image, Tip("The image below.")],
    source: Annotated[Image, Tip("The image laid over it.")],
    x: Annotated[Place, Tip("The source's left edge in the destination.")] = 0,
    y: Annotated[Place, Tip("The source's upper edge in the destination.")] = 0,
    resize_source: Annotated[bool, Tip("Stretch the source over the whole destination.")] = False,
    mask: Annotated[Mask, Tip("Where the source is seen. Without it: everywhere.")] | None = None,
) -> Image:
    """ImageCompositeMasked.

    Pastes one image into another through a mask.
    """
    over = channels_first(same_channels(source, destination))
    below = channels_first(destination)
    return channels_last(paste(below, over, x, y, mask, stretch=resize_source))


class Channels(NamedTuple):
    """Brightness and two colour differences, each as a grey image."""

    Y: Image
    U: Image
    V: Image


@node("ImageRGBToYUV", category="image/batch", display_name=None)
def rgb_to_yuv(image: Picture) -> Channels:
    """Image RGB to YUV.

    Takes an image apart into brightness and two colour differences.
    """
    y, u, v = (part[..., None].expand(-1, -1, -1, 3) for part in pictures.yuv_of(image))
    return Channels(y, u, v)


@node("ImageYUVToRGB", category="image/batch", display_name=None)
def yuv_to_rgb(
    Y: Annotated[Image, Tip("The brightness.")],
    U: Annotated[Image, Tip("The blue difference.")],
    V: Annotated[Image, Tip("The red difference.")],
) -> Image:
    """Image YUV to RGB.

    Puts brightness and colour differences together again.
    """
    y, u, v = (part[..., :3].mean(-1) for part in (Y, U, V))
    return pictures.rgb_of(y, u, v)
