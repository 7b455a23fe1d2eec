"""What DiT is given beside the latent: the number of a class."""

from __future__ import annotations

from collections.abc import Mapping

import torch

from diffusion.conditioning import Entry, Setting
from diffusion.errors import Mismatch
from diffusion.networks.backbone import Value

NONE = -1  # stands for no class


def dit_inputs(entry: Entry, name: str, setting: Setting) -> Mapping[str, Value]:
    """`labels` [1]; without one, or at −1, that of no class, which guidance leads away from.

    Raises:
        Mismatch: the model knows no class of this number.
    """
    classes = setting.model.sizes.classes
    label = int(entry.options.get("class_label", NONE))
    if not NONE <= label < classes:
        found = f"{setting.model.family.title} knows classes 0 to {classes - 1}, and not {label}."
        raise Mismatch(found, f"Choose one of them for the {name} conditioning, or {NONE} for none.")
    return {"labels": torch.tensor([classes if label == NONE else label])}
