"""The arithmetic of ControlNet hints without a network: strokes, lines, tiles, light, depth, normals."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from nodes.image.filters import dilated
from nodes.image.pictures import channels_first, channels_last, scaled

BRIGHTNESS = (0.299, 0.587, 0.114)  # ITU-R BT.601


def smooth(x: Tensor, sigma: float) -> Tensor:
    """`x` (B×C×H×W) blurred by a Gaussian of `sigma` pixels, its border repeated beyond itself."""
    radius = max(1, math.ceil(3 * sigma))
    axis = torch.arange(-radius, radius + 1, dtype=x.dtype, device=x.device)
    kernel = torch.exp(-(axis**2) / (2 * sigma**2))
    kernel = (kernel / kernel.sum()).expand(x.shape[1], 1, 1, -1)
    x = F.conv2d(F.pad(x, (radius, radius, 0, 0), mode="replicate"), kernel, groups=x.shape[1])
    return F.conv2d(F.pad(x, (0, 0, radius, radius), mode="replicate"), kernel.mT, groups=x.shape[1])


def darker_than_around(image: Tensor, fine: float, coarse: float) -> Tensor:
    """How much darker, in its least different colour, each place is than its surroundings, B×1×H×W.

    A difference of Gaussians (`fine` 0: of the picture itself), as in Winnemöller's XDoG (2012).
    """
    x = channels_first(image[..., :3].float())
    near = smooth(x, fine) if fine > 0 else x
    return (smooth(x, coarse) - near).amin(1, keepdim=True).clamp(min=0)


def scribble(image: Tensor, threshold: float, thickness: int) -> Tensor:
    """Strokes where the picture is darker than around, white on black."""
    strokes = (2 * darker_than_around(image, 0.5, 5.0) > threshold).float()
    return as_image(dilated(strokes, thickness) if thickness > 1 else strokes)


def line_art(image: Tensor, sigma: float, floor: float) -> Tensor:
    """Soft lines, white on black, as bright in a faint drawing as in a bold one.

    Each picture is divided by twice the median of what is stronger than `floor`.
    """
    lines = darker_than_around(image, 0.0, sigma)
    rows = []
    for row in lines:
        strong = row[row > floor]
        usual = max(float(strong.median()), 16 / 255) if strong.numel() else 1.0
        rows.append((row / usual * (127 / 255)).clamp(0, 1))
    return as_image(torch.stack(rows))


def tile(image: Tensor, halvings: int) -> Tensor:
    """The picture without its fine detail: halved so often, and brought back to its size."""
    height, width = image.shape[1:3]
    small = max(1, width >> halvings), max(1, height >> halvings)
    return scaled(scaled(image, *small, "area"), width, height, "bicubic").clamp(0, 1)


def lightness(image: Tensor, measure: str, gamma: float) -> Tensor:
    """A picture's light without its colours: weighted as the eye does, or (`intensity`) the strongest."""
    colours = image[..., :3].float()
    weights = torch.tensor(BRIGHTNESS).to(colours)
    grey = (
        (colours * weights).sum(-1, keepdim=True)
        if measure == "luminance"
        else colours.amax(-1, keepdim=True)
    )
    return (grey.clamp(0, 1) ** gamma).expand(-1, -1, -1, 3)


def depth(image: Tensor, near_is_white: bool, cut: float) -> Tensor:
    """A depth picture stretched over all greys, near things white; `cut` of either end is cut off first."""
    grey = image[..., :3].float().mean(-1)
    flat = grey.flatten(1)
    low, high = (torch.quantile(_few(flat), at, dim=1)[:, None, None] for at in (cut, 1 - cut))
    stretched = ((grey - low) / (high - low).clamp(min=1e-6)).clamp(0, 1)
    stretched = torch.where(high - low > 1e-6, stretched, grey)
    return (stretched if near_is_white else 1 - stretched)[..., None].expand(-1, -1, -1, 3)


def _few(values: Tensor, most: int = 1 << 20) -> Tensor:
    """Evenly spread ones of many values: quantiles need no more, and take no more."""
    return values[:, :: max(1, values.shape[1] // most)][:, :most]


def normals(depths: Tensor, strength: float, sigma: float, green_up: bool) -> Tensor:
    """The directions that surfaces face, from how near they are (white is near): x red, y green, z blue.

    A slope that falls to the right faces right, and is red. With `green_up` one that falls upwards is green.
    """
    height = depths[..., :3].float().mean(-1)[:, None]
    height = smooth(height, sigma) if sigma > 0 else height
    sobel = torch.tensor([[-1.0, 0.0, 1.0], [-2.0, 0.0, 2.0], [-1.0, 0.0, 1.0]], device=height.device) / 8
    padded = F.pad(height, (1, 1, 1, 1), mode="replicate")
    across, down = F.conv2d(padded, torch.stack([sobel, sobel.T])[:, None]).unbind(1)
    scale = strength * max(height.shape[-2:])
    facing = torch.stack(
        [-across * scale, (down if green_up else -down) * scale, torch.ones_like(across)], dim=-1
    )
    return F.normalize(facing, dim=-1) / 2 + 0.5


def as_image(x: Tensor) -> Tensor:
    """B×1×H×W as a grey image."""
    return channels_last(x).expand(-1, -1, -1, 3)
