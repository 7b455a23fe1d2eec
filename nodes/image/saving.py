"""Pictures into files of other kinds than still PNG: WebP, JPEG, AVIF, animations, drawings."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from html import escape
from io import BytesIO
from typing import IO, Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image as PIL
from PIL import features
from torch import Tensor

from execution.declare.node import Multiline, Range, Run, Socket, Tip, Ui, node
from execution.files.folders import Folders, atomic_write
from execution.files.saving import SavePlace
from nodes.image.encoding import Embedding, picture
from nodes.image.files import Images, Prefix, not_numbers, pixels_of
from nodes.names import ExtraPngInfo, PromptGraph, prefix_of
from pictures.texts import JPEG_EXIF_LIMIT, exif_block, png_chunks

Pixels = NDArray[np.uint8]
FramesPerSecond = Annotated[float, Range(0.01, 1000.0, step=0.01), Tip("Pictures a second.")]
SUFFIXES = {"WebP": ".webp", "PNG": ".png", "JPEG": ".jpg", "AVIF": ".avif"}
METHODS = {"default": 4, "fastest": 0, "slowest": 6}


@dataclass
class Svg:
    """Drawings: the bytes of each SVG document."""

    data: list[BytesIO]


Drawings = Annotated[Svg, Socket("SVG")]


@node("SavePicture", category="image", output_node=True, search_aliases=("webp", "jpeg", "jpg", "avif"))
def save_picture(
    images: Images,
    filename_prefix: Prefix = "ComfyUI",
    format: Annotated[
        Literal["WebP", "PNG", "JPEG", "AVIF"],
        Tip("PNG is exact and large, WebP small or exact, JPEG read everywhere, AVIF smallest and slow."),
    ] = "WebP",
    quality: Annotated[int, Range(1, 100), Tip("How much is kept by WebP, JPEG and AVIF.")] = 90,
    lossless: Annotated[
        bool, Tip("WebP only: keep every pixel; `quality` is then how hard it tries.")
    ] = False,
    keep_workflow: Annotated[
        bool, Tip("Write the workflow into the file; switch off for a clean copy to share.")
    ] = True,
    prompt: PromptGraph = None,
    extra_pnginfo: ExtraPngInfo = None,
    *,
    folders: Folders,
    embedding: Embedding,
    run: Run,
) -> Ui:
    """Save Image (WebP, PNG, JPEG, AVIF).

    Writes images into the output folder in the format of your choice, with the workflow inside.
    """
    if format == "AVIF" and not features.check("avif"):
        raise ValueError("input 'format': this Pillow was built without AVIF; choose WebP, or update Pillow")
    texts = embedding.texts(prompt, extra_pnginfo) if keep_workflow else {}
    place = _place(images, filename_prefix, prompt, extra_pnginfo, folders, len(images))
    options = _options(format, texts, quality, lossless, run)
    shown = []
    for number, pixels in enumerate(pixels_of(images, run)):
        name = place.name(SUFFIXES[format], number).replace("%batch_num%", str(number))
        run.background(_writer(place, name, partial(_write, frames=[pixels], options=options)))
        shown.append({"filename": name, "subfolder": place.subfolder, "type": "output"})
    return Ui(images=shown, **not_numbers(images, run))


@node("SaveAnimatedPNG", category="image/animation", output_node=True)
def save_animated_png(
    images: Images,
    filename_prefix: Prefix = "ComfyUI",
    fps: FramesPerSecond = 6.0,
    compress_level: Annotated[int, Range(0, 9), Tip("0 is fast, 9 small; the picture is the same.")] = 4,
    prompt: PromptGraph = None,
    extra_pnginfo: ExtraPngInfo = None,
    *,
    folders: Folders,
    embedding: Embedding,
    run: Run,
) -> Ui:
    """SaveAnimatedPNG.

    Writes a batch as one animated PNG, with the workflow inside.
    """
    texts = embedding.texts(prompt, extra_pnginfo)
    place = _place(images, filename_prefix, prompt, extra_pnginfo, folders)
    options = {"format": "PNG", "pnginfo": png_chunks(texts), "compress_level": compress_level}
    return _animated(images, place, ".png", options | _timing(fps), run)


@node("SaveAnimatedWEBP", category="image/animation", output_node=True)
def save_animated_webp(
    images: Images,
    filename_prefix: Prefix = "ComfyUI",
    fps: FramesPerSecond = 6.0,
    lossless: Annotated[bool, Tip("Keep every pixel.")] = True,
    quality: Annotated[int, Range(0, 100), Tip("How much is kept; if lossless, how hard it tries.")] = 80,
    *,
    method: Annotated[Literal["default", "fastest", "slowest"], Tip("Slower makes smaller files.")],
    prompt: PromptGraph = None,
    extra_pnginfo: ExtraPngInfo = None,
    folders: Folders,
    embedding: Embedding,
    run: Run,
) -> Ui:
    """SaveAnimatedWEBP.

    Writes a batch as one animated WebP, with the workflow inside.
    """
    texts = embedding.texts(prompt, extra_pnginfo)
    place = _place(images, filename_prefix, prompt, extra_pnginfo, folders)
    options = _options("WebP", texts, quality, lossless, run) | {"method": METHODS[method]}
    return _animated(images, place, ".webp", options | _timing(fps), run)


@node("TextToSVG", category="image/save", search_aliases=("svg", "vector", "drawing"))
def text_to_svg(
    text: Annotated[str, Multiline(), Tip("A document that begins with <svg …> and ends with </svg>.")],
) -> Drawings:
    """Text to SVG.

    Takes a text for a drawing, so that it can be saved as one.
    """
    document = text.strip()
    if "<svg" not in document or not document.endswith(("</svg>", "/>")):
        raise ValueError("input 'text' is no SVG document: it must hold <svg …> and end with </svg>")
    return Svg([BytesIO(document.encode())])


@node("SaveSVGNode", category="image/save", output_node=True)
def save_svg(
    svg: Annotated[Drawings, Tip("The drawings.")],
    filename_prefix: Prefix = "svg/ComfyUI",
    prompt: PromptGraph = None,
    extra_pnginfo: ExtraPngInfo = None,
    *,
    folders: Folders,
    embedding: Embedding,
    run: Run,
) -> Ui:
    """SaveSVGNode.

    Writes drawings into the output folder, with the workflow inside.
    """
    texts = embedding.texts(prompt, extra_pnginfo)
    prefix = prefix_of(filename_prefix, prompt, extra_pnginfo)
    place = folders.save_place(prefix, "output", count=len(svg.data))
    shown = []
    for number, drawing in enumerate(svg.data):
        document = with_texts(drawing.getvalue().decode("utf-8"), texts).encode()
        name = place.name(".svg", number).replace("%batch_num%", str(number))
        run.background(_writer(place, name, partial(_put, document)))
        shown.append({"filename": name, "subfolder": place.subfolder, "type": "output"})
    return Ui(images=shown)


def with_texts(document: str, texts: Mapping[str, str]) -> str:
    """An SVG document with `texts` in a `metadata` element, one `{"key": …}` object of JSON.

    Raises:
        ValueError: there is no `svg` element.
    """
    start = document.find("<svg")
    end = document.find(">", start)
    if start < 0 or end < 0:
        raise ValueError("input 'svg' is no SVG document: it has no <svg> element")
    if not texts or document[end - 1] == "/":
        return document
    inside = "{" + ", ".join(f"{json.dumps(key)}: {text}" for key, text in texts.items()) + "}"
    return f"{document[: end + 1]}<metadata>{escape(inside, quote=False)}</metadata>{document[end + 1 :]}"


def _place(
    images: Tensor,
    prefix: str,
    prompt: dict[str, Any] | None,
    extra: dict[str, Any] | None,
    folders: Folders,
    count: int = 1,
) -> SavePlace:
    named = prefix_of(prefix, prompt, extra)
    return folders.save_place(named, "output", width=images.shape[2], height=images.shape[1], count=count)


def _options(format: str, texts: Mapping[str, str], quality: int, lossless: bool, run: Run) -> dict[str, Any]:
    """How PIL should save, with `texts` where the format can hold them."""
    if format == "PNG":
        return {"format": "PNG", "pnginfo": png_chunks(texts), "compress_level": 4}
    block, left_out = exif_block(texts, JPEG_EXIF_LIMIT if format == "JPEG" else None)
    if left_out:
        names = " and ".join(left_out)
        run.notice(f"a JPEG holds 64 KB of text at most, so {names} is left out; WebP and PNG hold more")
    options = {"format": format.upper(), "quality": quality} | ({"exif": block} if block else {})
    return options | ({"lossless": lossless} if format == "WebP" else {})


def _timing(fps: float) -> dict[str, Any]:
    return {"duration": int(1000.0 / fps), "loop": 0}


def _animated(images: Tensor, place: SavePlace, suffix: str, options: dict[str, Any], run: Run) -> Ui:
    frames = list(pixels_of(images, run))
    name = place.name(suffix)
    run.background(_writer(place, name, partial(_write, frames=frames, options=options | {"save_all": True})))
    shown = [{"filename": name, "subfolder": place.subfolder, "type": "output"}]
    return Ui(images=shown, animated=[True], **not_numbers(images, run))


def _write(file: IO[bytes], frames: list[Pixels], options: Mapping[str, Any]) -> None:
    first, *others = (_fitting(picture(each), str(options["format"])) for each in frames)
    more: dict[str, Any] = {"append_images": others} if others else {}
    first.save(file, **options, **more)


def _put(content: bytes, file: IO[bytes]) -> None:
    file.write(content)


def _fitting(shown: PIL.Image, format: str) -> PIL.Image:
    """A JPEG has no transparency."""
    return shown.convert("RGB") if format == "JPEG" else shown


def _writer(place: SavePlace, name: str, write: Callable[[IO[bytes]], Any]) -> Callable[[], None]:
    def work() -> None:
        with atomic_write(place.folder / name) as file:
            write(file)

    return work
