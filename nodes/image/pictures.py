"""The arithmetic of images: `B×H×W×C` tensors between 0 and 1, and their way to and from PIL."""

import math
from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from PIL import Image as PIL
from torch import Tensor

from diffusion.images import resize


def channels_first(image: Tensor) -> Tensor:
    """B×H×W×C → B×C×H×W."""
    return image.movedim(-1, 1)


def channels_last(x: Tensor) -> Tensor:
    """B×C×H×W → B×H×W×C."""
    return x.movedim(1, -1)


def scaled(image: Tensor, width: int, height: int, method: str, crop: str = "disabled") -> Tensor:
    """`image` at another size, by any method of `diffusion.images.resize`."""
    return channels_last(resize(channels_first(image), width, height, method, crop))


def to_bytes(image: Tensor) -> NDArray[np.uint8]:
    """One image (H×W×C, or H×W) as 8-bit numbers, cut off to 0…1 first; NaN becomes black."""
    return (255.0 * image.float().nan_to_num(0.0)).clamp(0, 255).to(torch.uint8).cpu().numpy()


def to_pil(image: Tensor) -> PIL.Image:
    """One image (H×W×C with 1, 3 or 4 channels) as a PIL picture."""
    pixels = to_bytes(image)
    return PIL.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels)


def from_pil(picture: PIL.Image) -> Tensor:
    """A PIL picture as an image, H×W×C (H×W if it has one channel)."""
    return torch.from_numpy(np.asarray(picture).astype(np.float32) / 255.0)


def same_channels(image: Tensor, other: Tensor) -> Tensor:
    """`image` with as many channels as `other`: alpha cut off, or added as opaque."""
    missing = other.shape[-1] - image.shape[-1]
    if missing < 0:
        return image[..., : other.shape[-1]]
    return F.pad(image, (0, missing), value=1.0)


def colour_of(number: int) -> Tensor:
    """Red, green and blue (0…1) of a number 0xRRGGBB."""
    return torch.tensor([(number >> shift & 0xFF) / 255 for shift in (16, 8, 0)])


def yuv_of(image: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Brightness, blue and red difference of an image (B×H×W×3) (ITU-R BT.601), each B×H×W."""
    red, green, blue = image[..., :3].unbind(-1)
    y = 0.299 * red + 0.587 * green + 0.114 * blue
    return y, (blue - y) * 0.564 + 0.5, (red - y) * 0.713 + 0.5


def rgb_of(y: Tensor, u: Tensor, v: Tensor) -> Tensor:
    """The image (B×H×W×3) of a brightness and two differences; the inverse of `yuv_of`."""
    u, v = u - 0.5, v - 0.5
    return torch.stack([y + 1.403 * v, y - 0.714 * v - 0.344 * u, y + 1.773 * u], dim=-1)


def _soft_light(a: Tensor, b: Tensor) -> Tensor:
    """The W3C compositing specification's soft light of `b` on `a`."""
    lifted = torch.where(a <= 0.25, ((16 * a - 12) * a + 4) * a, torch.sqrt(a))
    return torch.where(b <= 0.5, a - (1 - 2 * b) * a * (1 - a), a + (2 * b - 1) * (lifted - a))


BLENDS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "normal": lambda a, b: b,
    "multiply": lambda a, b: a * b,
    "screen": lambda a, b: 1 - (1 - a) * (1 - b),
    "overlay": lambda a, b: torch.where(a <= 0.5, 2 * a * b, 1 - 2 * (1 - a) * (1 - b)),
    "soft_light": _soft_light,
    "difference": lambda a, b: a - b,
}


def blend(image: Tensor, other: Tensor, amount: float, mode: str) -> Tensor:
    """`image` with `amount` of its blend with `other`, which is brought to the same size first."""
    other = same_channels(other, image)
    if other.shape[1:3] != image.shape[1:3]:
        other = scaled(other, image.shape[2], image.shape[1], "bicubic", "center")
    mixed = image * (1 - amount) + BLENDS[mode](image, other) * amount
    return mixed.clamp(0, 1)


