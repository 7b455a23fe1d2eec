"""Files become values: a checkpoint's model, text encoder and VAE, or any one of them from its own file.

Opening reads a header and decides by the catalogue what the parts are; weights are read when a part is first
used.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, TypeVar

import torch
from torch import Tensor

from diffusion.errors import FileProblem
from diffusion.families.catalogue import Architecture, architecture, unet_part, unknown
from diffusion.families.layouts import clip_text, ldm_vae
from diffusion.families.picture_conditions import UPSCALER_BETAS, camera_projection
from diffusion.families.shapes import Unlike, text_sizes, vae_sizes
from diffusion.families.unclip import image_noise
from diffusion.latents.autoencoder import VAE
from diffusion.latents.latent_format import SD1, LatentFormat
from diffusion.latents.taesd import Taesd, sequence
from diffusion.latents.vae import AutoencoderKL
from diffusion.model import Model
from diffusion.networks.unet import UNet
from diffusion.noise.clocks import scaled_linear_sigmas
from diffusion.noise.prediction import (
    EPS,
    Prediction,
    Target,
    V,
    continuous_edm,
    discrete,
    stable_diffusion,
)
from diffusion.residency.budget import Identity, Residency, Resident
from diffusion.residency.precision import Part
from diffusion.text.clip import ClipText
from diffusion.text.encoding import Find, TextEncoder, Tower, Vectors, no_embeddings
from diffusion.text.tokenizer import Vocabulary
from diffusion.weights.files import Weights, identity, open_weights
from diffusion.weights.loading import build_empty

VAE_PREFIXES = ("first_stage_model.", "vae.", "")

# Where text towers stand in files, and what each is called: CLIP ViT-L, OpenCLIP ViT-H or ViT-bigG.
TEXT_PLACES: tuple[tuple[str, str], ...] = (
    ("cond_stage_model.transformer.", "l"),
    ("cond_stage_model.model.", "h"),
    ("conditioner.embedders.0.transformer.", "l"),
    ("conditioner.embedders.0.model.", "g"),
    ("conditioner.embedders.1.model.", "g"),
    ("text_encoders.clip_l.transformer.", "l"),
    ("text_encoders.clip_g.transformer.", "g"),
)

M = TypeVar("M", bound=torch.nn.Module)

WIDTHS: Mapping[int, str] = {768: "l", 1024: "h", 1280: "g"}


VIDEO_SIGMAS = (0.002, 700.0)  # Blattmann et al. 2023, 2311.15127, appendix D.3, as the models are published

# How a family's clock runs under a target, and whether down to no signal at all.
CLOCKS: Mapping[str, Callable[[Target, bool], Prediction]] = {
    "stable_diffusion": lambda target, zero_snr: stable_diffusion(target, zero_snr=zero_snr),
    "video": lambda target, zero_snr: continuous_edm(target, *VIDEO_SIGMAS),
    "upscaler": lambda target, zero_snr: discrete(target, scaled_linear_sigmas(*UPSCALER_BETAS)),
}


class Usage(NamedTuple):
    """How a family uses a tower: which hidden state, through the final norm or not, how chunks are padded."""

    layer: int
    normed: bool
    padding: int
    gives_pooled: bool = True


END = 49407
USES: Mapping[tuple[str, ...], Mapping[str, Usage]] = {
    ("l",): {"l": Usage(-1, True, END)},
    ("h",): {"h": Usage(-2, True, 0)},
    ("g",): {"g": Usage(-2, False, 0)},
    ("l", "g"): {"l": Usage(-2, False, END, gives_pooled=False), "g": Usage(-2, False, 0)},
}


class Checkpoint(NamedTuple):
    """The parts of a file; None for what it does not hold."""

    model: Model | None
    text: TextEncoder | None
    vae: VAE | None
    architecture: Architecture | None


def load_checkpoint(
    path: Path | str, residency: Residency | None = None, find: Find = no_embeddings
) -> Checkpoint:
    """What a checkpoint holds. FileProblem or UnknownModel if it cannot be used.

    `find` gives the learned vectors of an embedding by its name in a text.
    """
    residency = residency or Residency()
    weights = open_weights(path)
    unet, text, vae = unet_part(weights), text_parts(weights), vae_part(weights)
    if unet is None and not text and vae is None:
        raise unknown(weights, "No part of an image model was found in it")
    kind = architecture(unet) if unet is not None else None
    return Checkpoint(
        model_from(unet, residency, kind) if unet is not None and kind is not None else None,
        text_encoder_from(text, residency, find) if text else None,
        vae_from(vae, residency) if vae is not None else None,
        kind,
    )


def load_unet(path: Path | str, residency: Residency | None = None) -> Model:
    """The model of a file, be it a whole checkpoint or a UNet alone."""
    weights = open_weights(path)
    unet = unet_part(weights)
    if unet is None:
        raise unknown(weights, "No UNet was found in it")
    return model_from(unet, residency or Residency())


def load_vae(path: Path | str, residency: Residency | None = None) -> VAE:
    """The VAE of a file, be it a whole checkpoint or a VAE alone."""
    weights = open_weights(path)
    vae = vae_part(weights)
    if vae is None:
        raise unknown(weights, "No VAE was found in it")
    return vae_from(vae, residency or Residency())


def load_text_encoder(
    paths: Sequence[Path | str], residency: Residency | None = None, find: Find = no_embeddings
) -> TextEncoder:
    """The text encoder whose towers stand in one or several files."""
    towers: dict[str, Weights] = {}
    for path in paths:
        weights = open_weights(path)
        found = text_parts(weights)
        if not found:
            raise unknown(weights, "No CLIP text encoder was found in it")
        towers |= found
    return text_encoder_from(towers, residency or Residency(), find)


def load_taesd(
    encoder: Path | str | None,
    decoder: Path | str | None,
    latent_format: LatentFormat = SD1,
    residency: Residency | None = None,
) -> VAE:
    """The tiny autoencoder of a latent format, from its two files; either may be missing."""
    halves = {"encoder": encoder, "decoder": decoder}
    opened = {name: open_weights(path) for name, path in halves.items() if path is not None}
    if not opened:
        raise ValueError("A TAESD needs an encoder file, a decoder file or both.")
    try:
        builders = {name: sequence(weights) for name, weights in opened.items()}
    except Unlike as error:
        raise unknown(next(iter(opened.values())), f"It is no TAESD: {error}") from None
    entries = {f"{half}.{name}": entry for half, weights in opened.items() for name, entry in weights.items()}
    joined = next(iter(opened.values())).having(entries)

    def build() -> Taesd:
        parts = {name: make() for name, make in builders.items()}
        return Taesd(parts.get("encoder"), parts.get("decoder"), latent_format.scale, latent_format.shift)

    identity = tuple(part for weights in opened.values() for part in _identity(weights, "taesd"))
    resident = Resident(residency or Residency(), "vae", joined, build, (*identity, latent_format.name))
    return VAE(resident, latent_format.channels, latent_format.downscale)


def load_embedding(path: Path | str) -> Vectors:
    """The learned vectors of a textual-inversion file: by tower (`clip_l`, `clip_g`), or "" for any."""
    weights = open_weights(path)
    tables = {name: entry for name, entry in weights.items() if entry.dtype.is_floating_point}
    named = [name for name in tables if name in ("clip_l", "clip_g", "clip_h")]
    towers = {name: _rows(weights.tensor(name)) for name in named}
    if towers:
        return towers
    for name in ("emb_params", *(name for name in tables if name.startswith("string_to_param."))):
        if name in tables:
            return {"": _rows(weights.tensor(name))}
    if not 0 < len(tables) < 5 or len(next(iter(tables.values())).shape) > 2:
        problem = "It holds no learned vectors."
        raise FileProblem(weights.path, problem, "Choose a textual-inversion file.")
    return {"": _rows(weights.tensor(next(iter(tables))))}


def text_parts(weights: Weights) -> dict[str, Weights]:
    """The text towers of a file by key, under our names."""
    found: dict[str, Weights] = {}
    for prefix, key in TEXT_PLACES:
        tower = clip_text(weights.under(prefix))
        if "text_model.encoder.layers.0.mlp.fc1.weight" in tower:
            found[key] = tower
    alone = clip_text(weights)
    shape = alone.shape("text_model.embeddings.token_embedding.weight")
    if not found and shape is not None:
        found[WIDTHS.get(shape[1], "l")] = alone
    return found


def vae_part(weights: Weights) -> Weights | None:
    """The VAE's tensors in a file, under its own names; None if it has none."""
    for prefix in VAE_PREFIXES:
        inner = ldm_vae(weights.under(prefix))
        if "decoder.conv_in.weight" in inner:
            return inner
    return None


