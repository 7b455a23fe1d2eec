"""Cosmos-Predict2's network (NVIDIA 2025, arXiv 2511.00062): each block looks at the text.

diffusers' class computes it; here are its sizes, and the way to it.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from diffusion.hooks import Hooks
from diffusion.networks.backbone import Inputs
from diffusion.networks.zoo import CROSS, IMAGE, SELF, Blocks, Zoo, built, wrapped
from diffusion.weights.entries import Weights
from diffusion.weights.shapes import counted, multiple

HEAD = 128  # channels of an attention head
PATCH = 2
RIM = 1  # a channel behind the latent: 1 where a picture is padded
STRETCHED = (1.0, 4.0, 4.0)  # how much finer places in time, rows and columns are told apart
POINTS = frozenset({"block.call", "attention.self.attend", "attention.cross.attend"})
"""Hook points inside the network."""


@dataclass(frozen=True)
class CosmosSizes:
    """Read off a file under its original names; channels are of the latent, not of its patches."""

    width: int
    in_channels: int
    out_channels: int
    text: int
    depth: int
    rank: int
    wider: int

    @property
    def heads(self) -> int:
        """Attention heads."""
        return self.width // HEAD


def cosmos_sizes(weights: Weights) -> CosmosSizes:
    """The sizes of a file's network."""
    width, tokens = weights["x_embedder.proj.1.weight"].shape
    return CosmosSizes(
        width=width,
        in_channels=tokens // PATCH**2 - RIM,
        out_channels=weights["final_layer.linear.weight"].shape[0] // PATCH**2,
        text=weights["blocks.0.cross_attn.k_proj.weight"].shape[1],
        depth=counted(weights, "blocks.{}.mlp.layer1.weight"),
        rank=weights["blocks.0.adaln_modulation_self_attn.1.weight"].shape[0],
        wider=multiple(weights["blocks.0.mlp.layer1.weight"].shape[0], width),
    )


class CosmosPredict2(Zoo):
    """The backbone. It is given latent, time and text alone."""

    blocks = (Blocks("block", "transformer_blocks", (IMAGE,), (SELF, CROSS)),)
    constant = ("rope",)

    def __init__(self, sizes: CosmosSizes) -> None:
        super().__init__(
            built(
                "transformers.transformer_cosmos",
                "CosmosTransformer3DModel",
                in_channels=sizes.in_channels + RIM,
                out_channels=sizes.out_channels,
                num_attention_heads=sizes.heads,
                attention_head_dim=HEAD,
                num_layers=sizes.depth,
                mlp_ratio=sizes.wider,
                text_embed_dim=sizes.text,
                adaln_lora_dim=sizes.rank,
                rope_scale=STRETCHED,
                concat_padding_mask=False,
                extra_pos_embed_type=None,
            )
        )

    def predict(self, x: Tensor, timesteps: Tensor, inputs: Inputs, hooks: Hooks) -> Tensor:
        """The velocity at x [B, C, T, H, W]; timesteps [B] are 0…1."""
        height, width = x.shape[-2:]
        dtype: torch.dtype = self.proj_out.weight.dtype  # type: ignore[union-attr, assignment]
        padded = wrapped(x, PATCH)
        shown = torch.cat([padded, torch.zeros_like(padded[:, :RIM])], dim=1)
        with self.visited(x, inputs, hooks):
            out: Tensor = self.called(
                hidden_states=shown.to(dtype),
                timestep=timesteps.float(),
                encoder_hidden_states=inputs.context.to(dtype),
                return_dict=False,
            )[0]
        return out[..., :height, :width]
