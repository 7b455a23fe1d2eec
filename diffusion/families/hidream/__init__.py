"""HiDream-I1 and E1, HiDream.ai 2025: a flow over a sparse transformer, told by CLIP, T5 and LLaMA.

I1 makes pictures, E1 edits one. They differ in their weights alone: any of them edits what it is given.
"""

from __future__ import annotations

from diffusion.families.hidream.inputs import hidream_inputs
from diffusion.families.hidream.network import POINTS, HiDream, hidream_sizes
from diffusion.family import Defaults, Family, TextPlaces, having
from diffusion.latents.latent_format import FLUX
from diffusion.noise.prediction import rectified_flow

FAMILIES = (
    Family(
        "hidream",
        "HiDream",
        signs=(having("caption_projection.0.linear.weight"),),
        sizes=hidream_sizes,
        network=HiDream,
        prediction=lambda weights, sizes: rectified_flow(1.0),
        latent=FLUX,
        text=TextPlaces("hidream"),
        text_width=lambda sizes: sizes.text,
        inputs=hidream_inputs,
        points=POINTS,
        defaults=Defaults(1024, 1024, steps=28, scale=1.0, sampler="lcm", scheduler="normal"),
    ),
)
