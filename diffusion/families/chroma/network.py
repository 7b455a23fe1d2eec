"""Chroma's network (Lodestone Rock 2025): FLUX's blocks, whose modulations one small network approximates.

It tells every block, from time and guidance, how far to shift and scale. diffusers' class computes all.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from diffusion.conditioning import Entry, Setting
from diffusion.families.flux.network import AXES, HEAD, PATCH, THOUSAND, controlled
from diffusion.hooks import Hooks
from diffusion.networks.backbone import Inputs, Value
from diffusion.networks.blocks import timestep_embedding
from diffusion.networks.spots import Spot
from diffusion.networks.zoo import IMAGE, Blocks, Visit, Zoo, built, patches, unpatched, wrapped
from diffusion.weights.entries import Weights
from diffusion.weights.shapes import counted

CLOCK = 16  # waves of time, and as many of guidance
EPS = 1e-6
POINTS = frozenset({"block.call", "attention.self.attend"})
"""Hook points inside the network."""


@dataclass(frozen=True)
class ChromaSizes:
    """Read off a file under its original names; channels are of the latent, not of its patches."""

    width: int
    in_channels: int
    text: int
    doubles: int
    singles: int
    hidden: int
    layers: int

    @property
    def out_channels(self) -> int:
        """What goes in comes out."""
        return self.in_channels


def chroma_sizes(weights: Weights) -> ChromaSizes:
    """The sizes of a file's network."""
    width, tokens = weights["img_in.weight"].shape
    return ChromaSizes(
        width=width,
        in_channels=tokens // PATCH**2,
        text=weights["txt_in.weight"].shape[1],
        doubles=counted(weights, "double_blocks.{}.img_attn.qkv.weight"),
        singles=counted(weights, "single_blocks.{}.linear1.weight"),
        hidden=weights["distilled_guidance_layer.in_proj.weight"].shape[0],
        layers=counted(weights, "distilled_guidance_layer.layers.{}.in_layer.weight"),
    )


def chroma_inputs(entry: Entry, name: str, setting: Setting) -> Mapping[str, Value]:
    """`guidance` [B]: what the approximator is told; 0 where nothing is said."""
    latent = setting.latent
    return {"guidance": latent.new_full((len(latent),), float(entry.options.get("guidance") or 0.0))}


class Chroma(Zoo):
    """The backbone. See `chroma_inputs` for what it is given beside latent, time and text."""

    blocks = (
        Blocks("double", "transformer_blocks"),
        Blocks("single", "single_transformer_blocks", (IMAGE,)),
    )
    constant = ("pos_embed", "context_embedder")

    def __init__(self, sizes: ChromaSizes) -> None:
        self.sizes = sizes
        super().__init__(
            built(
                "transformers.transformer_chroma",
                "ChromaTransformer2DModel",
                in_channels=sizes.in_channels * PATCH**2,
                num_layers=sizes.doubles,
                num_single_layers=sizes.singles,
                attention_head_dim=HEAD,
                num_attention_heads=sizes.width // HEAD,
                joint_attention_dim=sizes.text,
                axes_dims_rope=AXES,
                approximator_num_channels=4 * CLOCK,
                approximator_hidden_dim=sizes.hidden,
                approximator_layers=sizes.layers,
            )
        )
        for norm in self.get_submodule("distilled_guidance_layer.norms").children():
            object.__setattr__(norm, "eps", EPS)
        self.instead("time_text_embed", clocked)

    def predict(self, x: Tensor, timesteps: Tensor, inputs: Inputs, hooks: Hooks) -> Tensor:
        """The velocity at x [B, C, H, W]; timesteps [B] are sigmas."""
        height, width = x.shape[-2:]
        dtype: torch.dtype = self.proj_out.weight.dtype  # type: ignore[union-attr, assignment]
        padded = wrapped(x, PATCH)
        tokens = patches(padded).to(dtype)
        rows, columns = padded.shape[-2] // PATCH, padded.shape[-1] // PATCH
        guidance = inputs.tensor("guidance")
        told = torch.zeros_like(timesteps) if guidance is None else guidance
        with self.visited(x, inputs, hooks, time=timesteps.float(), guidance=told.float()):
            out: Tensor = self.called(
                hidden_states=tokens,
                encoder_hidden_states=inputs.context.to(dtype),
                timestep=timesteps.to(dtype),
                img_ids=Spot(rows, columns).ids(x.device),
                txt_ids=torch.zeros(inputs.context.shape[1], len(AXES), device=x.device),
                return_dict=False,
                **controlled(inputs.control, self.sizes, tokens.shape[1]),
            )[0]
        return unpatched(out, height, width, PATCH)


def clocked(visit: Visit, forward: Callable[..., Tensor], timestep: Tensor) -> Tensor:
    """What the approximator is told of each vector: time, guidance, and which vector it is.

    The class rounds the time to the weights' type before its waves, and knows no guidance but 0; here both
    are embedded in float32.
    """
    out = forward(timestep).clone()
    for place, value in enumerate((visit.facts["time"], visit.facts["guidance"])):
        waves = timestep_embedding(value * THOUSAND, CLOCK)[:, None].to(out)
        out[..., place * CLOCK : (place + 1) * CLOCK] = waves
    return out
