"""AuraFlow's network: double blocks of two streams, then single ones; diffusers' class computes it."""

from __future__ import annotations

from dataclasses import dataclass
from math import isqrt
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from diffusion.hooks import Hooks
from diffusion.networks.backbone import Inputs
from diffusion.networks.zoo import IMAGE, Blocks, Zoo, built, patches, wrapped
from diffusion.weights.entries import Weights
from diffusion.weights.shapes import counted

HEAD = 256  # channels of an attention head
PATCH = 2
POINTS = frozenset({"block.call", "attention.self.attend"})
"""Hook points inside the network."""


@dataclass(frozen=True)
class AuraFlowSizes:
    """Read off a file under its original names; channels are of the latent, not of its patches."""

    width: int
    in_channels: int
    out_channels: int
    text: int
    doubles: int
    singles: int
    places: int


def auraflow_sizes(weights: Weights) -> AuraFlowSizes:
    """The sizes of a file's network."""
    width, tokens = weights["init_x_linear.weight"].shape
    return AuraFlowSizes(
        width=width,
        in_channels=tokens // PATCH**2,
        out_channels=weights["final_linear.weight"].shape[0] // PATCH**2,
        text=weights["cond_seq_linear.weight"].shape[1],
        doubles=counted(weights, "double_layers.{}.attn.w1q.weight"),
        singles=counted(weights, "single_layers.{}.attn.w1q.weight"),
        places=weights["positional_encoding"].shape[1],
    )


class AuraFlow(Zoo):
    """The backbone: latent, time and text alone."""

    blocks = (
        Blocks("double", "joint_transformer_blocks"),
        Blocks("single", "single_transformer_blocks", (IMAGE,)),
    )
    constant = ("context_embedder",)

    def __init__(self, sizes: AuraFlowSizes) -> None:
        super().__init__(
            built(
                "transformers.auraflow_transformer_2d",
                "AuraFlowTransformer2DModel",
                in_channels=sizes.in_channels,
                out_channels=sizes.out_channels,
                num_mmdit_layers=sizes.doubles,
                num_single_dit_layers=sizes.singles,
                attention_head_dim=HEAD,
                num_attention_heads=sizes.width // HEAD,
                joint_attention_dim=sizes.text,
                caption_projection_dim=sizes.width,
                pos_embed_max_size=sizes.places,
            )
        )
        embed = self.get_submodule("pos_embed")
        self.instead("pos_embed", lambda visit, forward, latent: placed(embed, latent))

    def predict(self, x: Tensor, timesteps: Tensor, inputs: Inputs, hooks: Hooks) -> Tensor:
        """The velocity at x [B, C, H, W]; timesteps [B] are sigmas."""
        height, width = x.shape[-2:]
        dtype: torch.dtype = self.proj_out.weight.dtype  # type: ignore[union-attr, assignment]
        with self.visited(x, inputs, hooks):
            out: Tensor = self.called(
                hidden_states=wrapped(x, PATCH).to(dtype),
                encoder_hidden_states=inputs.context.to(dtype),
                timestep=timesteps.float(),
                return_dict=False,
            )[0]
        return out[..., :height, :width]


def placed(embed: Any, latent: Tensor) -> Tensor:
    """A latent's patches as tokens, each with what the middle of the table says of its place.

    The class begins a row or column further on where sides are odd, and has no place beyond the table; here
    the table is enlarged to a square of the longer side, as the reference does.
    """
    rows, columns = latent.shape[-2] // PATCH, latent.shape[-1] // PATCH
    side = isqrt(embed.pos_embed.shape[1])
    table = embed.pos_embed.reshape(side, side, -1)
    if max(rows, columns) > side:
        side = max(rows, columns)
        table = F.interpolate(table.movedim(-1, 0)[None], (side, side), mode="bilinear")[0].movedim(0, -1)
    top, left = (side - rows) // 2, (side - columns) // 2
    here = table[top : top + rows, left : left + columns].reshape(1, rows * columns, -1)
    tokens: Tensor = embed.proj(patches(latent, PATCH))
    found: Tensor = tokens + here
    return found
