"""HunyuanDiT 1.1 and 1.2, Tencent 2024: a diffusion transformer told by BERT and mT5."""

from __future__ import annotations

from functools import partial

from diffusion.families.hunyuan_dit.inputs import hunyuan_dit_inputs
from diffusion.families.hunyuan_dit.layout import LAYOUT
from diffusion.families.hunyuan_dit.network import POINTS, HunyuanDiT, HunyuanDiTSizes, hunyuan_dit_sizes
from diffusion.family import Defaults, Family, TextPlaces, having, lacking
from diffusion.latents.latent_format import SDXL
from diffusion.noise.clocks import scaled_linear_sigmas
from diffusion.noise.prediction import Prediction, V, discrete
from diffusion.weights.entries import Weights

FIRST_BETA = 0.00085
LAST_BETA, LAST_BETA_11 = 0.018, 0.03
STYLE = "style_embedder.weight"


def prediction(weights: Weights, sizes: HunyuanDiTSizes) -> Prediction:
    """v on Stable Diffusion's clock, to more noise; to most in 1.1."""
    return discrete(V, scaled_linear_sigmas(FIRST_BETA, LAST_BETA_11 if sizes.styled else LAST_BETA))


hunyuan_dit = partial(
    Family,
    sizes=hunyuan_dit_sizes,
    network=HunyuanDiT,
    prediction=prediction,
    latent=SDXL,
    layout=LAYOUT,
    text=TextPlaces(
        "hunyuan_dit",
        (
            ("text_encoders.hydit_clip.transformer.", "hydit_clip"),
            ("text_encoders.mt5xl.transformer.", "mt5xl"),
        ),
    ),
    text_width=lambda sizes: sizes.text,
    inputs=hunyuan_dit_inputs,
    points=POINTS,
    defaults=Defaults(1024, 1024, steps=30, scale=6.0, sampler="euler", scheduler="normal"),
)
TOLD = having("mlp_t5.0.weight")

FAMILIES: tuple[Family, ...] = (
    hunyuan_dit("hunyuan_dit", "HunyuanDiT 1.2", signs=(TOLD, lacking(STYLE))),
    hunyuan_dit("hunyuan_dit_11", "HunyuanDiT 1.1", signs=(TOLD, having(STYLE))),
)
