"""Models, text encoders and VAEs as the tensors of a file, with their patches worked in.

Names are those of published checkpoints, so that other programs read the files too. Each tensor keeps the
number type that it had in the file it came from.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from diffusion.latents.autoencoder import VAE
from diffusion.model import Model
from diffusion.networks.clip_names import to_open_clip
from diffusion.networks.vision import VisionEncoder
from diffusion.noise.prediction import EPS, V
from diffusion.residency.budget import Resident
from diffusion.text.encoding import TextEncoder
from diffusion.text.recipes import STABLE_DIFFUSION
from diffusion.text.tower import Tower
from diffusion.weights.entries import Entry
from diffusion.weights.loading import NO_PATCHES
from diffusion.weights.patched import patched

Entries = dict[str, Entry]

MODEL, AUTOENCODER = "model.diffusion_model.", "first_stage_model."
VISION = "conditioner.embedders.0.open_clip.model.visual."
TEXT: Mapping[tuple[str, ...], Mapping[str, str]] = {
    ("l",): {"l": "cond_stage_model.transformer."},
    ("h",): {"h": "cond_stage_model.model."},
    ("g",): {"g": "conditioner.embedders.0.model."},
    ("l", "g"): {"l": "conditioner.embedders.0.transformer.", "g": "conditioner.embedders.1.model."},
}
PREDICTIONS = {EPS.name: "eps", V.name: "v"}
NO_SIGNAL = 1000.0  # a clock that reaches this noise level was trained down to no signal


def model_entries(model: Model) -> Entries:
    """A diffusion model under the names of checkpoints; what stands beside the UNet stays there."""
    entries, family = patched(model.backbone.weights, model.weight_patches), model.family
    if family.layout is not None:
        entries = family.layout.written(entries)
    return {name if name in family.beside else MODEL + name: entry for name, entry in entries.items()}


def vae_entries(vae: VAE) -> Entries:
    """An autoencoder under its own names. ValueError if it is a tiny one, which has no such names."""
    entries = patched(vae.resident.weights, vae.patches)
    if "decoder.conv_in.weight" not in entries:
        raise ValueError("input 'vae' is a tiny autoencoder; copy its two files instead of saving it anew")
    return entries


def text_entries(text: TextEncoder) -> Entries:
    """A text encoder under the names of checkpoints.

    Families that read CLIP alone have OpenCLIP's names for its towers and CLIP's own for CLIP L; others have
    each tower's own names under `text_encoders.`.
    """
    places = TEXT.get(tuple(tower.key for tower in text.towers))
    entries: Entries = {}
    for tower in text.towers:
        own = tower_entries(text, tower)
        if places is None or text.recipe.name not in CLIP_ALONE:
            key = f"clip_{tower.key}" if tower.key in ("l", "g", "h") else tower.key
            entries |= _named(f"text_encoders.{key}.transformer.", own)
            continue
        laid_out = own if tower.key == "l" else to_open_clip(own, "text_model", TEXT_PROJECTION)
        entries |= _named(places[tower.key], laid_out)
    return entries


CLIP_ALONE = frozenset(recipe.name for recipe in STABLE_DIFFUSION.values())
TEXT_PROJECTION = ("text_projection.weight", "text_projection")
VISION_PROJECTION = ("visual_projection.weight", "proj")


def tower_entries(text: TextEncoder, tower: Tower) -> Entries:
    """One text tower under CLIP's own names, as files of a single tower have them."""
    return patched(tower.resident.weights, text.patches.get(tower.key, NO_PATCHES))


def vision_entries(vision: VisionEncoder) -> Entries:
    """A picture encoder where video checkpoints have it, in OpenCLIP's layout."""
    entries = patched(vision.resident.weights, NO_PATCHES)
    return _named(VISION, to_open_clip(entries, "vision_model", VISION_PROJECTION))


def checkpoint_entries(model: Model, text: TextEncoder | None, vae: VAE | None) -> Entries:
    """All parts of a checkpoint, those that are there."""
    entries = model_entries(model)
    if text is not None:
        entries |= text_entries(text)
    if vae is not None:
        entries |= _named(AUTOENCODER, vae_entries(vae))
    return entries


def stated(*residents: Resident[Any], model: Model | None = None) -> dict[str, str]:
    """The metadata without which shapes do not say all: what the sources' own stated, and the prediction."""
    found = {
        key: text
        for resident in residents
        for key, text in resident.weights.metadata.items()
        if key.startswith("nodeloom.")
    }
    said = model and PREDICTIONS.get(model.prediction.target.name)
    if model is not None and said:
        found["nodeloom.prediction"] = said
        found["modelspec.prediction_type"] = "epsilon" if said == "eps" else "v"
        if model.prediction.sigma_max > NO_SIGNAL and not model.backbone.weights.shape("ztsnr"):
            found["nodeloom.unet.zero_snr"] = "true"
    return found


def _named(prefix: str, entries: Mapping[str, Entry]) -> Entries:
    return {prefix + name: entry for name, entry in entries.items()}
