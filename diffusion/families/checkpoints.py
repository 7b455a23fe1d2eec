"""Files become values: a checkpoint's model, text encoder and VAE, or any one of them from its own file.

Opening reads a header and decides by the families what the parts are; weights are read when a part is first
used.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from diffusion.errors import FileProblem
from diffusion.families.detect import Told, nothing_known, require, told
from diffusion.family import TextPlaces
from diffusion.latents.autoencoder import VAE
from diffusion.latents.latent_format import SD1, LatentFormat, stated_colours
from diffusion.latents.taesd import Taesd, sequence
from diffusion.latents.vae_files import vae_from, vae_part
from diffusion.model import Model
from diffusion.residency.budget import Residency, Resident, resident_of
from diffusion.text.encoding import TextEncoder
from diffusion.text.loading import PLACES, text_encoder_from, text_parts
from diffusion.text.tokens import Find, Vectors, no_embeddings
from diffusion.weights.entries import Weights
from diffusion.weights.files import identity, open_weights
from diffusion.weights.kinds import unknown
from diffusion.weights.loading import on_meta
from diffusion.weights.shapes import Unlike


class Checkpoint(NamedTuple):
    """The parts of a file; None for what it does not hold."""

    model: Model | None
    text: TextEncoder | None
    vae: VAE | None


def load_checkpoint(
    path: Path | str, residency: Residency | None = None, find: Find = no_embeddings
) -> Checkpoint:
    """What a checkpoint holds. FileProblem or UnknownModel if it cannot be used.

    `find` gives the learned vectors of an embedding by its name in a text.
    """
    residency = residency or Residency()
    weights = open_weights(path)
    model, vae = told(weights), vae_part(weights)
    reads = (model.family.text if model is not None else None) or TextPlaces()
    text = text_parts(weights, (*reads.towers, *PLACES))
    if model is None and not text and vae is None:
        raise nothing_known(weights, "No part of an image model was found in it")
    return Checkpoint(
        model_from(model, residency) if model is not None else None,
        text_encoder_from(text, residency, find, reads.type) if text else None,
        vae_from(vae, residency) if vae is not None else None,
    )


def load_unet(path: Path | str, residency: Residency | None = None) -> Model:
    """The model of a file, be it a whole checkpoint or a diffusion model alone."""
    return model_from(require(open_weights(path)), residency or Residency())


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

    scale, shift = latent_format.scale, latent_format.shift
    if isinstance(scale, tuple) or isinstance(shift, tuple):
        raise ValueError(f"No tiny autoencoder is known for latents of the format {latent_format.name}.")

    def build() -> Taesd:
        parts = {name: make() for name, make in builders.items()}
        return Taesd(parts.get("encoder"), parts.get("decoder"), scale, shift)

    files = tuple(part for weights in opened.values() for part in identity(weights, "taesd"))
    resident = Resident(residency or Residency(), "vae", joined, build, (*files, latent_format.name))
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


def model_from(found: Told, residency: Residency) -> Model:
    """The model of a family's tensors."""
    family, weights, sizes = found

    def build() -> torch.nn.Module:
        return family.network(sizes)

    own, channels_last = network_weights(found), family.channels_last
    resident = resident_of(residency, "backbone", own, build, channels_last=channels_last)
    prediction = family.prediction(weights, sizes)
    return Model(resident, family, sizes, prediction, stated_latent(family.latent, weights))


def network_weights(found: Told) -> Weights:
    """The tensors of a diffusion model under the names of its family's network."""
    family, weights, sizes = found
    if family.layout is None:
        return weights
    parameters = on_meta(lambda: family.network(sizes), weights.path).state_dict()
    return family.layout.read(weights, {name: tuple(each.shape) for name, each in parameters.items()})


def stated_latent(latent: LatentFormat, weights: Weights) -> LatentFormat:
    """A family's latents, in the colours the file states for them if it does."""
    text = weights.metadata.get("nodeloom.latent.rgb")
    if text is None:
        return latent
    try:
        return stated_colours(latent, text)
    except (ValueError, TypeError, RecursionError, OverflowError) as error:
        raise FileProblem(weights.path, f"Its metadata says nodeloom.latent.rgb wrongly: {error}") from None


def _rows(vectors: Tensor) -> Tensor:
    return vectors.detach().float().reshape(-1, vectors.shape[-1])
