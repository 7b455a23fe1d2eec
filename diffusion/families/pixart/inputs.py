"""What PixArt alpha is given beside the latent: the size of the picture, in pixels."""

from __future__ import annotations

from collections.abc import Mapping

from diffusion.conditioning import Entry, Setting
from diffusion.networks.backbone import Value


def pixart_inputs(entry: Entry, name: str, setting: Setting) -> Mapping[str, Value]:
    """`resolution` [B, 2] and `aspect_ratio` [B, 1]: those a text was encoded with, else the latent's."""
    if not setting.model.sizes.told_size:
        return {}
    latent, downscale = setting.latent, setting.model.latent_format.downscale
    height = float(entry.options.get("height", latent.shape[-2] * downscale))
    width = float(entry.options.get("width", latent.shape[-1] * downscale))
    return {
        "resolution": latent.new_tensor([[height, width]]),
        "aspect_ratio": latent.new_tensor([[height / max(width, 1.0)]]),
    }
