"""Masks: making, combining, growing, and their way to and from images."""

from typing import Annotated, Literal

import torch

from diffusion.images import to_batch
from execution.declare.node import Choice, Range, Tip, node
from nodes.image import composites
from nodes.image.pictures import scaled
from nodes.mask import masking
from nodes.sockets import Image, ImageAndMask, Mask, Picture
from nodes.widgets import MAX_SIDE, Colour, Pixels, Place

CHANNELS = ("red", "green", "blue", "alpha")

AnyMask = Annotated[Mask, Tip("The mask.")]


@node("SolidMask", category="mask")
def solid(
    value: Annotated[float, Range(0.0, 1.0, step=0.01), Tip("1 applies everywhere, 0 nowhere.")] = 1.0,
    width: Annotated[Pixels, Tip("In pixels.")] = 512,
    height: Annotated[Pixels, Tip("In pixels.")] = 512,
) -> Mask:
    """SolidMask.

    A mask of one value.
    """
    return torch.full((1, height, width), value)


@node("InvertMask", category="mask")
def invert(mask: AnyMask) -> Mask:
    """InvertMask.

    What applied does no more, and the other way round.
    """
    return 1.0 - mask


@node("CropMask", category="mask")
def crop(
    mask: AnyMask,
    x: Annotated[Place, Tip("The piece's left edge.")] = 0,
    y: Annotated[Place, Tip("The piece's upper edge.")] = 0,
    width: Annotated[Pixels, Tip("Of the piece, in pixels.")] = 512,
    height: Annotated[Pixels, Tip("Of the piece, in pixels.")] = 512,
) -> Mask:
    """CropMask.

    Cuts a piece out of a mask; what lies outside is left off.
    """
    mask = masking.flat(mask)
    left, top = min(x, mask.shape[2] - 1), min(y, mask.shape[1] - 1)
    return mask[:, top : top + height, left : left + width]


@node("MaskComposite", category="mask")
def composite(
    destination: Annotated[Mask, Tip("The mask below.")],
    source: Annotated[Mask, Tip("The mask worked into it.")],
    x: Annotated[Place, Tip("The source's left edge in the destination.")] = 0,
    y: Annotated[Place, Tip("The source's upper edge in the destination.")] = 0,
    *,
    operation: Annotated[
        Literal["multiply", "add", "subtract", "and", "or", "xor"],
        Tip("How the values of both are combined; the last three round them to no or yes first."),
    ],
) -> Mask:
    """MaskComposite.

    Combines two masks.
    """
    return masking.combine(masking.flat(destination), masking.flat(source), x, y, operation)


@node("FeatherMask", category="mask")
def feather(
    mask: AnyMask,
    left: Annotated[Place, Tip("How far it fades at the left, in pixels.")] = 0,
    top: Annotated[Place, Tip("How far it fades above, in pixels.")] = 0,
    right: Annotated[Place, Tip("How far it fades at the right, in pixels.")] = 0,
    bottom: Annotated[Place, Tip("How far it fades below, in pixels.")] = 0,
) -> Mask:
    """FeatherMask.

    Lets a mask fade out towards its borders.
    """
    return masking.feather(masking.flat(mask), left, top, right, bottom)


@node("GrowMask", category="mask")
def grow(
    mask: AnyMask,
    expand: Annotated[
        int, Range(-MAX_SIDE, MAX_SIDE, step=1), Tip("By how many pixels; negative shrinks the mask.")
    ] = 0,
    tapered_corners: Annotated[bool, Tip("Cut the corners instead of keeping them square.")] = True,
) -> Mask:
    """GrowMask.

    Widens a mask, or shrinks it.
    """
    return masking.grow(masking.flat(mask), expand, tapered_corners)


