"""DiT, Peebles and Xie 2022: the transformer that later ones come from, told one of a thousand classes."""

from __future__ import annotations

from diffusion.errors import FileProblem
from diffusion.families.dit.inputs import dit_inputs
from diffusion.families.dit.layout import LAYOUT
from diffusion.families.dit.network import POINTS, DiT, dit_sizes
from diffusion.family import Defaults, Family, having, lacking
from diffusion.latents.latent_format import SD1
from diffusion.noise.clocks import linear_sigmas
from diffusion.noise.prediction import EPS, discrete
from diffusion.weights.entries import Weights

BETAS = (0.0001, 0.02)
DIFFUSERS = ("transformer_blocks.0.norm1.emb.class_embedder.embedding_table.weight", "proj_out_2.weight")


def native(weights: Weights) -> Weights:
    """A file in diffusers' layout under DiT's own names; any other unchanged."""
    if not all(name in weights for name in DIFFUSERS):
        return weights
    once = {
        name: weights[name]
        for name in weights
        if ".norm1.emb." not in name or name.startswith("transformer_blocks.0.")
    }
    try:
        return weights.having(LAYOUT.written(once))
    except KeyError as error:
        raise FileProblem(weights.path, f"Tensor {error.args[0]} is missing.") from None


FAMILIES = (
    Family(
        "dit",
        "DiT",
        signs=(
            having("y_embedder.embedding_table.weight"),
            having("blocks.0.adaLN_modulation.1.weight"),
            lacking("t_block.1.weight"),
        ),
        sizes=dit_sizes,
        network=DiT,
        prediction=lambda weights, sizes: discrete(EPS, linear_sigmas(*BETAS)),
        latent=SD1,
        dialects=(native,),
        layout=LAYOUT,
        inputs=dit_inputs,
        points=POINTS,
        defaults=Defaults(256, 256, steps=25, scale=4.0, sampler="ddim", scheduler="normal"),
    ),
)
