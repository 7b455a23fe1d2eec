"""Images: scaling, cropping, turning, margins, one beside the other."""

import math
from typing import Annotated, Literal, NamedTuple

import torch
from torch import Tensor

from diffusion.images import to_batch
from execution.declare.node import Choice, Hidden, Range, Tip, node
from nodes.image import pictures
from nodes.image.pictures import colour_of, same_channels, scaled
from nodes.sockets import Image, ImageAndMask, Picture
from nodes.widgets import MAX_SIDE, Crop, Flip, Pixels, Place, ScaleMethod, Turn, quarter_turns


class Size(NamedTuple):
    """What `GetImageSize` gives."""

    width: int
    height: int
    batch_size: int


@node("GetImageSize", category="image")
def image_size(image: Picture, unique_id: Annotated[str, Hidden("UNIQUE_ID")] = "") -> Size:
    """Get Image Size.

    Width, height and number of the images in a batch.
    """
    return Size(image.shape[2], image.shape[1], image.shape[0])


@node("ImageScale", category="image/upscaling")
def scale(
    image: Picture,
    upscale_method: ScaleMethod,
    width: Annotated[int, Range(0, MAX_SIDE, step=1), Tip("In pixels; 0 keeps the proportions.")] = 512,
    height: Annotated[int, Range(0, MAX_SIDE, step=1), Tip("In pixels; 0 keeps the proportions.")] = 512,
    *,
    crop: Crop,
) -> Image:
    """Upscale Image.

    Brings an image to a size in pixels, larger or smaller.
    """
    if not width and not height:
        return image
    width = width or max(1, round(image.shape[2] * height / image.shape[1]))
    height = height or max(1, round(image.shape[1] * width / image.shape[2]))
    return scaled(image, width, height, upscale_method, crop)


@node("ImageScaleBy", category="image/upscaling")
def scale_by(
    image: Picture,
    upscale_method: ScaleMethod,
    scale_by: Annotated[float, Range(0.01, 8.0, step=0.01), Tip("2 doubles width and height.")] = 1.0,
) -> Image:
    """Upscale Image By.

    Makes an image larger or smaller by a factor.
    """
    return _scaled_by(image, scale_by, upscale_method)


@node("ImageScaleToTotalPixels", category="image/upscaling", display_name=None, v3=True)
def scale_to_total_pixels(
    image: Picture,
    upscale_method: ScaleMethod,
    megapixels: Annotated[float, Range(0.01, 16.0, step=0.01), Tip("In units of 1024×1024 pixels.")] = 1.0,
) -> Image:
    """Scale Image to Total Pixels.

    Brings an image to a number of pixels and keeps its proportions.
    """
    factor = math.sqrt(megapixels * 1024 * 1024 / (image.shape[1] * image.shape[2]))
    return _scaled_by(image, factor, upscale_method)


def _scaled_by(image: Tensor, factor: float, method: str) -> Tensor:
    width, height = (max(1, round(side * factor)) for side in (image.shape[2], image.shape[1]))
    return scaled(image, width, height, method)


@node("ImageScaleToMaxDimension", category="image/upscaling")
def scale_to_max_dimension(
    image: Picture,
    upscale_method: Annotated[
        str,
        Choice(["area", "lanczos", "bilinear", "nearest-exact", "bilinear", "bicubic"]),
        Tip("How pixels in between are found."),
    ],
    largest_size: Annotated[int, Range(0, MAX_SIDE, step=1), Tip("Of the longer side, in pixels.")] = 512,
) -> Image:
    """ImageScaleToMaxDimension.

    Brings the longer side of an image to a length and keeps its proportions.
    """
    return _scaled_by(image, largest_size / max(image.shape[1:3]), upscale_method)


@node("ResizeAndPadImage", category="image/transform")
def resize_and_pad(
    image: Picture,
    target_width: Annotated[Pixels, Tip("Of the result, in pixels.")] = 512,
    target_height: Annotated[Pixels, Tip("Of the result, in pixels.")] = 512,
    *,
    padding_color: Annotated[Literal["white", "black"], Tip("What fills the margins.")],
    interpolation: Annotated[
        Literal["area", "bicubic", "nearest-exact", "bilinear", "lanczos"],
        Tip("How pixels in between are found."),
    ],
) -> Image:
    """ResizeAndPadImage.

    Fits an image into a frame and fills what is left with margins.
    """
    factor = min(target_width / image.shape[2], target_height / image.shape[1])
    width, height = (max(1, int(side * factor)) for side in (image.shape[2], image.shape[1]))
    fitted = scaled(image, width, height, interpolation)
    colour = 1.0 if padding_color == "white" else 0.0
    frame = fitted.new_full((image.shape[0], target_height, target_width, image.shape[3]), colour)
    top, left = (target_height - height) // 2, (target_width - width) // 2
    frame[:, top : top + height, left : left + width] = fitted
    return frame


