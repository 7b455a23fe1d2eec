"""Texts with pictures in them, for models that edit what they see: Qwen2.5-VL reads both."""

import math
from typing import Annotated, Any

from torch import Tensor

from diffusion.images import resize
from diffusion.text.tokens import Picture
from execution.declare.node import Run, Tip, node
from execution.files.folders import Folders
from nodes.sockets import Conditioning, Image, Vae
from nodes.text.conditioning import with_values
from nodes.text.embeddings import embedding_stamps
from nodes.text.text import Encoder, encoded, present
from nodes.widgets import Prompt

EDIT = (
    "<|im_start|>system\n"
    "Describe the key features of the input image (color, shape, size, texture, objects, background), then "
    "explain how the user's text instruction should alter or modify the image. Generate a new image that "
    "meets the user's requirements while maintaining consistency with the original input where appropriate."
    "<|im_end|>\n<|im_start|>user\n{}<|im_end|>\n<|im_start|>assistant\n"
)
"""What Qwen-Image-Edit was told in training (arXiv 2508.02324)."""
SEEN = "<|vision_start|><|image_pad|><|vision_end|>"
WHOLE, GLANCE = 1024 * 1024, 384 * 384  # pixels
REFERENCE_STEP = 8

Instruction = Annotated[Prompt, Tip("What should be done with the pictures.")]
Keeper = Annotated[
    Vae, Tip("With it the pictures are kept as latents too, so that the result stays true to them.")
]
Shown = Annotated[Image, Tip("A picture that the text speaks of.")]


def prompt_files(folders: Folders, prompt: str | None = None) -> list[Any] | None:
    """What the key of an instruction adds to its words: the files of the embeddings that it names."""
    return embedding_stamps(folders, prompt)


def sized(image: Tensor, pixels: int, step: int = 1) -> Tensor:
    """A picture B×H×W×C of about so many pixels, its sides multiples of `step`."""
    channels = image[..., :3].movedim(-1, 1)
    scale = math.sqrt(pixels / (channels.shape[2] * channels.shape[3]))
    height, width = (round(side * scale / step) * step for side in channels.shape[2:])
    return resize(channels, width, height, "area").movedim(1, -1)


def _with_references(conditioning: Conditioning, latents: list[Tensor]) -> Conditioning:
    return with_values(conditioning, reference_latents=latents) if latents else conditioning


@node(
    "TextEncodeQwenImageEdit", category="advanced/conditioning", display_name=None, fingerprint=prompt_files
)
def encode_edit(
    clip: Encoder,
    prompt: Instruction,
    vae: Keeper | None = None,
    image: Shown | None = None,
    *,
    run: Run,
) -> Conditioning:
    """Text Encode Qwen Image Edit.

    Turns an instruction and the picture that it speaks of into what steers Qwen-Image-Edit.
    """
    clip = present(clip, run)
    if image is None:
        return encoded(clip, clip.tokenize(prompt), run)
    picture = sized(image, WHOLE)
    template = EDIT.replace("{}", SEEN + "{}")
    conditioning = encoded(clip, clip.tokenize(prompt, template, [Picture(picture)]), run)
    return _with_references(conditioning, [] if vae is None else [vae.encode(picture, run.check)])


@node(
    "TextEncodeQwenImageEditPlus",
    category="advanced/conditioning",
    display_name=None,
    fingerprint=prompt_files,
)
def encode_edit_plus(
    clip: Encoder,
    prompt: Instruction,
    vae: Keeper | None = None,
    image1: Shown | None = None,
    image2: Shown | None = None,
    image3: Shown | None = None,
    *,
    run: Run,
) -> Conditioning:
    """Text Encode Qwen Image Edit Plus.

    Turns an instruction and up to three pictures into what steers Qwen-Image-Edit Plus; the text may speak of
    Picture 1, 2 and 3.
    """
    clip = present(clip, run)
    given: dict[int, Any] = {1: image1, 2: image2, 3: image3}
    images = {number: image for number, image in given.items() if image is not None}
    before = "".join(f"Picture {number}: {SEEN}" for number in images)
    pictures = [Picture(sized(image, GLANCE)) for image in images.values()]
    conditioning = encoded(clip, clip.tokenize(before + prompt, EDIT, pictures), run)
    kept = [] if vae is None else [sized(image, WHOLE, REFERENCE_STEP) for image in images.values()]
    return _with_references(conditioning, [vae.encode(each, run.check) for each in kept] if vae else [])
