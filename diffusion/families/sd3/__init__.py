"""Stable Diffusion 3 and 3.5, Stability AI 2024: a rectified flow over blocks of two streams.

Medium and large differ in sizes, and in blocks that look twice; all are one network.
"""

from __future__ import annotations

from functools import partial

from diffusion.errors import FileProblem
from diffusion.families.sd3.control import control_network
from diffusion.families.sd3.inputs import sd3_inputs
from diffusion.families.sd3.layout import LAYOUT
from diffusion.families.sd3.network import POINTS, Sd3, sd3_sizes
from diffusion.family import Defaults, Family, TextPlaces, Trait, having
from diffusion.latents.latent_format import SD3
from diffusion.noise.prediction import rectified_flow
from diffusion.weights.entries import Weights

SHIFT = 3.0
DIFFUSERS = ("transformer_blocks.0.attn.add_q_proj.weight", "pos_embed.proj.weight", "norm_out.linear.weight")
TEXT = TextPlaces(
    "sd3",
    (
        ("text_encoders.clip_l.transformer.", "l"),
        ("text_encoders.clip_g.transformer.", "g"),
        ("text_encoders.t5xxl.transformer.", "t5xxl"),
    ),
)


def native(weights: Weights) -> Weights:
    """A file in diffusers' layout under SD3's own names; any other unchanged."""
    if not all(name in weights for name in DIFFUSERS):
        return weights
    try:
        return weights.having(LAYOUT.written(weights))
    except KeyError as error:
        raise FileProblem(weights.path, f"Tensor {error.args[0]} is missing.") from None


sd3 = partial(
    Family,
    signs=(having("joint_blocks.0.context_block.attn.qkv.weight"),),
    sizes=sd3_sizes,
    network=Sd3,
    prediction=lambda weights, sizes: rectified_flow(SHIFT),
    latent=SD3,
    dialects=(native,),
    layout=LAYOUT,
    text=TEXT,
    text_width=lambda sizes: sizes.text,
    inputs=sd3_inputs,
    points=POINTS,
    controls=(control_network,),
)

FAMILIES: tuple[Family, ...] = (
    sd3(
        "sd35",
        "Stable Diffusion 3.5",
        traits=(Trait("normed queries and keys", lambda sizes: sizes.normed),),
        defaults=Defaults(1024, 1024, steps=20, scale=4.0, sampler="euler", scheduler="sgm_uniform"),
    ),
    sd3(
        "sd3",
        "Stable Diffusion 3",
        defaults=Defaults(1024, 1024, steps=28, scale=4.5, sampler="dpmpp_2m", scheduler="sgm_uniform"),
    ),
)
