"""AuraFlow, fal 2024: a rectified flow over double and single transformer blocks, told by Pile-T5."""

from __future__ import annotations

from diffusion.errors import FileProblem
from diffusion.families.auraflow.layout import LAYOUT
from diffusion.families.auraflow.network import POINTS, AuraFlow, auraflow_sizes
from diffusion.family import Defaults, Family, TextPlaces, having
from diffusion.latents.latent_format import SDXL
from diffusion.noise.prediction import rectified_flow
from diffusion.weights.entries import Weights

SHIFT = 1.73


def native(weights: Weights) -> Weights:
    """A file in diffusers' layout under AuraFlow's own names; any other unchanged."""
    if "joint_transformer_blocks.0.attn.add_k_proj.weight" not in weights:
        return weights
    try:
        return weights.having(LAYOUT.written(weights))
    except KeyError as error:
        raise FileProblem(weights.path, f"Tensor {error.args[0]} is missing.") from None


FAMILIES = (
    Family(
        "auraflow",
        "AuraFlow",
        signs=(having("double_layers.0.attn.w1q.weight"),),
        sizes=auraflow_sizes,
        network=AuraFlow,
        prediction=lambda weights, sizes: rectified_flow(SHIFT, multiplier=1.0),
        latent=SDXL,
        dialects=(native,),
        layout=LAYOUT,
        text=TextPlaces("auraflow", (("text_encoders.pile_t5xl.transformer.", "pile_t5xl"),)),
        text_width=lambda sizes: sizes.text,
        points=POINTS,
        defaults=Defaults(1024, 1024, steps=25, scale=3.5, sampler="euler", scheduler="simple"),
    ),
)
