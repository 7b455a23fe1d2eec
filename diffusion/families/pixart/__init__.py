"""PixArt alpha and sigma, Chen et al. 2023 and 2024: a transformer told by T5 through cross-attention."""

from __future__ import annotations

from functools import partial

from diffusion.errors import FileProblem
from diffusion.families.pixart.inputs import pixart_inputs
from diffusion.families.pixart.layout import LAYOUT
from diffusion.families.pixart.network import POINTS, PixArt, pixart_sizes
from diffusion.family import Defaults, Family, TextPlaces, having, lacking
from diffusion.latents.latent_format import SD1, SDXL
from diffusion.noise.clocks import linear_sigmas
from diffusion.noise.prediction import EPS, discrete
from diffusion.weights.entries import Weights

BETAS = (0.0001, 0.02)
DIFFUSERS = ("adaln_single.emb.timestep_embedder.linear_1.bias", "pos_embed.proj.bias", "proj_out.weight")
TOLD_SIZE = "ar_embedder.mlp.0.weight"


def native(weights: Weights) -> Weights:
    """A file in diffusers' layout under PixArt's own names; any other unchanged."""
    if not all(name in weights for name in DIFFUSERS):
        return weights
    try:
        return weights.having(LAYOUT.written(weights))
    except KeyError as error:
        raise FileProblem(weights.path, f"Tensor {error.args[0]} is missing.") from None


pixart = partial(
    Family,
    sizes=pixart_sizes,
    network=PixArt,
    prediction=lambda weights, sizes: discrete(EPS, linear_sigmas(*BETAS)),
    dialects=(native,),
    layout=LAYOUT,
    text=TextPlaces("pixart", (("text_encoders.t5xxl.transformer.", "t5xxl"),)),
    text_width=lambda sizes: sizes.text,
    inputs=pixart_inputs,
    points=POINTS,
    defaults=Defaults(1024, 1024, steps=20, scale=4.5, sampler="dpmpp_2m", scheduler="normal"),
)
BLOCK = having("t_block.1.weight")

FAMILIES: tuple[Family, ...] = (
    pixart("pixart_alpha", "PixArt alpha", signs=(BLOCK, having(TOLD_SIZE)), latent=SD1),
    pixart("pixart_sigma", "PixArt sigma", signs=(BLOCK, lacking(TOLD_SIZE)), latent=SDXL),
)
