"""What HunyuanDiT is given beside latent, time and BERT's text, from a conditioning's options: once a run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from diffusion.conditioning import Entry, Setting
from diffusion.errors import Mismatch
from diffusion.networks.backbone import Value

PIXELS = 8  # of a picture, for each place of the latent


def hunyuan_dit_inputs(entry: Entry, name: str, setting: Setting) -> Mapping[str, Value]:
    """The network's inputs by name:

    - `mask` [B, T], 1 at BERT's words; none where all are;
    - `mt5` [B, T', C], what mT5 says, and its `mt5_mask`;
    - `sizes` [1, 6]: of the picture that 1.1 shall think of, in pixels: height and width, those aimed at,
      and where its corner is cut. They are the run's where the conditioning names none.
    """
    options, latent = entry.options, setting.latent
    mt5 = options.get("conditioning_mt5xl")
    if mt5 is None:
        advice = "Take the text encoders of its checkpoint: they are a BERT and an mT5."
        raise Mismatch("This model needs conditioning that mT5 has read, and there is none.", advice)
    width = setting.model.sizes.mt5
    if mt5.shape[-1] != width:
        problem = f"This model reads mT5's text in {width} channels, not {mt5.shape[-1]}."
        raise Mismatch(problem, "Take the text encoders of its checkpoint.")
    found: dict[str, Value] = {"mt5": mt5.to(latent)}
    for mask, key in (("mask", "attention_mask"), ("mt5_mask", "attention_mask_mt5xl")):
        if options.get(key) is not None:
            found[mask] = options[key].to(latent.device)
    if setting.model.sizes.styled:
        found["sizes"] = torch.tensor([picture_sizes(options, *latent.shape[-2:])])
    return found


def picture_sizes(options: Mapping[str, Any], rows: int, columns: int) -> tuple[float, ...]:
    """Height, width, the height and width aimed at, and a corner that is not cut."""
    height, width = options.get("height", rows * PIXELS), options.get("width", columns * PIXELS)
    aim = options.get("target_height", height), options.get("target_width", width)
    return (*(float(each) for each in (height, width, *aim)), 0.0, 0.0)
