"""Chroma, Lodestone Rock 2025, made from FLUX.1 schnell: a flow told by T5 alone, with real guidance."""

from __future__ import annotations

from diffusion.families.chroma.layout import LAYOUT
from diffusion.families.chroma.network import POINTS, Chroma, chroma_inputs, chroma_sizes
from diffusion.family import Defaults, Family, TextPlaces, having, lacking
from diffusion.latents.latent_format import FLUX
from diffusion.noise.prediction import bent_flow

BEND = 1.15

FAMILIES = (
    Family(
        "chroma",
        "Chroma",
        signs=(
            having("distilled_guidance_layer.norms.0.scale"),
            having("img_in.weight"),
            lacking("nerf_blocks.0.norm.scale"),
        ),
        sizes=chroma_sizes,
        network=Chroma,
        prediction=lambda weights, sizes: bent_flow(BEND),
        latent=FLUX,
        layout=LAYOUT,
        text=TextPlaces("chroma", (("text_encoders.t5xxl.transformer.", "t5xxl"),)),
        text_width=lambda sizes: sizes.text,
        inputs=chroma_inputs,
        points=POINTS,
        defaults=Defaults(1024, 1024, steps=26, scale=3.0, sampler="euler", scheduler="beta"),
    ),
)