@node("ImageCrop", category="image/transform")
def crop(
    image: Picture,
    width: Annotated[Pixels, Tip("Of the piece, in pixels.")] = 512,
    height: Annotated[Pixels, Tip("Of the piece, in pixels.")] = 512,
    x: Annotated[Place, Tip("The piece's left edge.")] = 0,
    y: Annotated[Place, Tip("The piece's upper edge.")] = 0,
) -> Image:
    """Image Crop.

    Cuts a piece out of an image; what lies outside is left off.
    """
    left, top = min(x, image.shape[2] - 1), min(y, image.shape[1] - 1)
    return image[:, top : top + height, left : left + width]


@node("ImageFlip", category="image/transform")
def flip(image: Picture, flip_method: Flip) -> Image:
    """ImageFlip.

    Mirrors an image.
    """
    return image.flip(1 if flip_method.startswith("x") else 2)


@node("ImageRotate", category="image/transform")
def rotate(image: Picture, rotation: Turn) -> Image:
    """ImageRotate.

    Turns an image by quarters.
    """
    return torch.rot90(image, quarter_turns(rotation), dims=(2, 1))


STITCH_COLOURS = {"white": 0xFFFFFF, "black": 0x000000, "red": 0xFF0000, "green": 0x00FF00, "blue": 0x0000FF}


@node("ImageStitch", category="image/transform")
def stitch(
    image1: Annotated[Image, Tip("The first image.")],
    direction: Annotated[
        Literal["right", "down", "left", "up"], Tip("Where the second image goes, seen from the first.")
    ] = "right",
    match_image_size: Annotated[bool, Tip("Scale the second image so that the edges that meet fit.")] = True,
    spacing_width: Annotated[int, Range(0, 1024, step=2), Tip("The gap between them, in pixels.")] = 0,
    spacing_color: Annotated[
        Literal["white", "black", "red", "green", "blue"], Tip("The colour of the gap.")
    ] = "white",
    image2: Annotated[Image, Tip("The second image. Without it the first comes out alone.")] | None = None,
) -> Image:
    """Image Stitch.

    Puts two images side by side.
    """
    if image2 is None:
        return image1
    size = max(image1.shape[0], image2.shape[0])
    first, second = to_batch(image1, size), to_batch(image2, size)
    if match_image_size:
        across = 1 if direction in ("left", "right") else 2
        second = _scaled_by_edge(second, first.shape[across], across)
    if first.shape[3] < second.shape[3]:
        first = same_channels(first, second)
    second = same_channels(second, first)
    colour = same_channels(colour_of(STITCH_COLOURS[spacing_color])[None], first)[0]
    return pictures.stitched(first, second, direction, spacing_width, colour)


def _scaled_by_edge(image: Tensor, length: int, dim: int) -> Tensor:
    """`image` so scaled that it measures `length` along `dim`, its proportions kept."""
    height, width = image.shape[1:3]
    factor = length / image.shape[dim]
    sides = {1: (int(width * factor), length), 2: (length, int(height * factor))}[dim]
    return scaled(image, max(1, sides[0]), max(1, sides[1]), "lanczos")


@node("ImagePadForOutpaint", category="image")
def pad_for_outpaint(
    image: Picture,
    left: Annotated[int, Range(0, MAX_SIDE, step=8), Tip("Pixels added on the left.")] = 0,
    top: Annotated[int, Range(0, MAX_SIDE, step=8), Tip("Pixels added above.")] = 0,
    right: Annotated[int, Range(0, MAX_SIDE, step=8), Tip("Pixels added on the right.")] = 0,
    bottom: Annotated[int, Range(0, MAX_SIDE, step=8), Tip("Pixels added below.")] = 0,
    feathering: Annotated[Place, Tip("How far the mask fades into the picture, in pixels.")] = 40,
) -> ImageAndMask:
    """Pad Image for Outpainting.

    Adds margins to an image, and gives the mask of what is to be painted there.
    """
    return ImageAndMask(*pictures.padded_for_outpaint(image, left, top, right, bottom, feathering))
