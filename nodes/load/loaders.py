"""Models from files."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

import torch

from diffusion.families import diffusers_folder
from diffusion.families.checkpoints import (
    load_checkpoint,
    load_taesd,
    load_unet,
    load_vae,
)
from diffusion.latents.latent_format import FORMATS
from diffusion.noise.prediction import V, stable_diffusion
from diffusion.residency.budget import Residency
from diffusion.text.encoding import TextEncoder
from diffusion.text.loading import load_text_encoder
from execution.declare.node import Choice, Folder, Options, Tip, node
from execution.errors import FileMissing
from execution.files.folders import Folders
from nodes.sample.previews import approximation
from nodes.sockets import Clip, Model, Vae
from nodes.text.embeddings import embedding_finder

CLIP_TYPES = (
    "stable_diffusion", "stable_cascade", "sd3", "stable_audio", "mochi", "ltxv", "pixart", "cosmos",
    "lumina2", "wan", "hidream", "chroma", "ace", "omnigen2", "qwen_image", "hunyuan_image",
)  # fmt: skip
DUAL_CLIP_TYPES = ("sdxl", "sd3", "flux", "hunyuan_video", "hidream", "hunyuan_image")
PIXEL_SPACE = "pixel_space"
TINY_VAES = {each.preview: each for each in FORMATS.values() if each.preview}
CheckpointName = Annotated[str, Folder("checkpoints"), Tip("A file in models/checkpoints.")]
TextEncoderName = Annotated[str, Folder("text_encoders"), Tip("A file in models/text_encoders.")]
Device = Annotated[
    Literal["default", "cpu"], Options(advanced=True), Tip("Where it computes. Here the program decides.")
]


class Parts(NamedTuple):
    """What a checkpoint holds."""

    MODEL: Model | None
    CLIP: Clip | None
    VAE: Vae | None


@node("CheckpointLoaderSimple", category="loaders")
def load_checkpoint_simple(ckpt_name: CheckpointName, folders: Folders, residency: Residency) -> Parts:
    """Load Checkpoint.

    Opens a checkpoint: the model, its text encoder and its VAE.
    """
    path = folders.resolve("checkpoints", ckpt_name)
    loaded = load_checkpoint(path, residency, embedding_finder(folders))
    return Parts(loaded.model, loaded.text, loaded.vae)


CONFIGS = (
    "anything_v3.yaml",
    "v1-inference.yaml",
    "v1-inference_clip_skip_2.yaml",
    "v1-inference_clip_skip_2_fp16.yaml",
    "v1-inference_fp16.yaml",
    "v1-inpainting-inference.yaml",
    "v2-inference-v.yaml",
    "v2-inference-v_fp32.yaml",
    "v2-inference.yaml",
    "v2-inference_fp32.yaml",
    "v2-inpainting-inference.yaml",
)


@node("CheckpointLoader", category="advanced/loaders", deprecated=True)
def load_checkpoint_with_config(
    config_name: Annotated[str, Choice(CONFIGS), Tip("How the checkpoint was trained.")],
    ckpt_name: CheckpointName,
    folders: Folders,
    residency: Residency,
) -> Parts:
    """Load Checkpoint With Config (DEPRECATED).

    Opens a checkpoint. Its kind is read from the file; of the configuration, what it says about clip skip and
    v-prediction counts.
    """
    path = folders.resolve("checkpoints", ckpt_name)
    loaded = load_checkpoint(path, residency, embedding_finder(folders))
    model, text = loaded.model, loaded.text
    if text is not None and ("clip_skip_2" in config_name or config_name == "anything_v3.yaml"):
        text = text.with_last_layer(-2)
    if model is not None and config_name.startswith("v2-inference-v"):
        model = model.with_prediction(stable_diffusion(V))
    return Parts(model, text, loaded.vae)


@node("UNETLoader", category="advanced/loaders")
def load_diffusion_model(
    unet_name: Annotated[str, Folder("diffusion_models"), Tip("A file in models/diffusion_models.")],
    weight_dtype: Annotated[
        Literal["default", "fp8_e4m3fn", "fp8_e4m3fn_fast", "fp8_e5m2"],
        Tip("Keep the weights in 8 bits: less memory, a little less exact and slower."),
    ],
    folders: Folders,
    residency: Residency,
) -> Model:
    """Load Diffusion Model.

    Opens a diffusion model without text encoder and VAE.
    """
    model = load_unet(folders.resolve("diffusion_models", unet_name), residency)
    if weight_dtype == "default":
        return model
    dtype = torch.float8_e5m2 if weight_dtype == "fp8_e5m2" else torch.float8_e4m3fn
    return replace(model, backbone=model.backbone.storing(dtype))


@node("CLIPLoader", category="advanced/loaders")
def load_clip(
    clip_name: TextEncoderName,
    type: Annotated[str, Choice(CLIP_TYPES), Tip("The family it is for; some files are for but one.")],
    device: Device | None = None,
    *,
    folders: Folders,
    residency: Residency,
) -> Clip:
    """Load CLIP.

    Opens a text encoder: CLIP, T5 or another. Which one it is is read from the file, what it is for is said
    here.
    """
    return _text_encoder(folders, residency, type, clip_name)


@node("DualCLIPLoader", category="advanced/loaders")
def load_two_clips(
    clip_name1: TextEncoderName,
    clip_name2: TextEncoderName,
    type: Annotated[str, Choice(DUAL_CLIP_TYPES), Tip("The family they are for.")],
    device: Device | None = None,
    *,
    folders: Folders,
    residency: Residency,
) -> Clip:
    """DualCLIPLoader.

    Opens the two text encoders of a family, in either order: CLIP L and OpenCLIP bigG for SDXL, CLIP L and
    T5-XXL for Flux.
    """
    return _text_encoder(folders, residency, type, clip_name1, clip_name2)


@node("TripleCLIPLoader", category="advanced/loaders", display_name=None, v3=True)
def load_three_clips(
    clip_name1: TextEncoderName,
    clip_name2: TextEncoderName,
    clip_name3: TextEncoderName,
    *,
    folders: Folders,
    residency: Residency,
) -> Clip:
    """TripleCLIPLoader.

    Opens the three text encoders of Stable Diffusion 3, in any order: CLIP L, OpenCLIP bigG and T5-XXL.
    """
    return _text_encoder(folders, residency, "sd3", clip_name1, clip_name2, clip_name3)


@node("QuadrupleCLIPLoader", category="advanced/loaders", display_name=None, v3=True)
def load_four_clips(
    clip_name1: TextEncoderName,
    clip_name2: TextEncoderName,
    clip_name3: TextEncoderName,
    clip_name4: TextEncoderName,
    *,
    folders: Folders,
    residency: Residency,
) -> Clip:
    """QuadrupleCLIPLoader.

    Opens the four text encoders of HiDream, in any order: CLIP L, OpenCLIP bigG, T5-XXL and LLaMA 3.1.
    """
    return _text_encoder(folders, residency, "hidream", clip_name1, clip_name2, clip_name3, clip_name4)


def _text_encoder(folders: Folders, residency: Residency, type: str, *names: str) -> TextEncoder:
    paths = [folders.resolve("text_encoders", name) for name in names]
    return load_text_encoder(paths, residency, embedding_finder(folders), type)


def approximate_vaes(folders: Folders) -> list[str]:
    """The tiny autoencoders whose two halves lie in `models/vae_approx`, and the VAE that does nothing."""
    halves = ("encoder", "decoder")
    whole = [name for name in TINY_VAES if all(approximation(folders, f"{name}_{half}") for half in halves)]
    return [*whole, PIXEL_SPACE]


def tiny_vae_stamps(vae_name: str | None, folders: Folders) -> list[Any] | None:
    """The stamps of both halves of a tiny autoencoder; None for any other name."""
    if vae_name not in TINY_VAES:
        return None
    halves = (approximation(folders, f"{vae_name}_{half}") for half in ("encoder", "decoder"))
    return [half and folders.stamp("vae_approx", half.name) for half in halves]


@node("VAELoader", category="loaders", fingerprint=tiny_vae_stamps)
def load_vae_file(
    vae_name: Annotated[
        str,
        Folder("vae"),
        Choice(approximate_vaes),
        Tip("A file in models/vae, or a tiny one (taesd) from models/vae_approx."),
    ],
    folders: Folders,
    residency: Residency,
) -> Vae:
    """Load VAE.

    Opens a VAE that is not part of a checkpoint.
    """
    if vae_name == PIXEL_SPACE:
        raise ValueError("input 'vae_name': no model here works on pixels; choose a file")
    if vae_name in TINY_VAES and vae_name not in folders.list("vae"):
        encoder, decoder = (_half(folders, vae_name, half) for half in ("encoder", "decoder"))
        return load_taesd(encoder, decoder, TINY_VAES[vae_name], residency)
    return load_vae(folders.resolve("vae", vae_name), residency)


def _half(folders: Folders, name: str, half: str) -> Path:
    """The file of one half of a tiny autoencoder.

    Raises:
        FileMissing: it is not there.
    """
    path = approximation(folders, f"{name}_{half}")
    if path is None:
        raise FileMissing("vae_approx", f"{name}_{half}.safetensors", folders.list("vae_approx"))
    return path


def diffusers_folders(folders: Folders) -> list[str]:
    """The folders in diffusers' layout, those that hold a `model_index.json`."""
    roots = [root for root in folders.models("diffusers") if root.is_dir()]
    found = (index.parent.relative_to(root) for root in roots for index in root.glob("**/model_index.json"))
    return sorted(str(path).replace("\\", "/") for path in found)


@node("DiffusersLoader", category="advanced/loaders/deprecated")
def load_diffusers(
    model_path: Annotated[str, Choice(diffusers_folders), Tip("A folder in models/diffusers.")],
    folders: Folders,
    residency: Residency,
) -> Parts:
    """DiffusersLoader.

    Opens a model that is kept as a folder, one file for each part.
    """
    root = folders.resolve("diffusers", model_path)
    loaded = diffusers_folder.load_diffusers(root, residency, embedding_finder(folders))
    if loaded.model is None:
        raise FileMissing("diffusers", f"{model_path}/unet/diffusion_pytorch_model.safetensors")
    return Parts(loaded.model, loaded.text, loaded.vae)
