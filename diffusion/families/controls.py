"""Control networks of any family from files."""

from __future__ import annotations

from pathlib import Path

from diffusion.control.chain import ControlNetwork
from diffusion.control.control_files import load_controlnet
from diffusion.families import families
from diffusion.model import Model
from diffusion.residency.budget import Residency
from diffusion.weights.files import open_weights


def load_control(
    path: Path | str, residency: Residency | None = None, model: Model | None = None
) -> ControlNetwork:
    """The control network of a file: a family's own, else one of a UNet. `model` is what differences add to.

    Raises:
        UnknownModel: there is none in it.
        FileProblem: it holds differences, and no model is given.
    """
    residency, weights = residency or Residency(), open_weights(path)
    for make in dict.fromkeys(make for family in families() for make in family.controls):
        found = make(weights, residency)
        if found is not None:
            return found
    return load_controlnet(path, residency, model)
