"""HunyuanImage 2.1, Tencent 2025, and its distilled version: a flow told by Qwen2.5-VL and ByT5."""

from __future__ import annotations

from diffusion.families.hunyuan_image.layout import LAYOUT, native
from diffusion.families.hunyuan_image.network import (
    POINTS,
    HunyuanImage,
    hunyuan_image_inputs,
    hunyuan_image_sizes,
)
from diffusion.family import Defaults, Family, Sign, TextPlaces, having, lacking
from diffusion.latents.latent_format import LatentFormat
from diffusion.noise.prediction import rectified_flow

SHIFT = 5.0
LATENT = LatentFormat("hunyuan_image", 64, 0.75289, downscale=32)
FIRST = "img_in.proj.weight"

FAMILIES = (
    Family(
        "hunyuan_image",
        "HunyuanImage 2.1",
        signs=(
            having("txt_in.individual_token_refiner.blocks.0.norm1.weight"),
            lacking("vector_in.in_layer.weight"),
            Sign(f"a {FIRST} of pictures", lambda weights: len(weights.shape(FIRST) or ()) == 4),
        ),
        sizes=hunyuan_image_sizes,
        network=HunyuanImage,
        prediction=lambda weights, sizes: rectified_flow(SHIFT),
        latent=LATENT,
        dialects=(native,),
        layout=LAYOUT,
        text=TextPlaces("hunyuan_image"),
        text_width=lambda sizes: sizes.text,
        inputs=hunyuan_image_inputs,
        points=POINTS,
        defaults=Defaults(2048, 2048, steps=20, scale=3.5, scheduler="simple"),
    ),
)
