"""Our MODEL, CLIP and VAE values as packs call them, and back.

A V1 node is given a facade that answers ComfyUI's names over our immutable value; what it returns is turned
back, so no native node ever meets a facade. A facade changes by replacing the value it stands for. Names that
reach into ComfyUI's inside (`patcher`, `cond_stage_model`, `first_stage_model` …) raise AttributeError and
say so.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from typing import Any

from compat.values.clip import Clip
from compat.values.facade import Facade
from compat.values.model import DiffusionModel
from compat.values.vae import Vae


def shown(value: Any) -> Any:
    """A value as a V1 node is to see it; lists item by item, everything else as it is."""
    if isinstance(value, list):
        return [shown(member) for member in value] if any(_facade_of(member) for member in value) else value
    facade = _facade_of(value)
    return facade(value) if facade else value


def own(value: Any) -> Any:
    """A value from a V1 node as our nodes are to see it; lists item by item."""
    if isinstance(value, list):
        return [own(member) for member in value] if any(isinstance(m, Facade) for m in value) else value
    return value.own() if isinstance(value, Facade) else value


def _facade_of(value: Any) -> Callable[[Any], Facade] | None:
    """The facade for a value's class. A class whose module is not loaded can have no values."""
    module = type(value).__module__
    if module not in FACADES or module not in sys.modules:
        return None
    name, facade = FACADES[module]
    return facade if type(value).__name__ == name else None


FACADES: Mapping[str, tuple[str, Callable[[Any], Facade]]] = {
    "diffusion.latents.autoencoder": ("VAE", Vae),
    "diffusion.model": ("Model", DiffusionModel),
    "diffusion.text.encoding": ("TextEncoder", Clip),
}
"""Module → the class in it that packs see by a facade."""
