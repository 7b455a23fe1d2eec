"""Files become values: a checkpoint's model, text encoder and VAE, or any one of them from its own file.

Opening reads a header and decides by the catalogue what the parts are; weights are read when a part is first
used.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple, TypeVar

import torch
from torch import Tensor

from diffusion.errors import FileProblem
from diffusion.families.catalogue import Architecture, architecture, unet_part, unknown
from diffusion.families.layouts import ldm_vae
from diffusion.families.picture_conditions import UPSCALER_BETAS, camera_projection
from diffusion.families.shapes import Unlike, vae_sizes
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
from diffusion.text.encoding import TextEncoder
from diffusion.text.loading import text_encoder_from, text_parts
from diffusion.text.tokens import Find, Vectors, no_embeddings
from diffusion.weights.files import Weights, identity, open_weights
from diffusion.weights.loading import build_empty

VAE_PREFIXES = ("first_stage_model.", "vae.", "")

M = TypeVar("M", bound=torch.nn.Module)

VIDEO_SIGMAS = (0.002, 700.0)  # Blattmann et al. 2023, 2311.15127, appendix D.3, as the models are published

# How a family's clock runs under a target, and whether down to no signal at all.
CLOCKS: Mapping[str, Callable[[Target, bool], Prediction]] = {
    "stable_diffusion": lambda target, zero_snr: stable_diffusion(target, zero_snr=zero_snr),
    "video": lambda target, zero_snr: continuous_edm(target, *VIDEO_SIGMAS),
    "upscaler": lambda target, zero_snr: discrete(target, scaled_linear_sigmas(*UPSCALER_BETAS)),
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