def model_from(unet: Weights, residency: Residency, kind: Architecture | None = None) -> Model:
    """The model of a UNet's tensors under its own names."""
    kind = kind or architecture(unet)
    sizes = kind.unet
    resident = _resident(residency, "backbone", unet, lambda: UNet(sizes), channels_last=True)
    prediction = CLOCKS[kind.clock](V if kind.prediction == "v" else EPS, kind.zero_snr)
    noise = image_noise(unet, sizes.vector) if kind.vector == "unclip" and sizes.vector else None
    return Model(resident, prediction, kind.latent, kind.vector, kind.concat, noise, camera_projection(unet))


def vae_from(weights: Weights, residency: Residency) -> VAE:
    """The VAE of an autoencoder's tensors under its own names."""
    try:
        sizes = vae_sizes(weights)
    except Unlike as error:
        raise unknown(weights, f"Its VAE cannot be read: {error}.") from None
    resident = _resident(residency, "vae", weights, lambda: AutoencoderKL(sizes), channels_last=True)
    return VAE(resident, sizes.latent_channels, sizes.downscale, video=sizes.video)


def text_encoder_from(
    towers: Mapping[str, Weights], residency: Residency, find: Find = no_embeddings
) -> TextEncoder:
    """The text encoder of towers by key, each under our names."""
    keys = tuple(sorted(towers, key="lhg".index))
    uses = USES.get(keys)
    if uses is None:
        some = next(iter(towers.values()))
        raise unknown(some, f"Its text encoders ({', '.join(keys)}) are not used together by any family")
    made = tuple(_tower(key, towers[key], uses[key], residency) for key in keys)
    return TextEncoder(made, Vocabulary.read(), find)


def _tower(key: str, weights: Weights, usage: Usage, residency: Residency) -> Tower:
    try:
        sizes = text_sizes(weights, open_clip=key != "l")
    except Unlike as error:
        raise unknown(weights, f"Its text encoder cannot be read: {error}.") from None
    resident = _resident(residency, "text", weights, lambda: ClipText(sizes), key)
    return Tower(key, resident, sizes.layers, sizes.width, sizes.positions, *usage)


def _resident(
    residency: Residency,
    part: Part,
    weights: Weights,
    build: Callable[[], M],
    key: str = "",
    channels_last: bool = False,
) -> Resident[M]:
    """A handle of a part, once its tensors are known to fit. What was built to find out is used first."""
    built = [build_empty(build, weights)]

    def made() -> M:
        return built.pop() if built else build()

    return Resident(residency, part, weights, made, _identity(weights, part + key), channels_last)


def _identity(weights: Weights, part: str) -> Identity:
    """Which file, in which state, and which part of it."""
    return identity(weights, part)


def _rows(vectors: Tensor) -> Tensor:
    return vectors.detach().float().reshape(-1, vectors.shape[-1])
