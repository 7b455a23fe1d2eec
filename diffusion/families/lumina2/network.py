"""Lumina-Image 2.0's network (Qin et al. 2025, 2503.21758): text and picture in one stream of blocks.

Each is refined by itself first; of the text only what is not padding goes on. diffusers' class computes it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from diffusion.conditioning import Entry, Setting
from diffusion.hooks import Hooks
from diffusion.networks.backbone import Inputs, Value
from diffusion.networks.zoo import IMAGE, Blocks, Zoo, built, wrapped
from diffusion.weights.entries import Weights
from diffusion.weights.shapes import counted

HEAD = 96  # channels of an attention head
PATCH = 2
PLACES = (8192, 1024, 1024)  # of the rotary tables: words, rows and columns
POINTS = frozenset({"block.call", "attention.self.attend"})
"""Hook points inside the network."""


@dataclass(frozen=True)
class Lumina2Sizes:
    """Read off a file under its original names; channels are of the latent, not of its patches."""

    width: int
    in_channels: int
    text: int
    layers: int
    refiners: int
    key_heads: int

    @property
    def heads(self) -> int:
        """Attention heads."""
        return self.width // HEAD


def lumina2_sizes(weights: Weights) -> Lumina2Sizes:
    """The sizes of a file's network; keys and values have fewer heads than queries."""
    width, tokens = weights["x_embedder.weight"].shape
    packed = weights["layers.0.attention.qkv.weight"].shape[0]
    return Lumina2Sizes(
        width=width,
        in_channels=tokens // PATCH**2,
        text=weights["cap_embedder.1.weight"].shape[1],
        layers=counted(weights, "layers.{}.attention.qkv.weight"),
        refiners=counted(weights, "noise_refiner.{}.attention.qkv.weight"),
        key_heads=(packed // HEAD - width // HEAD) // 2,
    )


def lumina2_inputs(entry: Entry, name: str, setting: Setting) -> Mapping[str, Value]:
    """`attention_mask` [B, T], 1 at words; none where all are."""
    mask = entry.options.get("attention_mask")
    if mask is None or bool(torch.as_tensor(mask).all()):
        return {}
    return {"attention_mask": mask.to(setting.latent.device)}


class Lumina2(Zoo):
    """The backbone. See `lumina2_inputs` for what it is given beside latent, time and text."""

    blocks = (
        Blocks("context_refiner", "context_refiner", (IMAGE,)),
        Blocks("noise_refiner", "noise_refiner", (IMAGE,)),
        Blocks("layer", "layers", (IMAGE,)),
    )

    def __init__(self, sizes: Lumina2Sizes) -> None:
        super().__init__(
            built(
                "transformers.transformer_lumina2",
                "Lumina2Transformer2DModel",
                in_channels=sizes.in_channels,
                hidden_size=sizes.width,
                num_layers=sizes.layers,
                num_refiner_layers=sizes.refiners,
                num_attention_heads=sizes.heads,
                num_kv_heads=sizes.key_heads,
                cap_feat_dim=sizes.text,
                axes_lens=PLACES,
            )
        )

    def predict(self, x: Tensor, timesteps: Tensor, inputs: Inputs, hooks: Hooks) -> Tensor:
        """The velocity at x [B, C, H, W]; timesteps [B] are sigmas. The network gives its negative."""
        height, width = x.shape[-2:]
        dtype: torch.dtype = self.x_embedder.weight.dtype  # type: ignore[union-attr, assignment]
        self._keep_exact(dtype)
        mask = inputs.tensor("attention_mask")
        if mask is None:
            mask = torch.ones(inputs.context.shape[:2], device=x.device)
        with self.visited(x, inputs, hooks):
            out: Tensor = self.called(
                hidden_states=wrapped(x, PATCH).to(dtype),
                timestep=1 - timesteps.float(),
                encoder_hidden_states=inputs.context.to(dtype),
                encoder_attention_mask=mask.to(torch.int64),
                return_dict=False,
            )[0]
        return -out[..., :height, :width]

    def _keep_exact(self, dtype: torch.dtype) -> None:
        """Queries and keys are normed with the least difference of their number type, as in training."""
        for blocks in self.blocks:
            for block in self.get_submodule(blocks.path).children():
                for norm in ("attn.norm_q", "attn.norm_k"):
                    object.__setattr__(block.get_submodule(norm), "eps", torch.finfo(dtype).eps)
