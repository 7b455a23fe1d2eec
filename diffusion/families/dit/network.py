"""DiT, Peebles and Xie 2022, https://arxiv.org/abs/2212.09748: a transformer told a class instead of a text.

diffusers' class has the parts; its pass is ours, since the class has room for squares of one size alone, and
embeds time and class again in every block.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import isqrt
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from diffusion.hooks import Hooks
from diffusion.networks.backbone import Inputs
from diffusion.networks.places import sines
from diffusion.networks.zoo import IMAGE, Blocks, Visit, Zoo, built, wrapped
from diffusion.weights.entries import Weights
from diffusion.weights.shapes import counted, multiple, shape_of

XL_HEAD, HEAD = 72, 64  # channels of an attention head: of XL, and of all smaller ones
POINTS = frozenset({"block.call", "attention.self.attend"})
"""Hook points inside the network."""


@dataclass(frozen=True)
class DiTSizes:
    """Read off a file under its original names.

    `classes` are those that can be told; one more stands for none. `side` of the grid that it was trained on,
    in patches; None where a file does not say it.
    """

    width: int
    in_channels: int
    out_channels: int
    patch: int
    depth: int
    classes: int
    side: int | None

    @property
    def head(self) -> int:
        """Channels of an attention head."""
        return XL_HEAD if self.width % XL_HEAD == 0 else HEAD


def dit_sizes(weights: Weights) -> DiTSizes:
    """The sizes of a file's network."""
    width, channels, patch, _ = shape_of(weights, "x_embedder.proj.weight", 4)
    table = weights.shape("pos_embed")
    return DiTSizes(
        width=width,
        in_channels=channels,
        out_channels=multiple(shape_of(weights, "final_layer.linear.weight", 2)[0], patch**2),
        patch=patch,
        depth=counted(weights, "blocks.{}.attn.qkv.weight"),
        classes=shape_of(weights, "y_embedder.embedding_table.weight", 2)[0] - 1,
        side=isqrt(table[1]) if table else None,
    )


class DiT(Zoo):
    """The backbone. `labels` [B] are the numbers of classes."""

    blocks = (Blocks("layer", "transformer_blocks", (IMAGE,)),)

    def __init__(self, sizes: DiTSizes) -> None:
        self.sizes = sizes
        network = built(
            "transformers.dit_transformer_2d",
            "DiTTransformer2DModel",
            sample_size=sizes.patch,  # places are computed here
            patch_size=sizes.patch,
            in_channels=sizes.in_channels,
            out_channels=sizes.out_channels,
            num_layers=sizes.depth,
            attention_head_dim=sizes.head,
            num_attention_heads=multiple(sizes.width, sizes.head),
            num_embeds_ada_norm=sizes.classes,
        )
        for block in list(network.get_submodule("transformer_blocks").children())[1:]:
            block.norm1.emb = None  # type: ignore[union-attr]  # the first block's serves all
        super().__init__(network)
        self.instead("transformer_blocks.0.norm1.emb", told)
        for number in range(1, sizes.depth):
            self.instead(f"transformer_blocks.{number}.norm1", modulated)

    def predict(self, x: Tensor, timesteps: Tensor, inputs: Inputs, hooks: Hooks) -> Tensor:
        """The noise in x [B, C, H, W], without its variances; timesteps [B] are 0…999."""
        height, width = x.shape[-2:]
        padded = wrapped(x, self.sizes.patch)
        labels = inputs.tensor("labels")
        assert labels is not None, "the family's inputs give them"
        tokens, time = self._tokens(padded), timesteps.float()
        embedded = self._embedding()(time, labels.long().flatten(), hidden_dtype=tokens.dtype)
        with self.visited(x, inputs, hooks, embedded=embedded):
            for block in self.get_submodule("transformer_blocks").children():
                tokens = block(tokens, timestep=time, class_labels=labels)
        out = self._unfolded(self._last(tokens, embedded), padded.shape[-2], padded.shape[-1])
        return out[:, : x.shape[1], :height, :width]

    def _embedding(self) -> Any:
        """Time and class → what modulates."""
        return self.get_submodule("transformer_blocks.0.norm1.emb")

    def _tokens(self, x: Tensor) -> Tensor:
        """[B, C, H, W] → patches with their places [B, N, W]."""
        project = self.get_submodule("pos_embed.proj")
        embedded: Tensor = project(x.to(project.weight.dtype))  # type: ignore[arg-type]
        table = places(embedded.shape[-2], embedded.shape[-1], self.sizes)
        return embedded.flatten(2).transpose(1, 2) + table.to(embedded)

    def _last(self, tokens: Tensor, embedded: Tensor) -> Tensor:
        """The last layer, modulated by a shift and a scale."""
        first, last = self.get_submodule("proj_out_1"), self.get_submodule("proj_out_2")
        shift, scale = first(F.silu(embedded))[:, None].chunk(2, dim=-1)
        out: Tensor = last(self.get_submodule("norm_out")(tokens) * (1 + scale) + shift)
        return out

    def _unfolded(self, tokens: Tensor, height: int, width: int) -> Tensor:
        """Tokens [B, N, p · p · C], channels fastest, → [B, C, H, W]."""
        patch = self.sizes.patch
        x = tokens.reshape(len(tokens), height // patch, width // patch, patch, patch, -1)
        return x.permute(0, 5, 1, 3, 2, 4).reshape(len(tokens), -1, height, width)


def places(rows: int, columns: int, sizes: DiTSizes) -> Tensor:
    """Rows and columns of another number than the network was trained on span what it knows."""
    down, right = (torch.arange(count) * ((sizes.side or count) / count) for count in (rows, columns))
    return sines(down, right, sizes.width)


def told(visit: Visit, forward: Any, *given: Any, **named: Any) -> Tensor:
    """Time and class, which were embedded before the pass."""
    embedded: Tensor = visit.facts["embedded"]
    return embedded


def modulated(visit: Visit, forward: Any, x: Tensor, *given: Any, **named: Any) -> Any:
    """A block's modulation by what was embedded before the pass."""
    return forward(x, emb=visit.facts["embedded"])
