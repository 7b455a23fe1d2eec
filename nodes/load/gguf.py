"""The loaders of the widely used GGUF pack by their names, so that its workflows open.

The loaders of ComfyUI itself take GGUF files here too; these do the same.
"""

from collections.abc import Sequence
from typing import Annotated, Literal

from diffusion.families.checkpoints import load_unet
from diffusion.residency.budget import Residency
from diffusion.text.loading import load_text_encoder
from execution.declare.node import Choice, Folder, Options, Tip, node
from execution.files.folders import Folders
from nodes.load.loaders import CLIP_TYPES, DUAL_CLIP_TYPES, TextEncoderName
from nodes.sockets import Clip, Model
from nodes.text.embeddings import embedding_finder

UnetName = Annotated[
    str, Folder("diffusion_models"), Tip("A file in models/diffusion_models or models/unet.")
]
Arithmetic = Literal["default", "target", "float32", "float16", "bfloat16"]
CATEGORY = "advanced/loaders/gguf"


@node("UnetLoaderGGUF", category=CATEGORY, search_aliases=["gguf"])
def load_gguf_model(unet_name: UnetName, folders: Folders, residency: Residency) -> Model:
    """Unet Loader (GGUF).

    Opens a diffusion model, GGUF or any other kind, as Load Diffusion Model does.
    """
    return load_unet(folders.resolve("diffusion_models", unet_name), residency)


@node("UnetLoaderGGUFAdvanced", category=CATEGORY, search_aliases=["gguf"])
def load_gguf_model_with_types(
    unet_name: UnetName,
    dequant_dtype: Annotated[
        Arithmetic, Tip("Needless here: weights are unpacked in float32, to what the model computes in.")
    ] = "default",
    patch_dtype: Annotated[Arithmetic, Tip("Needless here: LoRAs are worked in in float32.")] = "default",
    patch_on_device: Annotated[
        bool,
        Options(label_on="on", label_off="off"),
        Tip("Needless here: patches act where the weights are."),
    ] = False,
    *,
    folders: Folders,
    residency: Residency,
) -> Model:
    """Unet Loader (GGUF/Advanced).

    Opens a diffusion model, GGUF or any other kind, as Load Diffusion Model does. Its settings are taken so
    that workflows open; what they choose is done in the most exact way.
    """
    return load_unet(folders.resolve("diffusion_models", unet_name), residency)


@node("CLIPLoaderGGUF", category=CATEGORY, search_aliases=["gguf"])
def load_gguf_clip(
    clip_name: TextEncoderName,
    type: Annotated[str, Choice(CLIP_TYPES), Tip("The family it is for.")] = "stable_diffusion",
    *,
    folders: Folders,
    residency: Residency,
) -> Clip:
    """CLIPLoader (GGUF).

    Opens a text encoder, GGUF or any other kind, as Load CLIP does.
    """
    return _text_encoder([clip_name], type, folders, residency)


@node("DualCLIPLoaderGGUF", category=CATEGORY, search_aliases=["gguf"])
def load_two_gguf_clips(
    clip_name1: TextEncoderName,
    clip_name2: TextEncoderName,
    type: Annotated[str, Choice(DUAL_CLIP_TYPES), Tip("The family they are for.")],
    folders: Folders,
    residency: Residency,
) -> Clip:
    """DualCLIPLoader (GGUF).

    Opens two text encoders, GGUF or any other kind each, in either order.
    """
    return _text_encoder([clip_name1, clip_name2], type, folders, residency)


@node("TripleCLIPLoaderGGUF", category=CATEGORY, search_aliases=["gguf"])
def load_three_gguf_clips(
    clip_name1: TextEncoderName,
    clip_name2: TextEncoderName,
    clip_name3: TextEncoderName,
    folders: Folders,
    residency: Residency,
) -> Clip:
    """TripleCLIPLoader (GGUF).

    Opens the three text encoders of Stable Diffusion 3, GGUF or any other kind each, in any order.
    """
    return _text_encoder([clip_name1, clip_name2, clip_name3], "sd3", folders, residency)


@node("QuadrupleCLIPLoaderGGUF", category=CATEGORY, search_aliases=["gguf"])
def load_four_gguf_clips(
    clip_name1: TextEncoderName,
    clip_name2: TextEncoderName,
    clip_name3: TextEncoderName,
    clip_name4: TextEncoderName,
    folders: Folders,
    residency: Residency,
) -> Clip:
    """QuadrupleCLIPLoader (GGUF).

    Opens the four text encoders of HiDream, GGUF or any other kind each, in any order.
    """
    return _text_encoder([clip_name1, clip_name2, clip_name3, clip_name4], "hidream", folders, residency)


def _text_encoder(names: Sequence[str], type: str, folders: Folders, residency: Residency) -> Clip:
    paths = [folders.resolve("text_encoders", name) for name in names]
    return load_text_encoder(paths, residency, embedding_finder(folders), type)
