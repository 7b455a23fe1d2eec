"""Qwen-Image, Qwen team 2025, and what edits pictures with it: Edit and Edit-Plus, told by Qwen2.5-VL."""

from __future__ import annotations

from diffusion.families.qwen_image.beside import beside_network
from diffusion.families.qwen_image.control import control_network
from diffusion.families.qwen_image.network import POINTS, QwenImage, qwen_inputs, qwen_sizes
from diffusion.family import Defaults, Family, TextPlaces, having
from diffusion.latents.latent_format import WAN
from diffusion.noise.prediction import bent_flow
from diffusion.weights.layout import SAME

BEND = 1.15  # of times, at pictures of 1024 × 1024

FAMILIES = (
    Family(
        "qwen_image",
        "Qwen-Image",
        signs=(having("txt_norm.weight"), having("transformer_blocks.0.attn.add_k_proj.weight")),
        sizes=qwen_sizes,
        network=QwenImage,
        prediction=lambda weights, sizes: bent_flow(BEND),
        latent=WAN,
        layout=SAME,
        controls=(control_network,),
        beside_networks=(beside_network,),
        text=TextPlaces("qwen_image"),
        text_width=lambda sizes: sizes.text,
        inputs=qwen_inputs,
        points=POINTS,
        defaults=Defaults(1328, 1328, steps=20, scale=2.5, scheduler="simple"),
    ),
)