@node("ThresholdMask", category="mask")
def threshold(
    mask: AnyMask,
    value: Annotated[float, Range(0.0, 1.0, step=0.01), Tip("Above this it becomes 1, else 0.")] = 0.5,
) -> Mask:
    """ThresholdMask.

    Makes a mask hard.
    """
    return (mask > value).float()


@node("MaskToImage", category="mask")
def to_image(mask: AnyMask) -> Image:
    """Convert Mask to Image.

    Shows a mask as a grey image, white where it applies.
    """
    return masking.flat(mask)[..., None].expand(-1, -1, -1, 3)


@node("ImageToMask", category="mask")
def from_image(
    image: Picture,
    channel: Annotated[str, Choice(CHANNELS), Tip("The channel that becomes the mask.")],
) -> Mask:
    """Convert Image to Mask.

    Takes one channel of an image as a mask.
    """
    index = CHANNELS.index(channel)
    if index >= image.shape[3]:
        raise ValueError(
            f"input 'image' has {image.shape[3]} channels and so no {channel} one; choose another channel"
        )
    return image[..., index]


@node("ImageColorToMask", category="mask")
def from_colour(
    image: Picture,
    color: Annotated[Colour, Tip("The colour that is looked for.")] = 0,
) -> Mask:
    """ImageColorToMask.

    Marks the pixels of exactly one colour.
    """
    bytes_ = (image[..., :3].clamp(0, 1) * 255.0).round().to(torch.int32)
    wanted = torch.tensor([color >> shift & 0xFF for shift in (16, 8, 0)], device=image.device)
    return (bytes_ == wanted).all(-1).float()


@node("JoinImageWithAlpha", category="mask/compositing")
def join_alpha(image: Picture, alpha: Annotated[Mask, Tip("Where the image becomes transparent.")]) -> Image:
    """Join Image with Alpha.

    Adds transparency to an image.
    """
    size = max(image.shape[0], masking.flat(alpha).shape[0])
    opacity = 1.0 - to_batch(masking.resized(alpha, *image.shape[1:3]), size)
    return torch.cat([to_batch(image, size)[..., :3], opacity[..., None].to(image)], dim=-1)


@node("SplitImageWithAlpha", category="mask/compositing")
def split_alpha(image: Picture) -> ImageAndMask:
    """Split Image with Alpha.

    Takes the transparency of an image away and gives it as a mask.
    """
    if image.shape[3] < 4:
        return ImageAndMask(image[..., :3], torch.zeros_like(image[..., 0]))
    return ImageAndMask(image[..., :3], 1.0 - image[..., 3])


@node("PorterDuffImageComposite", category="mask/compositing", v3=True)
def porter_duff(
    source: Annotated[Image, Tip("The image above.")],
    source_alpha: Annotated[Mask, Tip("Where the source is transparent, as LoadImage's mask says.")],
    destination: Annotated[Image, Tip("The image below; it sets the size.")],
    destination_alpha: Annotated[Mask, Tip("Where the destination is transparent.")],
    mode: Annotated[str, Choice(composites.OPERATORS), Tip("The Porter-Duff operator or blend.")] = "DST",
) -> ImageAndMask:
    """Porter-Duff Image Composite.

    Combines two images and their transparencies by a Porter-Duff operator. Masks, also the one that comes
    out, are 1 where an image is transparent.
    """
    height, width = destination.shape[1:3]
    size = min(len(source), len(source_alpha), len(destination), len(destination_alpha))
    if source.shape[1:3] != destination.shape[1:3]:
        source = scaled(source, width, height, "bicubic", "center")
    alphas = [
        1.0
        - (
            scaled(mask[..., None], width, height, "bicubic", "center")[..., 0]
            if mask.shape[1:] != (height, width)
            else mask
        )
        for mask in (source_alpha, destination_alpha)
    ]
    image, alpha = composites.porter_duff(
        source[:size, ..., :3], alphas[0][:size], destination[:size, ..., :3], alphas[1][:size], mode
    )
    return ImageAndMask(image, 1.0 - alpha)