def padded_for_outpaint(
    image: Tensor, left: int, top: int, right: int, bottom: int, feathering: int
) -> tuple[Tensor, Tensor]:
    """`image` inside a grey margin, and the mask (1×H×W) of what is to be painted.

    The mask reaches `feathering` pixels into the picture at the sides that grow, falling off as a square.
    """
    batch, height, width, channels = image.shape
    canvas = image.new_full((batch, top + height + bottom, left + width + right, channels), 0.5)
    canvas[:, top : top + height, left : left + width] = image
    mask = image.new_ones(canvas.shape[1:3])
    inner = image.new_zeros(height, width)
    if feathering > 0 and feathering * 2 < height and feathering * 2 < width:
        vertical = _edge_distance(height, bool(top), bool(bottom))
        horizontal = _edge_distance(width, bool(left), bool(right))
        distance = torch.minimum(vertical[:, None], horizontal[None, :]).to(image)
        inner = ((feathering - distance) / feathering).clamp(min=0) ** 2
    mask[top : top + height, left : left + width] = inner
    return canvas, mask[None]


def _edge_distance(size: int, first: bool, last: bool) -> Tensor:
    """For each place, pixels to the first or last edge, of those asked for; `size` where neither is."""
    place = torch.arange(size)
    distance = torch.full((size,), size)
    if first:
        distance = torch.minimum(distance, place)
    if last:
        distance = torch.minimum(distance, size - place)
    return distance


def stitched(first: Tensor, second: Tensor, direction: str, spacing: int, colour: Tensor) -> Tensor:
    """Two images of equal batch side by side: `second` to the right of, below, left of or above `first`.

    `spacing` pixels of `colour` (C) lie between. The shorter is centred on it too where the sides differ.
    """
    level = direction in ("left", "right")
    across, along = (1, 2) if level else (2, 1)
    size = max(first.shape[across], second.shape[across])
    first, second = (_centred(image, size, across, colour) for image in (first, second))
    gap_shape = list(first.shape)
    gap_shape[along] = spacing
    parts = [first, colour.to(first).expand(gap_shape), second]
    return torch.cat(parts if direction in ("right", "down") else parts[::-1], dim=along)


def _centred(image: Tensor, size: int, dim: int, colour: Tensor) -> Tensor:
    """`image` with `colour` (C) on both sides of `dim` until it measures `size` there."""
    shape = list(image.shape)
    shape[dim] = size
    before = (size - image.shape[dim]) // 2
    out = colour.to(image).expand(shape).clone()
    out.narrow(dim, before, image.shape[dim]).copy_(image)
    return out


def quantized(image: Tensor, colours: int, dither: str) -> Tensor:
    """One image (H×W×3) reduced to `colours` of its own, by median cut.

    `dither` is none, floyd-steinberg, or bayer-N for an ordered N×N pattern.
    """
    picture = PIL.fromarray(to_bytes(image))
    palette = picture.quantize(colors=colours)
    if dither.startswith("bayer"):
        picture = _ordered(picture, int(dither.split("-")[1]), palette)
    diffusion = PIL.Dither.FLOYDSTEINBERG if dither == "floyd-steinberg" else PIL.Dither.NONE
    return from_pil(picture.quantize(colors=colours, palette=palette, dither=diffusion).convert("RGB"))


def _ordered(picture: PIL.Image, order: int, palette: PIL.Image) -> PIL.Image:
    """`picture` with an `order`×`order` Bayer pattern added, as strong as two steps of the palette."""
    count = len(palette.getpalette() or []) // 3
    pattern = 2 * 256 / count * bayer(order) + 0.5
    height, width = picture.height, picture.width
    tiled = np.tile(pattern, (math.ceil(height / order), math.ceil(width / order)))[:height, :width, None]
    return PIL.fromarray(np.clip(np.asarray(picture) + tiled, 0, 255).astype(np.uint8))


def bayer(order: int) -> NDArray[np.float32]:
    """Bayer's `order`×`order` threshold matrix (1973), order a power of two, its values centred on 0."""
    index = np.zeros((1, 1))
    while len(index) < order:
        index = np.block([[4 * index, 4 * index + 2], [4 * index + 3, 4 * index + 1]])
    return ((index + 0.5) / order**2 - 0.5).astype(np.float32)
