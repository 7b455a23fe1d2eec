"""Sizes: images and masks brought to one, batches of one, and sides worked out from proportions."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Literal, NamedTuple, TypeVar

import torch
from torch import Tensor

from execution.declare.node import Branches, Grows, Options, Output, Range, Socket, Tip, node
from nodes.image.pictures import same_channels, scaled
from nodes.mask.masking import flat
from nodes.sockets import Image, Latent, LatentValue, Mask
from nodes.widgets import ScaleMethod

Either = TypeVar("Either", Image, Mask)
Side = Annotated[int, Range(0, 8192, step=1)]
Cropped = Annotated[
    Literal["center", "disabled"], Tip("Cut the sides away evenly, or stretch to the new proportions.")
]

RATIOS: Mapping[str, tuple[int, int]] = {
    "1:1 (Square)": (1, 1),
    "2:3 (Portrait Photo)": (2, 3),
    "3:2 (Photo)": (3, 2),
    "3:4 (Portrait Standard)": (3, 4),
    "4:3 (Standard)": (4, 3),
    "9:16 (Portrait Widescreen)": (9, 16),
    "16:9 (Widescreen)": (16, 9),
    "21:9 (Ultrawide)": (21, 9),
}


class Sides(NamedTuple):
    """Width and height in pixels."""

    width: int
    height: int


@dataclass(frozen=True)
class Dimensions:
    """To a width and a height; 0 keeps the proportions."""

    width: Annotated[Side, Tip("In pixels; 0 keeps the proportions.")] = 512
    height: Annotated[Side, Tip("In pixels; 0 keeps the proportions.")] = 512
    crop: Cropped = "center"

    def of(self, width: int, height: int) -> tuple[Sides, str]:
        """The new sides, and how proportions change."""
        if not self.width and not self.height:
            return Sides(width, height), "disabled"
        new_width = self.width or max(1, round(width * self.height / height))
        new_height = self.height or max(1, round(height * self.width / width))
        return Sides(new_width, new_height), self.crop


@dataclass(frozen=True)
class Factor:
    """By a factor."""

    multiplier: Annotated[float, Range(0.01, 8.0, step=0.01), Tip("2 doubles width and height.")] = 1.0

    def of(self, width: int, height: int) -> tuple[Sides, str]:
        """The new sides, and how proportions change."""
        return _by(self.multiplier, width, height)


@dataclass(frozen=True)
class LongerSide:
    """The longer side to a length."""

    longer_size: Annotated[Side, Range(1, 8192), Tip("Of the longer side, in pixels.")] = 512

    def of(self, width: int, height: int) -> tuple[Sides, str]:
        """The new sides, and how proportions change."""
        return _by(self.longer_size / max(width, height), width, height)


@dataclass(frozen=True)
class ShorterSide:
    """The shorter side to a length."""

    shorter_size: Annotated[Side, Range(1, 8192), Tip("Of the shorter side, in pixels.")] = 512

    def of(self, width: int, height: int) -> tuple[Sides, str]:
        """The new sides, and how proportions change."""
        return _by(self.shorter_size / min(width, height), width, height)


@dataclass(frozen=True)
class Width:
    """The width to a length."""

    width: Annotated[Side, Range(1, 8192), Tip("In pixels; the height keeps the proportions.")] = 512

    def of(self, width: int, height: int) -> tuple[Sides, str]:
        """The new sides, and how proportions change."""
        return _by(self.width / width, width, height)


@dataclass(frozen=True)
class Height:
    """The height to a length."""

    height: Annotated[Side, Range(1, 8192), Tip("In pixels; the width keeps the proportions.")] = 512

    def of(self, width: int, height: int) -> tuple[Sides, str]:
        """The new sides, and how proportions change."""
        return _by(self.height / height, width, height)


@dataclass(frozen=True)
class TotalPixels:
    """To a number of pixels."""

    megapixels: Annotated[float, Range(0.01, 16.0, step=0.01), Tip("In units of 1024×1024 pixels.")] = 1.0

    def of(self, width: int, height: int) -> tuple[Sides, str]:
        """The new sides, and how proportions change."""
        return _by(math.sqrt(self.megapixels * 1024 * 1024 / (width * height)), width, height)


@dataclass(frozen=True)
class SameSize:
    """To the size of another image or mask."""

    match: Annotated[Tensor, Socket("IMAGE,MASK"), Tip("The image or mask whose size is taken.")]
    crop: Cropped = "center"

    def of(self, width: int, height: int) -> tuple[Sides, str]:
        """The new sides, and how proportions change."""
        return Sides(*size_of(self.match)), self.crop


@dataclass(frozen=True)
class Multiple:
    """To sides that can be divided."""

    multiple: Annotated[Side, Range(1, 8192), Tip("Width and height become multiples of this.")] = 8

    def of(self, width: int, height: int) -> tuple[Sides, str]:
        """The new sides, and how proportions change: what is too much is cut off evenly."""
        down = (max(self.multiple, side // self.multiple * self.multiple) for side in (width, height))
        return Sides(*down), "center"


Sizing = Dimensions | Factor | LongerSide | ShorterSide | Width | Height | TotalPixels | SameSize | Multiple
SIZINGS: Mapping[str, type[Sizing]] = {
    "scale dimensions": Dimensions,
    "scale by multiplier": Factor,
    "scale longer dimension": LongerSide,
    "scale shorter dimension": ShorterSide,
    "scale width": Width,
    "scale height": Height,
    "scale total pixels": TotalPixels,
    "match size": SameSize,
    "scale to multiple": Multiple,
}


@node("ResizeImageMaskNode", category="transform", v3=True, search_aliases=("resize", "scale", "dimensions"))
def resize(
    input: Annotated[Either, Tip("The image or mask.")],
    resize_type: Annotated[Sizing, Branches(SIZINGS), Tip("What is said of the new size.")],
    scale_method: Annotated[ScaleMethod, Options(default="area")],
) -> Annotated[Either, Output("resized")]:
    """Resize Image/Mask.

    Brings an image or a mask to another size.
    """
    width, height = size_of(input)
    sides, crop = resize_type.of(width, height)
    return resized(input, sides, scale_method, crop)


def size_of(given: Tensor) -> tuple[int, int]:
    """Width and height of an image B×H×W×C or a mask B×H×W (or H×W)."""
    height, width = given.shape[1:3] if given.ndim == 4 else given.shape[-2:]
    return width, height


def resized(given: Tensor, sides: Sides, method: str, crop: str) -> Tensor:
    """An image B×H×W×C or a mask B×H×W in another size, of the same kind."""
    if sides == size_of(given):
        return given
    if given.ndim == 4:
        return scaled(given, *sides, method, crop)
    return scaled(flat(given)[..., None], *sides, method, crop)[..., 0]


def _by(factor: float, width: int, height: int) -> tuple[Sides, str]:
    return Sides(max(1, round(width * factor)), max(1, round(height * factor))), "disabled"


@node("ResolutionSelector", category="utils", v3=True, search_aliases=("aspect ratio", "megapixels", "size"))
def resolution(
    aspect_ratio: Annotated[
        Literal[
            "1:1 (Square)",
            "2:3 (Portrait Photo)",
            "3:2 (Photo)",
            "3:4 (Portrait Standard)",
            "4:3 (Standard)",
            "9:16 (Portrait Widescreen)",
            "16:9 (Widescreen)",
            "21:9 (Ultrawide)",
        ],
        Options(default="1:1 (Square)"),
        Tip("Width to height."),
    ],
    megapixels: Annotated[float, Range(0.1, 16.0, step=0.1), Tip("In units of 1024×1024 pixels.")] = 1.0,
    multiple: Annotated[
        int, Range(8, 128, step=4), Options(advanced=True), Tip("Both sides become multiples of this.")
    ] = 8,
) -> Sides:
    """Resolution Selector.

    Works out width and height from proportions and a number of pixels.
    """
    return sides_for(RATIOS[aspect_ratio], megapixels, multiple)


def sides_for(ratio: tuple[int, int], megapixels: float, multiple: int) -> Sides:
    """The multiples nearest to the sides of so many pixels in these proportions."""
    across, down = ratio
    unit = math.sqrt(megapixels * 1024 * 1024 / (across * down))
    width, height = (max(multiple, round(side * unit / multiple) * multiple) for side in ratio)
    return Sides(width, height)


@node("BatchImagesNode", category="image", v3=True, search_aliases=("batch", "combine images", "stack"))
def batch_images(
    images: Annotated[
        Mapping[str, Image], Grows("image", min=1, max=50), Tip("The first sets the size of all.")
    ],
) -> Image:
    """Batch Images.

    Puts images together into one batch; others are scaled and cut to the size of the first.
    """
    first, *others = images.values()
    sides = Sides(*size_of(first))
    fitted = [first, *(resized(each, sides, "bilinear", "center") for each in others)]
    richest = max(fitted, key=lambda each: each.shape[-1])
    return torch.cat([same_channels(each, richest) for each in fitted])


@node("BatchMasksNode", category="mask", v3=True, search_aliases=("batch", "combine masks", "stack"))
def batch_masks(
    masks: Annotated[
        Mapping[str, Mask], Grows("mask", min=1, max=50), Tip("The first sets the size of all.")
    ],
) -> Mask:
    """Batch Masks.

    Puts masks together into one batch; others are scaled and cut to the size of the first.
    """
    first, *others = map(flat, masks.values())
    sides = Sides(*size_of(first))
    return torch.cat([first, *(resized(each, sides, "bilinear", "center") for each in others)])


@node("BatchLatentsNode", category="latent", v3=True, search_aliases=("batch", "combine latents", "stack"))
def batch_latents(
    latents: Annotated[
        Mapping[str, Latent], Grows("latent", min=1, max=50), Tip("The first sets the size of all.")
    ],
) -> Latent:
    """Batch Latents.

    Puts latents together into one batch; others are scaled to the size of the first.
    """
    first, *others = latents.values()
    shape = first["samples"].shape
    rows = [first["samples"], *(_like(each["samples"], shape) for each in others)]
    numbers = [n for each in latents.values() for n in _numbers(each)]
    joined: LatentValue = {**first, "samples": torch.cat(rows), "batch_index": numbers}
    joined.pop("noise_mask", None)
    return joined


def _like(samples: Tensor, shape: torch.Size) -> Tensor:
    """A latent scaled to the height and width of another."""
    if samples.shape[1:] == shape[1:]:
        return samples
    if samples.shape[1:-2] != shape[1:-2]:
        raise ValueError(
            f"input 'latents': one has {samples.shape[1]} channels, the first {shape[1]}; "
            "they are of different models"
        )
    moved = samples.movedim(1, -1).flatten(0, -4)
    return scaled(moved, shape[-1], shape[-2], "bilinear").movedim(-1, 1).reshape(len(samples), *shape[1:])


def _numbers(latent: LatentValue) -> list[int]:
    return latent.get("batch_index") or list(range(len(latent["samples"])))
