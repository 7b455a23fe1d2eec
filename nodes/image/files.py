"""Pictures and latents from files and into files."""

import logging
import math
import secrets
from collections.abc import Iterator
from typing import Annotated, Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import save
from torch import Tensor

from diffusion.weights.files import open_weights
from execution.declare.node import Folder, Options, Preview, Range, Run, Socket, Tip, Ui, node
from execution.files.folders import Folders, atomic_write
from execution.files.saving import SavePlace
from nodes.image.decoding import read_channel, read_image
from nodes.image.encoding import Embedding, png, write_png
from nodes.image.pictures import to_bytes
from nodes.names import ExtraPngInfo, PromptGraph, prefix_of
from nodes.sockets import Image, ImageAndMask, Latent, LatentValue, Mask
from nodes.widgets import MAX_SIDE
from pictures.budget import Budgets

log = logging.getLogger(__name__)

InputImage = Annotated[
    str, Folder("input:image"), Options(image_upload=True), Tip("A picture in the input folder.")
]
OutputImage = Annotated[
    str,
    Folder("output:image"),
    Socket("COMBO"),
    Options(
        image_upload=True,
        image_folder="output",
        remote={
            "route": "/internal/files/output",
            "refresh_button": True,
            "control_after_refresh": "first",
        },
    ),
    Tip("A picture in the output folder."),
]
Prefix = Annotated[
    str,
    Tip(
        "The start of the file's name; a slash makes a folder. "
        "%date:yyyy-MM-dd%, %width%, %height% and %KSampler.seed% (any node and widget) are filled in."
    ),
]
Images = Annotated[Image, Tip("The images.")]
OLD_LATENT_SCALE = 1 / 0.18215  # of files from before latents were kept unscaled


@node("LoadImage", category="image")
def load_image(image: InputImage, folders: Folders, budgets: Budgets, run: Run) -> ImageAndMask:
    """Load Image.

    Reads a picture; its mask is where it is transparent. The frames of an animation make a batch.
    """
    return ImageAndMask(*read_image(folders.input_file(image), run.check, budgets.of(run.job)))


@node("LoadImageOutput", category="image", experimental=True)
def load_image_output(image: OutputImage, folders: Folders, budgets: Budgets, run: Run) -> ImageAndMask:
    """Load Image (from Outputs).

    Reads a picture that was saved before.
    """
    path = folders.input_file(image, "output")
    return ImageAndMask(*read_image(path, run.check, budgets.of(run.job)))


@node("LoadImageMask", category="mask")
def load_image_mask(
    image: InputImage,
    channel: Annotated[
        Literal["alpha", "red", "green", "blue"],
        Tip("What becomes the mask: transparency, or the brightness of a colour."),
    ],
    folders: Folders,
    budgets: Budgets,
    run: Run,
) -> Mask:
    """Load Image (as Mask).

    Reads one channel of a picture as a mask.
    """
    return read_channel(folders.input_file(image), channel, budgets.of(run.job))


def captured_file(folders: Folders, image: str | None = None) -> Any:
    """What the key of a photograph adds to its name."""
    return folders.stamp("input", image) if image else None


@node("WebcamCapture", category="image", fingerprint=captured_file)
def capture(
    image: Annotated[str, Socket("WEBCAM"), Tip("The camera's picture; the editor uploads it.")],
    width: Annotated[int, Range(0, MAX_SIDE, step=1), Tip("What the camera is asked for; 0 leaves it.")] = 0,
    height: Annotated[int, Range(0, MAX_SIDE, step=1), Tip("What the camera is asked for; 0 leaves it.")] = 0,
    capture_on_queue: Annotated[bool, Tip("Photograph anew for each run.")] = True,
    *,
    folders: Folders,
    budgets: Budgets,
    run: Run,
) -> Image:
    """Webcam Capture.

    Gives the picture that the editor took with the camera.
    """
    if not image:
        raise ValueError("there is no picture yet: press Camera on the node, take one, then run again")
    return read_image(folders.input_file(image), run.check, budgets.of(run.job))[0]


@node("SaveImage", category="image", output_node=True)
def save_image(
    images: Images,
    filename_prefix: Prefix = "ComfyUI",
    prompt: PromptGraph = None,
    extra_pnginfo: ExtraPngInfo = None,
    *,
    folders: Folders,
    embedding: Embedding,
    run: Run,
) -> Ui:
    """Save Image.

    Writes images into the output folder, as PNG with the workflow inside.
    """
    texts = embedding.texts(prompt, extra_pnginfo)
    prefix = prefix_of(filename_prefix, prompt, extra_pnginfo)
    return _saved(images, prefix, "output", texts, run, folders)


@node("PreviewImage", category="image", output_node=True)
def preview_image(
    images: Images,
    prompt: PromptGraph = None,
    extra_pnginfo: ExtraPngInfo = None,
    *,
    folders: Folders,
    embedding: Embedding,
    run: Run,
) -> Ui:
    """Preview Image.

    Shows images; they are kept until the program ends.
    """
    texts = embedding.texts(prompt, extra_pnginfo)
    return _saved(images, temporary_name(), "temp", texts, run, folders, compress_level=1)


