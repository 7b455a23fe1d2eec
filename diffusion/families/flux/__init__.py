"""FLUX.1, Black Forest Labs 2024: a rectified flow over double and single transformer blocks.

dev and schnell, and what dev was tuned into: Fill paints in, Depth and Canny follow a picture, Kontext edits.
They differ in the channels they see beside the noise, and in whether they are told a guidance.
"""

from __future__ import annotations

from functools import partial

from diffusion.errors import FileProblem
from diffusion.families.flux.control import control_network
from diffusion.families.flux.inputs import FIRST_LAYER, flux_inputs
from diffusion.families.flux.layout import LAYOUT, PROCESSORS, QKV_ALONE
from diffusion.families.flux.network import POINTS, Flux, FluxSizes, flux_sizes
from diffusion.families.flux.style import style_reference
from diffusion.family import Defaults, Family, TextPlaces, having, lacking
from diffusion.latents.latent_format import FLUX
from diffusion.noise.prediction import Prediction, bent_flow, rectified_flow
from diffusion.weights.entries import Weights

BEND = 1.15  # of times, at pictures of 1024 × 1024
DIFFUSERS = ("x_embedder.weight", "context_embedder.weight", "single_transformer_blocks.0.proj_mlp.weight")
TEXT = TextPlaces(
    "flux",
    (("text_encoders.clip_l.transformer.", "l"), ("text_encoders.t5xxl.transformer.", "t5xxl")),
)


def native(weights: Weights) -> Weights:
    """A file in diffusers' layout under FLUX's own names; any other unchanged."""
    if not all(name in weights for name in DIFFUSERS):
        return weights
    try:
        return weights.having(LAYOUT.written(weights))
    except KeyError as error:
        raise FileProblem(weights.path, f"Tensor {error.args[0]} is missing.") from None


def dev_prediction(weights: Weights, sizes: FluxSizes) -> Prediction:
    """A flow whose times are bent for large pictures."""
    return bent_flow(BEND)


def schnell_prediction(weights: Weights, sizes: FluxSizes) -> Prediction:
    """A flow over even times."""
    return rectified_flow(1.0, multiplier=1.0)


flux = partial(
    Family,
    sizes=flux_sizes,
    network=Flux,
    latent=FLUX,
    dialects=(native,),
    layout=LAYOUT,
    adapters=(PROCESSORS, QKV_ALONE),
    widens=frozenset({FIRST_LAYER}),
    controls=(control_network,),
    beside_networks=(style_reference,),
    text=TEXT,
    text_width=lambda sizes: sizes.text,
    inputs=flux_inputs,
    points=POINTS,
)
BLOCKS = having("double_blocks.0.img_attn.norm.key_norm.scale")
FIRST = having("img_in.weight")
GUIDED = "guidance_in.in_layer.weight"

FAMILIES: tuple[Family, ...] = (
    flux(
        "flux",
        "FLUX.1 dev",
        signs=(BLOCKS, FIRST, having(GUIDED)),
        prediction=dev_prediction,
        defaults=Defaults(1024, 1024, steps=20, scale=1.0, scheduler="simple"),
    ),
    flux(
        "flux_schnell",
        "FLUX.1 schnell",
        signs=(BLOCKS, FIRST, lacking(GUIDED)),
        prediction=schnell_prediction,
        defaults=Defaults(1024, 1024, steps=4, scale=1.0, scheduler="simple"),
    ),
)
