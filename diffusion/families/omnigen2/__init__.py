"""OmniGen2, BAAI 2025 (arXiv 2506.18871): draws and edits with pictures to look at, told by Qwen2.5-VL 3B."""

from __future__ import annotations

from diffusion.families.omnigen2.network import POINTS, OmniGen2, omnigen_inputs, omnigen_sizes
from diffusion.family import Defaults, Family, TextPlaces, having
from diffusion.latents.latent_format import FLUX
from diffusion.noise.prediction import rectified_flow
from diffusion.weights.layout import SAME

SHIFT = 2.6

FAMILIES = (
    Family(
        "omnigen2",
        "OmniGen2",
        signs=(
            having("time_caption_embed.timestep_embedder.linear_1.bias"),
            having("ref_image_patch_embedder.weight"),
        ),
        sizes=omnigen_sizes,
        network=OmniGen2,
        prediction=lambda weights, sizes: rectified_flow(SHIFT, multiplier=1.0),
        latent=FLUX,
        layout=SAME,
        text=TextPlaces("omnigen2"),
        text_width=lambda sizes: sizes.text,
        inputs=omnigen_inputs,
        points=POINTS,
        defaults=Defaults(1024, 1024, steps=20, scale=5.0, sampler="euler", scheduler="simple"),
    ),
)
