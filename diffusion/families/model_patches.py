"""Small networks that are put beside a family's own, from files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from diffusion.families import families
from diffusion.residency.budget import Residency
from diffusion.weights.files import open_weights
from diffusion.weights.kinds import unknown


def load_model_patch(path: Path | str, residency: Residency | None = None) -> Any:
    """What a file of `models/model_patches` holds; a family's node knows how to use it.

    UnknownModel if no family knows it.
    """
    residency, weights = residency or Residency(), open_weights(path)
    for make in dict.fromkeys(make for family in families() for make in family.beside_networks):
        found = make(weights, residency)
        if found is not None:
            return found
    raise unknown(weights, "It is no patch of a model that is known")
