"""Folders of pictures to learn from, with or without a text beside each."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from diffusion.images import resize
from execution.declare.node import Choice, Range, Run, Spare, Tip, node
from execution.files.folders import Folders
from execution.files.identity import Stamp, stamp_of
from nodes.image.decoding import read_image
from nodes.sockets import Clip, Conditioning, Image
from nodes.text.text import encoded
from nodes.text.text import present as present_clip

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif")


def folders_of_input(folders: Folders) -> list[str]:
    """The folders in the input folder."""
    return (
        sorted(each.name for each in folders.input.iterdir() if each.is_dir())
        if folders.input.is_dir()
        else []
    )


SetFolder = Annotated[str, Choice(folders_of_input), Tip("A folder in the input folder.")]
Resizing = Annotated[
    Literal["None", "Stretch", "Crop", "Pad"],
    Spare(),
    Tip("How pictures of different sizes are brought to one: squeezed, cut, or with black edges."),
]
GivenSide = Annotated[
    int, Range(-1, 10000, step=1), Spare(), Tip("In pixels; -1 is that of the first picture.")
]


class ImagesAndTexts(NamedTuple):
    """Pictures and what steers towards each."""

    IMAGE: Image
    CONDITIONING: Conditioning


def stamps(folder: str, folders: Folders) -> list[Stamp]:
    """What lies in a set, so that a change is seen."""
    paths = sorted(folders.inside("input", folder).rglob("*"))
    return [stamp_of(path) for path in paths if path.is_file()]


@node("LoadImageSetFromFolderNode", category="loaders", experimental=True, fingerprint=stamps)
def load_image_set(
    folder: SetFolder, resize_method: Resizing = "None", *, folders: Folders, run: Run
) -> Image:
    """Load Image Dataset from Folder.

    Reads all pictures of a folder as a batch. Of folders in it called 3_name each picture comes 3 times.
    """
    paths = pictures_in(folders.inside("input", folder))
    return together(paths, resize_method, (-1, -1), run)


@node("LoadImageTextSetFromFolderNode", category="loaders", experimental=True, fingerprint=stamps)
def load_image_text_set(
    folder: SetFolder,
    clip: Annotated[Clip, Tip("The text encoder.")],
    resize_method: Resizing = "None",
    width: GivenSide = -1,
    height: GivenSide = -1,
    *,
    folders: Folders,
    run: Run,
) -> ImagesAndTexts:
    """Load Image and Text Dataset from Folder.

    Reads all pictures of a folder, and for each the text in the file of the same name that ends in .txt.
    """
    clip = present_clip(clip, run)
    paths = pictures_in(folders.inside("input", folder))
    lines = [line for path in paths for line in encoded(clip, clip.tokenize(text_beside(path)), run)]
    return ImagesAndTexts(together(paths, resize_method, (width, height), run), lines)


def pictures_in(folder: Path) -> list[Path]:
    """The pictures of a set, by name; those in folders `N_name` N times.

    Raises:
        ValueError: there is none.
    """
    found = [path for path in sorted(folder.iterdir()) if path.suffix.lower() in SUFFIXES]
    for inner, times in repeated(folder):
        found += [path for path in sorted(inner.iterdir()) if path.suffix.lower() in SUFFIXES] * times
    if not found:
        raise ValueError(f"input 'folder': {folder.name!r} holds no picture ({', '.join(SUFFIXES)})")
    return found


def repeated(folder: Path) -> Iterator[tuple[Path, int]]:
    """The folders in a set, and how often their pictures count."""
    for inner in sorted(each for each in folder.iterdir() if each.is_dir()):
        said = re.match(r"(\d{1,4})_", inner.name)
        if said:
            yield inner, int(said[1])


def text_beside(path: Path) -> str:
    """The text that belongs to a picture; empty if there is none."""
    text = path.with_suffix(".txt")
    return text.read_text(encoding="utf-8", errors="replace").strip() if text.is_file() else ""


def together(paths: list[Path], method: str, size: tuple[int, int], run: Run) -> Tensor:
    """The pictures as one batch; a width or height of -1 is that of the first.

    Raises:
        ValueError: sizes differ and are to stay as they are.
    """
    images = []
    for path in paths:
        run.check()
        images.append(read_image(path, run.check)[0][:1].movedim(-1, 1))
    first = images[0].shape
    width, height = (
        given if given > 0 else own for given, own in zip(size, (first[3], first[2]), strict=True)
    )
    if method == "None" and any(each.shape[2:] != (height, width) for each in images):
        other = next(
            path for path, each in zip(paths, images, strict=True) if each.shape[2:] != (height, width)
        )
        raise ValueError(
            f"input 'resize_method': {other.name!r} is not {width}×{height}; choose Stretch, Crop or Pad"
        )
    return torch.cat([_fitted(each, width, height, method) for each in images]).movedim(1, -1)


def _fitted(image: Tensor, width: int, height: int, method: str) -> Tensor:
    if image.shape[2:] == (height, width):
        return image
    if method == "Pad":
        scale = min(width / image.shape[3], height / image.shape[2])
        inner = max(1, round(image.shape[3] * scale)), max(1, round(image.shape[2] * scale))
        left, top = (width - inner[0]) // 2, (height - inner[1]) // 2
        edges = (left, width - inner[0] - left, top, height - inner[1] - top)
        return F.pad(resize(image, *inner, "bilinear"), edges)
    return resize(image, width, height, "bilinear", "center" if method == "Crop" else "disabled")
