"""The ways to read texts that there are, by the names that loaders of text encoders call them by."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace

from diffusion.text import joins
from diffusion.text.recipe import Recipe
from diffusion.text.tokens import Frame
from diffusion.text.tower import Rule

CLIP_START, CLIP_END = 49406, 49407
CLIP_LENGTH = 77


def clip_rule(layer: int, normed: bool, pad: int = CLIP_END) -> Rule:
    """A CLIP tower's rule: a chunk of 77, the hidden state that is taken, and what fills a chunk up."""
    frame = Frame(CLIP_START, CLIP_END, pad, CLIP_LENGTH, CLIP_LENGTH)
    return Rule(frame, layer, normed)


def t5_frame(least: int, pad: int = 0, end: int = 1) -> Frame:
    """What stands around a text for T5: an end, and pads up to the least length, which has no limit."""
    return Frame(None, end, pad, least=least)


STABLE_DIFFUSION: Mapping[tuple[str, ...], Recipe] = {
    ("l",): Recipe("sd1", "Stable Diffusion 1.x", {"l": clip_rule(-1, True)}),
    ("h",): Recipe("sd2", "Stable Diffusion 2.x", {"h": clip_rule(-2, True, 0)}),
    ("g",): Recipe("sdxl_refiner", "SDXL refiner", {"g": clip_rule(-2, False, 0)}),
    ("l", "g"): Recipe(
        "sdxl", "Stable Diffusion XL", {"l": clip_rule(-2, False), "g": clip_rule(-2, False, 0)}
    ),
}
"""Families that read CLIP alone are told by their towers."""


PIXART = Recipe(
    "pixart",
    "PixArt",
    {"t5xxl": Rule(t5_frame(1), bare_empty=True)},
    joins.one("t5xxl"),
)

NAMED: Mapping[str, Recipe] = {
    "stable_cascade": Recipe(
        "stable_cascade",
        "Stable Cascade",
        {"g": replace(clip_rule(-1, False), masked=True)},
        joins.with_pooled,
    ),
    "flux": Recipe(
        "flux",
        "Flux",
        {"l": replace(clip_rule(-1, True), projected=False), "t5xxl": Rule(t5_frame(256))},
        joins.flux,
        (frozenset({"l", "t5xxl"}),),
    ),
    "sd3": Recipe(
        "sd3",
        "Stable Diffusion 3",
        {
            "l": replace(clip_rule(-2, False), projected=False),
            "g": clip_rule(-2, False, 0),
            "t5xxl": Rule(t5_frame(77)),
        },
        joins.sd3,
        silent=frozenset({"l", "g"}),
    ),
    "pixart": PIXART,
    "chroma": replace(PIXART, name="chroma", title="Chroma"),
    "auraflow": Recipe(
        "auraflow",
        "AuraFlow",
        {"pile_t5xl": Rule(t5_frame(256, pad=1, end=2), masked=True, silenced=True)},
        joins.one("pile_t5xl"),
    ),
    "cosmos": Recipe(
        "cosmos",
        "Cosmos",
        {"t5xxl_old": Rule(t5_frame(512), masked=True, silenced=True)},
        joins.one("t5xxl", mask=True),
    ),
    "mochi": Recipe(
        "mochi", "Mochi", {"t5xxl": Rule(t5_frame(256), masked=True)}, joins.one("t5xxl", mask=True)
    ),
}
"""Families whose way of reading has a name of its own."""

ONLY_ONE: Mapping[str, str] = {
    "pile_t5xl": "auraflow",
    "t5xxl_old": "cosmos",
}
"""Towers that one family alone reads, whatever the loader was told."""

BESIDE: Mapping[frozenset[str], str] = {
    frozenset({"l", "t5xxl"}): "flux",
    frozenset({"l", "g", "t5xxl"}): "sd3",
    frozenset({"g", "t5xxl"}): "sd3",
}
"""What towers that stand together in one checkpoint are for, where nothing else says it."""


def recipe_for(type: str, keys: Collection[str]) -> Recipe:
    """The recipe that a loader's `type` means for towers of these keys."""
    only = next((ONLY_ONE[key] for key in keys if key in ONLY_ONE), None)
    if only is not None:
        return NAMED[only]
    if type in NAMED:
        return NAMED[type]
    clips = tuple(key for key in "lhg" if key in keys)
    if type == "sdxl" or (clips and len(clips) == len(keys)):
        known = STABLE_DIFFUSION.get(clips) if len(clips) == len(keys) else None
        return known or STABLE_DIFFUSION[("l", "g")]
    beside = BESIDE.get(frozenset(keys))
    return NAMED[beside or "mochi"]
