"""Images into files with a choice of depth and colour space: PNG, OpenEXR, AVIF."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from typing import Annotated, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from execution.declare.node import Branches, Options, Outcome, Output, Range, Run, Tip, Ui, node
from execution.files.folders import Folders
from execution.files.saving import SavePlace, atomic_write
from nodes.image.encoding import Embedding, write_png
from nodes.image.files import Images, Prefix, not_numbers
from nodes.image.pictures import to_bytes
from nodes.image.transfer import linear_of
from nodes.names import ExtraPngInfo, PromptGraph, prefix_of
from nodes.sockets import Image
from pictures.deep import avif, exr, write_png16

Texts = Mapping[str, str]
HLG_A, HLG_B, HLG_C = 0.17883277, 0.28466892, 0.55991073
"""ITU-R BT.2100, hybrid log-gamma."""


@dataclass(frozen=True)
class Still:
    """A file for each image."""


@dataclass(frozen=True)
class Animated:
    """One file that moves."""

    fps: Annotated[float, Range(0.01, 1000.0, step=0.01), Tip("Images a second.")] = 6.0
    loop_count: Annotated[int, Range(0, 1000), Tip("How often it plays; 0 is for ever.")] = 0


@dataclass(frozen=True)
class Png:
    """Exact, and read everywhere."""

    bit_depth: Annotated[Literal["8-bit", "16-bit"], Tip("Bits for each channel.")] = "8-bit"
    input_color_space: Annotated[Literal["sRGB"], Options(advanced=True), Tip("What the colours are.")] = (
        "sRGB"
    )

    suffix = ".png"

    def write(self, image: Tensor, texts: Texts, place: SavePlace, name: str) -> None:
        """One image as a file."""
        with atomic_write(place.folder / name) as file:
            if self.bit_depth == "16-bit":
                write_png16(file, to_16_bits(image), texts)
            else:
                write_png(file, to_bytes(image), texts)


@dataclass(frozen=True)
class Exr:
    """Light as numbers without a limit, for compositing."""

    bit_depth: Annotated[
        Literal["16-bit float", "32-bit float"], Tip("Bits for each channel; 16 are small and mostly enough.")
    ] = "16-bit float"
    input_color_space: Annotated[
        Literal["sRGB", "HDR", "linear", "linear ACEScg"],
        Options(advanced=True),
        Tip("What the colours are. The file holds linear light of the same primaries."),
    ] = "sRGB"

    suffix = ".exr"

    def write(self, image: Tensor, texts: Texts, place: SavePlace, name: str) -> None:
        """One image as a file."""
        light = image.float().clone()
        if self.input_color_space == "sRGB":
            light[..., :3] = linear_of(light[..., :3])
        elif self.input_color_space == "HDR":
            light[..., :3] = light_of_hlg(light[..., :3])
        primaries = {"HDR": "rec2020", "linear ACEScg": "acescg"}.get(self.input_color_space, "rec709")
        half = self.bit_depth == "16-bit float"
        with atomic_write(place.folder / name) as file:
            file.write(exr(light.cpu().numpy(), half, primaries, texts))


@dataclass(frozen=True)
class Avif:
    """Small, for pages."""

    bit_depth: Annotated[
        Literal["auto", "8-bit YUV420", "10-bit YUV420"], Tip("auto: 8 bits for sRGB, 10 for HDR.")
    ] = "auto"
    input_color_space: Annotated[
        Literal["sRGB", "HDR", "HDR PQ"], Options(advanced=True), Tip("What the colours are.")
    ] = "sRGB"
    crf: Annotated[int, Range(1, 63), Tip("Lower is better and larger.")] = 18
    save_mode: Annotated[
        Still | Animated,
        Branches({"still images": Still, "animated": Animated}),
        Tip("Files or one animation."),
    ] = Still()

    suffix = ".avif"

    def encoded(self, images: Tensor) -> bytes:
        """These images as one file."""
        ten_bits = self.bit_depth.startswith("10") or (
            self.bit_depth == "auto" and self.input_color_space != "sRGB"
        )
        fps, loops = (
            (self.save_mode.fps, self.save_mode.loop_count)
            if isinstance(self.save_mode, Animated)
            else (1.0, 0)
        )
        frames = [to_16_bits(image) for image in images]
        return avif(frames, ten_bits, self.crf, self.input_color_space, fps, loops)

    def write(self, image: Tensor, texts: Texts, place: SavePlace, name: str) -> None:
        """One image as a file."""
        with atomic_write(place.folder / name) as file:
            file.write(self.encoded(image[None]))


NEEDS = {Exr: ("OpenEXR", "hdr"), Avif: ("av", "video")}
"""The package that writes a format, and the extra that installs it."""


@node(
    "SaveImageAdvanced",
    category="image",
    v3=True,
    output_node=True,
    search_aliases=("exr", "16-bit", "avif", "hdr", "export"),
)
def save(
    images: Images,
    filename_prefix: Prefix = "ComfyUI",
    *,
    format: Annotated[
        Png | Exr | Avif,
        Branches({"png": Png, "exr": Exr, "avif": Avif}),
        Tip("PNG is exact, OpenEXR keeps light beyond white, AVIF is smallest."),
    ],
    prompt: PromptGraph = None,
    extra_pnginfo: ExtraPngInfo = None,
    folders: Folders,
    embedding: Embedding,
    run: Run,
) -> Outcome[Annotated[Image, Output("images")]]:
    """Save Image (Advanced).

    Writes images into the output folder with a choice of format, depth and colour space. PNG and OpenEXR keep
    the workflow inside; AVIF does not.
    """
    check(format, images)
    texts = embedding.texts(prompt, extra_pnginfo)
    whole = isinstance(format, Avif) and isinstance(format.save_mode, Animated)
    named = prefix_of(filename_prefix, prompt, extra_pnginfo)
    height, width = images.shape[1:3]
    place = folders.save_place(named, "output", width=width, height=height, count=1 if whole else len(images))
    shown = []
    for number, image in enumerate(images[:1] if whole else images):
        run.check()
        name = place.name(format.suffix, number).replace("%batch_num%", str(number))
        if whole and isinstance(format, Avif):
            run.background(partial(_whole, format, images, place, name))
        else:
            run.background(partial(format.write, image, texts, place, name))
        shown.append({"filename": name, "subfolder": place.subfolder, "type": "output"})
    return Outcome((images,), ui=Ui(images=shown, **not_numbers(images, run)))


def check(format: Png | Exr | Avif, images: Tensor) -> None:
    """ValueError if a format cannot hold these images, or its package is not installed."""
    package, extra = NEEDS.get(type(format), ("", ""))
    if package and find_spec(package) is None:
        raise ValueError(
            f"input 'format': {format.suffix} files need the package {package}; install it with "
            f"pip install 'nodeloom[{extra}]' and start again, or choose png"
        )
    channels = images.shape[-1]
    wanted = (1, 3) if isinstance(format, Avif) else (1, 3, 4)
    if channels not in wanted:
        count = " or ".join(map(str, wanted))
        raise ValueError(f"input 'images' has {channels} channels; {format.suffix} files take {count}")


def to_16_bits(image: Tensor) -> NDArray[np.uint16]:
    """H×W×C in 0…1 as 16-bit values; what is no number becomes 0."""
    levels = (image.float().nan_to_num().clamp(0, 1) * 65535).round().to(torch.int32)
    found: NDArray[np.uint16] = levels.cpu().numpy().astype(np.uint16)
    return found


def light_of_hlg(signal: Tensor) -> Tensor:
    """Scene-linear light of a hybrid log-gamma signal (inverse OETF of ITU-R BT.2100)."""
    high = (((signal - HLG_C) / HLG_A).exp() + HLG_B) / 12
    return torch.where(signal <= 0.5, signal**2 / 3, high)


def _whole(format: Avif, images: Tensor, place: SavePlace, name: str) -> None:
    with atomic_write(place.folder / name) as file:
        file.write(format.encoded(images))
