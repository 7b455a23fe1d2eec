"""PixArt's network, Chen et al. 2023, 2024 (arXiv 2310.00426, 2403.04692): blocks share one modulation.

diffusers' class computes it; here are its sizes, read off a file, and where its tokens lie at any size.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import isqrt
from typing import Any

import torch
from torch import Tensor

from diffusion.hooks import Hooks
from diffusion.networks.backbone import Inputs
from diffusion.networks.places import sines
from diffusion.networks.zoo import CROSS, IMAGE, SELF, Blocks, Visit, Zoo, built, wrapped
from diffusion.weights.entries import Weights
from diffusion.weights.shapes import counted, multiple, shape_of

HEAD = 72  # channels of an attention head
UNIT = 64  # places of a latent, of which sides count as so many
POINTS = frozenset({"block.call", "attention.self.attend", "attention.cross.attend"})
"""Hook points inside the network."""


@dataclass(frozen=True)
class PixArtSizes:
    """Read off a file under its original names. `stretch` of places: None where it goes by the picture."""

    width: int
    in_channels: int
    out_channels: int
    patch: int
    text: int
    depth: int
    told_size: bool
    stretch: int | None


def pixart_sizes(weights: Weights) -> PixArtSizes:
    """The sizes of a file's network."""
    width, channels, patch, _ = shape_of(weights, "x_embedder.proj.weight", 4)
    table = weights.shape("pos_embed")
    return PixArtSizes(
        width=width,
        in_channels=channels,
        out_channels=multiple(shape_of(weights, "final_layer.linear.weight", 2)[0], patch**2),
        patch=patch,
        text=shape_of(weights, "y_embedder.y_proj.fc1.weight", 2)[1],
        depth=counted(weights, "blocks.{}.attn.qkv.weight"),
        told_size="ar_embedder.mlp.0.weight" in weights,
        stretch=max(isqrt(table[1]) * patch // UNIT, 1) if table else None,
    )


class PixArt(Zoo):
    """The backbone. alpha is told `resolution` [B, 2] (height, width in pixels) and `aspect_ratio` [B, 1]."""

    blocks = (Blocks("layer", "transformer_blocks", (IMAGE,), (SELF, CROSS)),)
    constant = ("caption_projection",)

    def __init__(self, sizes: PixArtSizes) -> None:
        self.sizes = sizes
        super().__init__(
            built(
                "transformers.pixart_transformer_2d",
                "PixArtTransformer2DModel",
                sample_size=sizes.patch,  # places are computed here
                patch_size=sizes.patch,
                in_channels=sizes.in_channels,
                out_channels=sizes.out_channels,
                num_layers=sizes.depth,
                attention_head_dim=HEAD,
                num_attention_heads=multiple(sizes.width, HEAD),
                cross_attention_dim=sizes.width,
                caption_channels=sizes.text,
                use_additional_conditions=sizes.told_size,
            )
        )
        embed = self.get_submodule("pos_embed")

        def embedded(visit: Visit, forward: Any, latent: Tensor) -> Tensor:
            return placed(embed, latent, sizes)

        self.instead("pos_embed", embedded)

    def predict(self, x: Tensor, timesteps: Tensor, inputs: Inputs, hooks: Hooks) -> Tensor:
        """The noise in x [B, C, H, W], without its variances; timesteps [B] are 0…999."""
        height, width = x.shape[-2:]
        dtype = self.get_submodule("proj_out").weight.dtype
        assert isinstance(dtype, torch.dtype)
        told = {name: inputs.tensor(name) for name in ("resolution", "aspect_ratio")}
        with self.visited(x, inputs, hooks):
            out: Tensor = self.called(
                hidden_states=wrapped(x, self.sizes.patch).to(dtype),
                encoder_hidden_states=inputs.context.to(dtype),
                timestep=timesteps.float(),
                added_cond_kwargs=told,
                return_dict=False,
            )[0]
        return out[:, : x.shape[1], :height, :width]


def placed(embed: Any, latent: Tensor, sizes: PixArtSizes) -> Tensor:
    """A latent's patches as tokens, each with where it lies."""
    tokens: Tensor = embed.proj(latent).flatten(2).transpose(1, 2)
    rows, columns = latent.shape[-2] // sizes.patch, latent.shape[-1] // sizes.patch
    return tokens + places(rows, columns, sizes).to(tokens)


def places(rows: int, columns: int, sizes: PixArtSizes) -> Tensor:
    """Each side spans as many places as the mean side has, to a whole `UNIT`, at least one; closer together
    by `stretch`: [1, rows · columns, width]."""
    units = max(round((rows + columns) * sizes.patch // 2 / UNIT), 1)
    side = units * UNIT // sizes.patch
    stretch = units if sizes.stretch is None else sizes.stretch
    down, right = (torch.arange(count) / (count / side) / stretch for count in (rows, columns))
    return sines(down, right, sizes.width)
