"""Lumina-Image 2.0, Alpha-VLLM 2025, and what was tuned from it, such as NetaYume: a flow told by Gemma."""

from __future__ import annotations

from diffusion.families.lumina2.layout import LAYOUT
from diffusion.families.lumina2.network import POINTS, Lumina2, lumina2_inputs, lumina2_sizes
from diffusion.family import Defaults, Family, TextPlaces, having
from diffusion.latents.latent_format import FLUX
from diffusion.noise.prediction import rectified_flow

SHIFT = 6.0

FAMILIES = (
    Family(
        "lumina2",
        "Lumina Image 2.0",
        signs=(having("cap_embedder.1.weight"), having("layers.0.attention.qkv.weight")),
        sizes=lumina2_sizes,
        network=Lumina2,
        prediction=lambda weights, sizes: rectified_flow(SHIFT, multiplier=1.0),
        latent=FLUX,
        layout=LAYOUT,
        text=TextPlaces("lumina2", (("text_encoders.gemma2_2b.transformer.", "gemma2_2b"),)),
        text_width=lambda sizes: sizes.text,
        inputs=lumina2_inputs,
        points=POINTS,
        defaults=Defaults(1024, 1024, steps=25, scale=4.0, sampler="res_multistep", scheduler="simple"),
    ),
)