@node("MaskPreview", category="mask", output_node=True)
def preview_mask(
    mask: Annotated[Mask, Tip("The mask.")],
    prompt: PromptGraph = None,
    extra_pnginfo: ExtraPngInfo = None,
    *,
    folders: Folders,
    embedding: Embedding,
    run: Run,
) -> Ui:
    """MaskPreview.

    Shows a mask, white where it applies.
    """
    images = mask.reshape(-1, *mask.shape[-2:], 1).expand(-1, -1, -1, 3)
    texts = embedding.texts(prompt, extra_pnginfo)
    return _saved(images, temporary_name(), "temp", texts, run, folders, compress_level=1)


def temporary_name() -> str:
    """A file prefix that no other preview has."""
    return f"ComfyUI_temp_{secrets.token_hex(4)}"


def shown_for_a_while(
    images: Tensor, prefix: str, texts: dict[str, str], run: Run, folders: Folders
) -> list[dict[str, str]]:
    """Write images that are kept until the program ends; gives where each will be."""
    name = f"{prefix}_{secrets.token_hex(4)}"
    shown: list[dict[str, str]] = _saved(images, name, "temp", texts, run, folders, compress_level=1)[
        "images"
    ]
    return shown


def _saved(
    images: Tensor,
    prefix: str,
    root: Literal["output", "temp"],
    texts: dict[str, str],
    run: Run,
    folders: Folders,
    compress_level: int = 4,
) -> Ui:
    """Hand `images` over to be written beside the lane, and say where they will be."""
    height, width = images.shape[1:3]
    place = folders.save_place(prefix, root, width=width, height=height, count=len(images))
    shown = []
    for number, pixels in enumerate(pixels_of(images, run)):
        name = place.name(".png", number).replace("%batch_num%", str(number))
        run.background(_png_writer(place, name, pixels, texts, compress_level))
        shown.append({"filename": name, "subfolder": place.subfolder, "type": root})
    return Ui(images=shown, **not_numbers(images, run))


def _png_writer(
    place: SavePlace, name: str, pixels: NDArray[np.uint8], texts: dict[str, str], compress_level: int
) -> Any:
    def write() -> None:
        with atomic_write(place.folder / name) as file:
            write_png(file, pixels, texts, compress_level)

    return write


def pixels_of(images: Tensor, run: Run) -> Iterator[NDArray[np.uint8]]:
    """The 8-bit pixels of each image of a batch."""
    for image in images:
        run.check()
        yield to_bytes(image)


def not_numbers(images: Tensor, run: Run) -> dict[str, list[str]]:
    """A text that says so, if values are NaN or infinite: they were made black or cut off."""
    broken = int((~images.isfinite()).flatten(1).any(1).sum())
    if not broken:
        return {}
    problem = (
        f"{broken} of {len(images)} images hold values that are not numbers (NaN); they were saved as black. "
        "Try --precision fp32, another VAE, or a lower guidance scale."
    )
    log.warning("node %s, input 'images': %s", run.node, problem)
    return {"text": [problem]}


@node("SaveImageWebsocket", category="api/image", output_node=True, fingerprint=lambda: math.nan)
def save_image_websocket(images: Images, run: Run) -> Ui:
    """SaveImageWebsocket.

    Sends images to the client that asked for them, as PNG; nothing is written.
    """
    for number, pixels in enumerate(pixels_of(images, run)):
        size = (pixels.shape[1], pixels.shape[0])
        run.progress(number + 1, len(images), Preview("png", png(pixels), size, "result"))
    return Ui()


@node("SaveLatent", category="_for_testing", output_node=True)
def save_latent(
    samples: Annotated[Latent, Tip("The latent.")],
    filename_prefix: Prefix = "latents/ComfyUI",
    prompt: PromptGraph = None,
    extra_pnginfo: ExtraPngInfo = None,
    *,
    folders: Folders,
    embedding: Embedding,
    run: Run,
) -> Ui:
    """SaveLatent.

    Writes a latent into the output folder. Move it to the input folder to load it.
    """
    prefix = prefix_of(filename_prefix, prompt, extra_pnginfo)
    place = folders.save_place(prefix, "output")
    tensors = {
        "latent_tensor": samples["samples"].contiguous(),
        "latent_format_version_0": torch.tensor([]),
    }
    texts = embedding.texts(prompt, extra_pnginfo)

    def write() -> None:
        with atomic_write(place.path(".latent")) as file:
            file.write(save(tensors, metadata=texts or None))

    run.background(write)
    return Ui(latents=[{"filename": place.name(".latent"), "subfolder": place.subfolder, "type": "output"}])


@node("LoadLatent", category="_for_testing")
def load_latent(
    latent: Annotated[str, Folder("input:.latent"), Tip("A latent in the input folder.")], folders: Folders
) -> Latent:
    """LoadLatent.

    Reads a latent that was saved before.
    """
    path = folders.input_file(latent)
    weights = open_weights(path)
    if "latent_tensor" not in weights:
        raise ValueError(f"'{path.name}' holds no 'latent_tensor'; choose a file that SaveLatent wrote")
    samples = weights.tensor("latent_tensor").float()
    scale = 1.0 if "latent_format_version_0" in weights else OLD_LATENT_SCALE
    value: LatentValue = {"samples": samples * scale}
    return value
