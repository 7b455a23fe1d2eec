"""Cosmos-Predict2, NVIDIA 2025, text to image: a flow in an exploding process, told by old T5-XXL."""

from __future__ import annotations

from torch import Tensor

from diffusion.families.cosmos_predict2.layout import LAYOUT
from diffusion.families.cosmos_predict2.network import POINTS, CosmosPredict2, cosmos_sizes
from diffusion.family import Defaults, Family, TextPlaces, Trait, having
from diffusion.latents.latent_format import WAN
from diffusion.noise.prediction import EXPLODING_FLOW, Prediction, continuous_edm, like

SIGMA_MIN, SIGMA_MAX = 0.002, 80.0


def clean(latent: Tensor, noise: Tensor, sigma: Tensor, prediction: Prediction) -> Tensor:
    """What the network sees outside a noise mask once x is scaled: the latent without noise."""
    return latent * (like(sigma, latent) + 1)


FAMILIES = (
    Family(
        "cosmos_predict2",
        "Cosmos-Predict2",
        signs=(having("blocks.0.mlp.layer1.weight"), having("x_embedder.proj.1.weight")),
        sizes=cosmos_sizes,
        traits=(
            Trait("latents of 16 channels, as text to image has", lambda sizes: sizes.in_channels == 16),
        ),
        network=CosmosPredict2,
        prediction=lambda weights, sizes: continuous_edm(EXPLODING_FLOW, SIGMA_MIN, SIGMA_MAX),
        latent=WAN,
        layout=LAYOUT,
        text=TextPlaces("cosmos"),
        text_width=lambda sizes: sizes.text,
        points=POINTS,
        outside_mask=clean,
        defaults=Defaults(1024, 1024, steps=35, scale=4.0, sampler="euler", scheduler="simple"),
    ),
)
