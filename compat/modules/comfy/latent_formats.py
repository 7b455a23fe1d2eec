"""ComfyUI's `comfy.latent_formats`: the numbers of the latent spaces that we know."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from compat.host import Host
from diffusion.latents.latent_format import SD1, SDXL
from diffusion.latents.latent_format import LatentFormat as Known


class LatentFormat:
    """How a family scales its latents; four channels, eight pixels a side, if nothing else is said."""

    scale_factor = 1.0
    latent_channels = 4
    latent_dimensions = 2
    spacial_downscale_ratio = 8
    latent_rgb_factors: Any = None
    latent_rgb_factors_bias: Any = None
    taesd_decoder_name: str | None = None

    def process_in(self, latent: Any) -> Any:
        """From the VAE's latent to the network's."""
        return latent * self.scale_factor

    def process_out(self, latent: Any) -> Any:
        """From the network's latent to the VAE's."""
        return latent / self.scale_factor


def _of(name: str, known: Known) -> type:
    members = {
        "scale_factor": known.scale,
        "latent_channels": known.channels,
        "latent_rgb_factors": [list(row) for row in known.rgb],
        "taesd_decoder_name": f"{known.preview}_decoder",
        "__module__": "comfy.latent_formats",
    }
    return type(name, (LatentFormat,), members)


def names(host: Host) -> Mapping[str, Any]:
    """What packs import."""
    return {"LatentFormat": LatentFormat, "SD15": _of("SD15", SD1), "SDXL": _of("SDXL", SDXL)}
