"""SD3's network (MMDiT), Esser et al. 2024, https://arxiv.org/abs/2403.03206: blocks of two streams.

3.5 medium looks a second time at the picture alone in its first blocks. diffusers' class computes it; here
are its sizes, read off a file, and what is ours: the table of places and what control networks add.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from math import isqrt
from typing import Any

import torch
from torch import Tensor

from diffusion.hooks import Hooks
from diffusion.networks.backbone import Inputs
from diffusion.networks.zoo import SELF, Blocks, Visit, Zoo, built, wrapped
from diffusion.weights.entries import Weights
from diffusion.weights.shapes import counted, multiple, shape_of

HEAD = 64  # channels of an attention head
POINTS = frozenset({"block.call", "attention.self.attend"})
"""Hook points inside the network."""


@dataclass(frozen=True)
class Sd3Sizes:
    """Read off a file under its original names; `places` is the side of the table of places, in patches."""

    width: int
    in_channels: int
    out_channels: int
    patch: int
    text: int
    vector: int
    depth: int
    places: int
    normed: bool
    twice: tuple[int, ...]
    """Blocks that look at the picture a second time."""


def sd3_sizes(weights: Weights) -> Sd3Sizes:
    """The sizes of a file's network."""
    width, channels, patch, _ = shape_of(weights, "x_embedder.proj.weight", 4)
    depth = counted(weights, "joint_blocks.{}.x_block.attn.qkv.weight")
    return Sd3Sizes(
        width=width,
        in_channels=channels,
        out_channels=multiple(shape_of(weights, "final_layer.linear.weight", 2)[0], patch**2),
        patch=patch,
        text=shape_of(weights, "context_embedder.weight", 2)[1],
        vector=shape_of(weights, "y_embedder.mlp.0.weight", 2)[1],
        depth=depth,
        places=isqrt(shape_of(weights, "pos_embed", 3)[1]),
        normed="joint_blocks.0.x_block.attn.ln_q.weight" in weights,
        twice=tuple(i for i in range(depth) if f"joint_blocks.{i}.x_block.attn2.qkv.weight" in weights),
    )


class Sd3(Zoo):
    """The backbone. `pooled` [B, V] is the sentence beside the text."""

    blocks = (Blocks("double", "transformer_blocks", attends=(SELF, SELF), text_first=False),)
    constant = ("context_embedder",)

    def __init__(self, sizes: Sd3Sizes) -> None:
        self.sizes = sizes
        super().__init__(
            built(
                "transformers.transformer_sd3",
                "SD3Transformer2DModel",
                sample_size=sizes.patch,  # the table of places is not computed: it is in the file
                pos_embed_max_size=1,
                patch_size=sizes.patch,
                in_channels=sizes.in_channels,
                out_channels=sizes.out_channels,
                num_layers=sizes.depth,
                attention_head_dim=HEAD,
                num_attention_heads=multiple(sizes.width, HEAD),
                joint_attention_dim=sizes.text,
                caption_projection_dim=sizes.width,
                pooled_projection_dim=sizes.vector,
                dual_attention_layers=sizes.twice,
                qk_norm="rms_norm" if sizes.normed else None,
            )
        )
        room_for_places(self.get_submodule("pos_embed"), sizes.places, sizes.width)
        for number in range(sizes.depth):
            self.instead(f"transformer_blocks.{number}", partial(controlled, number))

    def predict(self, x: Tensor, timesteps: Tensor, inputs: Inputs, hooks: Hooks) -> Tensor:
        """The velocity at x [B, C, H, W]; timesteps [B] are a thousand times sigma."""
        height, width = x.shape[-2:]
        dtype = self.get_submodule("proj_out").weight.dtype
        assert isinstance(dtype, torch.dtype)
        pooled = inputs.tensor("pooled")
        with self.visited(x, inputs, hooks):
            out: Tensor = self.called(
                hidden_states=wrapped(x, self.sizes.patch).to(dtype),
                encoder_hidden_states=inputs.context.to(dtype),
                pooled_projections=x.new_zeros(len(x), self.sizes.vector, dtype=dtype)
                if pooled is None
                else pooled.to(dtype),
                timestep=timesteps.float(),
                return_dict=False,
            )[0]
        return out[..., :height, :width]


def room_for_places(embed: Any, side: int, width: int) -> None:
    """An empty table of places of a side in patches, which the file fills."""
    embed.pos_embed = torch.empty(1, side * side, width, device="meta")
    embed.pos_embed_max_size = side


def controlled(
    number: int, visit: Visit, forward: Callable[..., tuple[Tensor, Tensor]], *given: Any, **named: Any
) -> tuple[Tensor, Tensor]:
    """A block, and what control networks add to the picture behind it, even to one that is skipped."""
    text, image = forward(*given, **named)
    added = visit.inputs.control.input.get(number) if visit.inputs.control else None
    return text, image if added is None else image + added
