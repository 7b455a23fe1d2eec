"""The ways to read texts that there are, by the names that loaders of text encoders call them by."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from diffusion.text.recipe import Recipe
from diffusion.text.tokens import Frame
from diffusion.text.tower import Rule

CLIP_START, CLIP_END = 49406, 49407
CLIP_LENGTH = 77


def clip_rule(layer: int, normed: bool, pad: int = CLIP_END) -> Rule:
    """A CLIP tower's rule: a chunk of 77, the hidden state that is taken, and what fills a chunk up."""
    frame = Frame(CLIP_START, CLIP_END, pad, CLIP_LENGTH, CLIP_LENGTH)
    return Rule(frame, layer, normed)


STABLE_DIFFUSION: Mapping[tuple[str, ...], Recipe] = {
    ("l",): Recipe("sd1", "Stable Diffusion 1.x", {"l": clip_rule(-1, True)}),
    ("h",): Recipe("sd2", "Stable Diffusion 2.x", {"h": clip_rule(-2, True, 0)}),
    ("g",): Recipe("sdxl_refiner", "SDXL refiner", {"g": clip_rule(-2, False, 0)}),
    ("l", "g"): Recipe(
        "sdxl", "Stable Diffusion XL", {"l": clip_rule(-2, False), "g": clip_rule(-2, False, 0)}
    ),
}
"""Families that read CLIP alone are told by their towers."""


def recipe_for(type: str, keys: Collection[str]) -> Recipe:
    """The recipe that a loader's `type` means for towers of these keys."""
    clips = tuple(key for key in "lhg" if key in keys)
    return STABLE_DIFFUSION.get(clips, STABLE_DIFFUSION[("l", "g")])
