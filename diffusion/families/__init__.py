"""The kinds of models: one folder each, listed here by name; `docs/families.md` says how to add one.

The order is that in which files are tried: a family whose files also show another's signs comes first.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module

from diffusion.family import Family

NAMES: tuple[str, ...] = (
    "sd",
    "chroma",
    "flux",
    "sd3",
    "pixart",
    "dit",
    "auraflow",
    "hidream",
    "hunyuan_dit",
    "hunyuan_image",
    "lumina2",
    "qwen_image",
    "cosmos_predict2",
    "omnigen2",
)
"""The folders in this room, each with a `FAMILIES`."""


def families() -> Iterator[Family]:
    """All families, in the order in which files are tried."""
    for name in NAMES:
        yield from import_module(f"diffusion.families.{name}").FAMILIES
