"""HunyuanDiT's network (Li et al. 2024, 2405.08748): attention to picture and text, with long skips.

The second half of the blocks sees what the first half gave, as in a U-Net. diffusers' class computes it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from diffusion.hooks import Hooks
from diffusion.networks.backbone import Inputs
from diffusion.networks.zoo import CROSS, IMAGE, SELF, Blocks, Visit, Zoo, built, wrapped
from diffusion.weights.entries import Weights
from diffusion.weights.shapes import counted

HEAD = 88  # channels of an attention head
PATCH = 2
BERT_WORDS, MT5_WORDS = 77, 256  # for which there is padding
GRID = 32  # sides of the square of places into which every picture is fitted
THETA = 10000.0
PADDING = "text_embedding_padding"
POINTS = frozenset({"block.call", "attention.self.attend", "attention.cross.attend"})
"""Hook points inside the network."""


@dataclass(frozen=True)
class HunyuanDiTSizes:
    """Read off a file under its original names. `text` is BERT's width; 1.1 is `styled`: told sizes too."""

    width: int
    in_channels: int
    text: int
    mt5: int
    pooled: int
    hidden: int
    layers: int
    styled: bool


def hunyuan_dit_sizes(weights: Weights) -> HunyuanDiTSizes:
    """The sizes of a file's network."""
    width, channels = weights["x_embedder.proj.weight"].shape[:2]
    return HunyuanDiTSizes(
        width=width,
        in_channels=channels,
        text=weights[PADDING].shape[1],
        mt5=weights["mlp_t5.0.weight"].shape[1],
        pooled=weights["pooler.c_proj.weight"].shape[0],
        hidden=weights["blocks.0.mlp.fc1.weight"].shape[0],
        layers=counted(weights, "blocks.{}.mlp.fc1.weight"),
        styled="style_embedder.weight" in weights,
    )


class HunyuanDiT(Zoo):
    """The backbone. See `hunyuan_dit_inputs` for what it is given beside latent, time and BERT's text."""

    blocks = (Blocks("double", "blocks", (IMAGE,), (SELF, CROSS)),)
    constant = ("text_embedder", "time_extra_emb.pooler")

    def __init__(self, sizes: HunyuanDiTSizes) -> None:
        super().__init__(
            built(
                "transformers.hunyuan_transformer_2d",
                "HunyuanDiT2DModel",
                num_attention_heads=sizes.width // HEAD,
                attention_head_dim=HEAD,
                in_channels=sizes.in_channels,
                patch_size=PATCH,
                hidden_size=sizes.width,
                num_layers=sizes.layers,
                mlp_ratio=(sizes.hidden + 0.5) / sizes.width,
                cross_attention_dim=sizes.text,
                cross_attention_dim_t5=sizes.mt5,
                pooled_projection_dim=sizes.pooled,
                text_len=BERT_WORDS,
                text_len_t5=MT5_WORDS,
                use_style_cond_and_image_meta_size=sizes.styled,
            )
        )
        self.channels = sizes.in_channels
        self.instead("time_extra_emb", exactly_timed)
        self.instead("time_extra_emb.pooler", lambda visit, forward, text: forward(text[:, :MT5_WORDS]))

    def predict(self, x: Tensor, timesteps: Tensor, inputs: Inputs, hooks: Hooks) -> Tensor:
        """v at x [B, C, H, W]; timesteps [B] are 0…999. What it says of its certainty is cut off."""
        height, width = x.shape[-2:]
        dtype: torch.dtype = self.proj_out.weight.dtype  # type: ignore[union-attr, assignment]
        shown = wrapped(x, PATCH).to(dtype)
        mt5 = inputs.tensor("mt5")
        assert mt5 is not None, "hunyuan_dit_inputs gives it"
        bert, mask = filled(inputs.context.to(dtype), inputs.tensor("mask"), BERT_WORDS)
        mt5, mt5_mask = filled(mt5.to(dtype), inputs.tensor("mt5_mask"), MT5_WORDS)
        rotation = turned(shown.shape[-2] // PATCH, shown.shape[-1] // PATCH, x.device)
        more = bert.shape[1] - BERT_WORDS, mt5.shape[1] - MT5_WORDS
        with self.visited(x, inputs, hooks, dtype=dtype), self._padded(*more):
            out: Tensor = self.called(
                hidden_states=shown,
                timestep=timesteps.float(),
                encoder_hidden_states=bert,
                text_embedding_mask=mask,
                encoder_hidden_states_t5=mt5,
                text_embedding_mask_t5=mt5_mask,
                image_meta_size=inputs.tensor("sizes"),
                style=torch.zeros(len(x), dtype=torch.long, device=x.device),
                image_rotary_emb=rotation,
                return_dict=False,
            )[0]
        return out[:, : self.channels, :height, :width]

    @contextmanager
    def _padded(self, bert: int, mt5: int) -> Iterator[None]:
        """While it lasts the padding is as long as texts with so many words in front of it."""
        if not bert and not mt5:
            yield
            return
        rows: Tensor = self._parameters[PADDING]  # type: ignore[assignment]
        parts = F.pad(rows[:BERT_WORDS], (0, 0, bert, 0)), F.pad(rows[BERT_WORDS:], (0, 0, mt5, 0))
        self.network.__dict__[PADDING] = torch.cat(parts)  # is found before the parameter
        try:
            yield
        finally:
            del self.network.__dict__[PADDING]


def exactly_timed(
    visit: Visit, forward: Callable[..., Tensor], time: Tensor, *others: Any, hidden_dtype: torch.dtype
) -> Tensor:
    """Time and sizes in float32 up to their sines: the class would round them to the weights' type first."""
    return forward(time, *others, hidden_dtype=visit.facts["dtype"])


def filled(text: Tensor, mask: Tensor | None, words: int) -> tuple[Tensor, Tensor]:
    """A text [B, T, C] of at least so many words, and the mask of what is no padding [B, T].

    Of a longer text the first words, for which there is no padding, always count.
    """
    length = text.shape[1]
    if mask is None:
        mask = torch.ones(text.shape[:2], device=text.device)
    mask = mask.expand(len(text), -1).bool()
    if length < words:
        return F.pad(text, (0, 0, 0, words - length)), F.pad(mask, (0, words - length))
    return text, F.pad(mask[:, length - words :], (length - words, 0), value=True)


def turned(rows: int, columns: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Cosines and sines [rows · columns, HEAD] that turn queries and keys: by column, then by row."""
    if rows > columns:
        high, wide = GRID, round(GRID / rows * columns)
    else:
        high, wide = round(GRID / columns * rows), GRID
    half = HEAD // 2
    speeds = THETA ** (-torch.arange(0, half, 2, dtype=torch.float64) / half)
    down, across = (_places(span, count)[:, None] * speeds for span, count in ((high, rows), (wide, columns)))
    angles = torch.cat(
        [across[None].expand(rows, -1, -1), down[:, None].expand(-1, columns, -1)], dim=-1
    ).reshape(rows * columns, half)
    angles = angles.repeat_interleave(2, dim=-1)
    return angles.cos().float().to(device), angles.sin().float().to(device)


def _places(span: int, count: int) -> Tensor:
    """So many places, evenly from the start of a span in the middle of the grid: [count], float64."""
    return round((GRID - span) / 2) + span / count * torch.arange(count, dtype=torch.float64)
