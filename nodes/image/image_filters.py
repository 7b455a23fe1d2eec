"""Images: smoothing, sharpening, fewer colours, noise, shapes and edges."""

from typing import Annotated, Literal

import torch

from execution.declare.node import Range, Run, Tip, node
from nodes.image import filters, pictures
from nodes.image.pictures import channels_first, channels_last
from nodes.sockets import Image, Picture
from nodes.widgets import Seed


@node("ImageBlur", category="image/postprocessing", display_name=None)
def blur(
    image: Picture,
    blur_radius: Annotated[int, Range(1, 31, step=1), Tip("How far it smooths, in pixels.")] = 1,
    sigma: Annotated[float, Range(0.1, 10.0, step=0.1), Tip("How evenly the pixels in reach count.")] = 1.0,
) -> Image:
    """Blur Image.

    Smooths an image with a Gaussian.
    """
    return filters.blurred(image, blur_radius, sigma)


@node("ImageSharpen", category="image/postprocessing", display_name=None)
def sharpen(
    image: Picture,
    sharpen_radius: Annotated[int, Range(1, 31, step=1), Tip("How coarse the details are, in pixels.")] = 1,
    sigma: Annotated[float, Range(0.1, 10.0, step=0.01), Tip("How evenly the pixels in reach count.")] = 1.0,
    alpha: Annotated[float, Range(0.0, 5.0, step=0.01), Tip("How strongly.")] = 1.0,
) -> Image:
    """Sharpen Image.

    Raises the contrast of details.
    """
    return filters.sharpened(image, sharpen_radius, sigma, alpha)


@node("ImageQuantize", category="image/postprocessing", display_name=None, v3=True)
def quantize(
    image: Picture,
    colors: Annotated[int, Range(1, 256, step=1), Tip("How many colours are left.")] = 256,
    *,
    dither: Annotated[
        Literal["none", "floyd-steinberg", "bayer-2", "bayer-4", "bayer-8", "bayer-16"],
        Tip("Mixes colours by a pattern of dots: by spreading the error, or by an ordered grid."),
    ],
    run: Run,
) -> Image:
    """Quantize Image.

    Reduces an image to a few colours.
    """
    rows = []
    for row in image[..., :3]:
        run.check()
        rows.append(pictures.quantized(row, colors, dither))
    return torch.stack(rows)


@node("ImageAddNoise", category="image")
def add_noise(
    image: Picture,
    seed: Seed = 0,
    strength: Annotated[float, Range(0.0, 1.0, step=0.01), Tip("How strong the noise is.")] = 0.5,
) -> Image:
    """ImageAddNoise.

    Adds Gaussian noise to an image.
    """
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn(image.shape, generator=generator).to(image)
    return (image + strength * noise).clamp(0, 1)


@node("Morphology", category="image/postprocessing", display_name="ImageMorphology", v3=True)
def morphology(
    image: Picture,
    operation: Annotated[
        Literal["erode", "dilate", "open", "close", "gradient", "bottom_hat", "top_hat"],
        Tip("Erode shrinks bright parts, dilate widens them; the others are built from the two."),
    ],
    kernel_size: Annotated[int, Range(3, 999, step=1), Tip("The side of the square looked at.")] = 3,
) -> Image:
    """ImageMorphology.

    Shrinks or widens the bright parts of an image.
    """
    return channels_last(filters.MORPHOLOGY[operation](channels_first(image), kernel_size))


@node("Canny", category="image/preprocessors", display_name=None)
def canny(
    image: Picture,
    low_threshold: Annotated[
        float, Range(0.01, 0.99, step=0.01), Tip("Fainter edges than this are dropped.")
    ] = 0.4,
    high_threshold: Annotated[
        float, Range(0.01, 0.99, step=0.01), Tip("Edges from here on are kept, and what hangs on them.")
    ] = 0.8,
) -> Image:
    """Canny.

    Draws the edges of an image, white on black.
    """
    if low_threshold > high_threshold:
        problem = f"input 'low_threshold' ({low_threshold}) is above 'high_threshold' ({high_threshold})"
        raise ValueError(f"{problem}; exchange them")
    return filters.canny(image, low_threshold, high_threshold)[..., None].expand(-1, -1, -1, 3)
