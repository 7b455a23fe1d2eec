"""Text encoders from files: which towers there are, and the recipe that the loader's `type` asks for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from diffusion.errors import Mismatch, UnknownModel
from diffusion.residency.budget import Residency
from diffusion.text.encoding import TextEncoder
from diffusion.text.kinds import BY_KEY, KINDS, kind_of, tower_from
from diffusion.text.recipe import Recipe
from diffusion.text.recipes import recipe_for
from diffusion.text.tokenizer_files import SPIECE
from diffusion.text.tokens import Find, no_embeddings
from diffusion.weights.files import Entry, Weights, open_weights

# Where text towers stand in whole checkpoints, and what each is called.
PLACES: tuple[tuple[str, str], ...] = (
    ("cond_stage_model.transformer.", "l"),
    ("cond_stage_model.model.", "h"),
    ("conditioner.embedders.0.transformer.", "l"),
    ("conditioner.embedders.0.model.", "g"),
    ("conditioner.embedders.1.model.", "g"),
    ("text_encoders.clip_l.transformer.", "l"),
    ("text_encoders.clip_g.transformer.", "g"),
    ("text_encoder.clip_g.transformer.", "g"),
    ("text_encoders.t5xxl.transformer.", "t5xxl"),
    ("text_encoders.pile_t5xl.transformer.", "pile_t5xl"),
    ("text_encoders.umt5xxl.transformer.", "umt5xxl"),
    ("text_encoders.umt5base.transformer.", "umt5base"),
    ("text_encoders.hydit_clip.transformer.", "hydit_clip"),
    ("text_encoders.mt5xl.transformer.", "mt5xl"),
    ("text_encoders.gemma2_2b.transformer.", "gemma2_2b"),
)
SPIECE_PLACES = ("text_encoders.mt5xl.", "text_encoders.", "")


def load_text_encoder(
    paths: Sequence[Path | str],
    residency: Residency | None = None,
    find: Find = no_embeddings,
    type: str = "stable_diffusion",
) -> TextEncoder:
    """The text encoder whose towers stand in one or several files, in any order.

    `type` is the loader's word for the family.

    Raises:
        UnknownModel: a file holds no text encoder that is known.
        Mismatch: the family reads other encoders; says which file is what, and which is missing.
    """
    towers: dict[str, Weights] = {}
    for path in paths:
        weights = open_weights(path)
        found = text_parts(weights)
        if not found:
            raise unknown_encoder(weights)
        for key in found:
            if key in towers and towers[key].path != weights.path:
                both = f"{towers[key].path.name} and {weights.path.name} are both {BY_KEY[key].title}."
                raise Mismatch(both, "Choose a file of another kind for one of the inputs.")
        towers |= found
    return text_encoder_from(towers, residency or Residency(), find, type)


def text_encoder_from(
    towers: Mapping[str, Weights],
    residency: Residency,
    find: Find = no_embeddings,
    type: str = "stable_diffusion",
) -> TextEncoder:
    """The text encoder of towers by key, each under its file's names without a prefix."""
    recipe = recipe_for(type, towers.keys())
    require(recipe, towers)
    made = tuple(
        tower_from(BY_KEY[key], towers[key], rule, residency)
        for key, rule in recipe.rules.items()
        if key in towers
    )
    return TextEncoder(made, recipe, find)


def text_parts(weights: Weights, places: Sequence[tuple[str, str]] = PLACES) -> dict[str, Weights]:
    """The text towers of a file by key, with the tokenizer that the file may hold.

    `places` are the prefixes at which towers may stand, and their keys.
    """
    found: dict[str, Weights] = {}
    for prefix, key in places:
        tower = weights.under(prefix)
        if prefix == "text_encoder.clip_g.transformer." and tower:
            tower = tower.having({**tower, **_projection(weights)})
        if BY_KEY[key].is_text(tower):
            found[key] = BY_KEY[key].own(tower)
    kind = None if found else kind_of(weights)
    if kind is not None:
        found[kind.key] = kind.own(weights)
    spiece = next((weights[place + SPIECE] for place in SPIECE_PLACES if place + SPIECE in weights), None)
    if spiece is not None:
        found = {key: tower.having({**tower, SPIECE: spiece}) for key, tower in found.items()}
    return found


def require(recipe: Recipe, towers: Mapping[str, Weights]) -> None:
    """See that a family's encoders are all there, and no others.

    Raises:
        Mismatch: they are not.
    """
    files = "; ".join(f"{each.path.name} is {BY_KEY[key].title}" for key, each in towers.items())
    readable = ", ".join(BY_KEY[key].title for key in recipe.rules)
    if any(key not in recipe.rules for key in towers):
        raise Mismatch(f"{recipe.title} reads texts with {readable}, but {files}.", "Choose those files.")
    if recipe.needed and not any(each <= towers.keys() for each in recipe.needed):
        missing = min((each - towers.keys() for each in recipe.needed), key=len)
        lacking = " and ".join(BY_KEY[key].title for key in recipe.rules if key in missing)
        raise Mismatch(
            f"{recipe.title} reads texts with {readable}, but {files}; {lacking} is missing.",
            "Load all of them with the loader that takes so many files.",
        )


def unknown_encoder(weights: Weights) -> UnknownModel:
    """The error for a file that holds no text encoder."""
    titles = "known: " + ", ".join(dict.fromkeys(kind.title for kind in KINDS))
    return UnknownModel(weights.path, "No text encoder was found in it.", [titles], "Choose another file.")


def _projection(weights: Weights) -> dict[str, Entry]:
    """A projection that stands beside its tower."""
    name = "text_encoder.clip_g.text_projection"
    return {"text_projection": weights[name]} if name in weights else {}
