"""Layers that join the frames of a clip: Stable Video Diffusion's, behind those for single pictures.

Blattmann et al. 2023, https://arxiv.org/abs/2311.15127. Rows of a batch are frames, clip after clip; a
learned share mixes what a picture layer says with what the layer over time makes of it.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from diffusion.hooks import Place
from diffusion.networks.blocks import ResidualBlock, timestep_embedding
from diffusion.networks.transformer import Attention, FeedForward, SpatialTransformer, Visit


class Mixer(nn.Module):
    """A learned share of the picture layer's answer, the rest from the layer over time."""

    def __init__(self) -> None:
        super().__init__()
        self.mix_factor = nn.Parameter(torch.zeros(1))

    def forward(self, still: Tensor, moving: Tensor) -> Tensor:
        share = self.mix_factor.sigmoid()
        return share * still + (1 - share) * moving


class TimeStack(nn.Module):
    """A residual block whose convolutions see the frames before and after, and no neighbouring pixel."""

    def __init__(self, channels: int, embedding: int | None, norm_groups: int) -> None:
        super().__init__()
        self.in_layers = nn.Sequential(nn.GroupNorm(norm_groups, channels), nn.SiLU(), over_time(channels))
        if embedding is not None:
            self.emb_layers = nn.Sequential(nn.SiLU(), nn.Linear(embedding, channels))
        self.out_layers = nn.Sequential(
            nn.GroupNorm(norm_groups, channels), nn.SiLU(), nn.Identity(), over_time(channels)
        )

    def forward(self, x: Tensor, emb: Tensor | None, frames: int) -> Tensor:
        """x [B·T, C, h, w], emb [B·T, E] → [B·T, C, h, w]."""
        h = self.in_layers(as_clips(x, frames))
        if emb is not None:
            h = h + self.emb_layers(emb).view(-1, frames, x.shape[1], 1, 1).transpose(1, 2)
        out: Tensor = x + as_frames(self.out_layers(h))
        return out


class VideoResidualBlock(ResidualBlock):
    """The residual block of a picture, then one over time."""

    def __init__(self, channels: int, out_channels: int, embedding: int, norm_groups: int) -> None:
        super().__init__(channels, out_channels, embedding, norm_groups)
        self.time_stack = TimeStack(out_channels, embedding, norm_groups)
        self.time_mixer = Mixer()

    def forward(self, x: Tensor, emb: Tensor, frames: int = 1) -> Tensor:
        still = super().forward(x, emb)
        out: Tensor = self.time_mixer(still, self.time_stack(still, emb, frames))
        return out


class TimeBlock(nn.Module):
    """A transformer block in which each place of the picture looks at itself in the other frames."""

    def __init__(self, place: Place, channels: int, context: int) -> None:
        super().__init__()
        self.norm_in = nn.LayerNorm(channels)
        self.ff_in = FeedForward(channels)
        self.attn1 = Attention(channels, channels, place.heads, place.head_channels)
        self.attn2 = Attention(channels, context, place.heads, place.head_channels)
        self.ff = FeedForward(channels)
        self.norm1 = nn.LayerNorm(channels)
        self.norm2 = nn.LayerNorm(channels)
        self.norm3 = nn.LayerNorm(channels)

    def forward(self, tokens: Tensor, context: Tensor, frames: int) -> Tensor:
        """Tokens [B·T, S, C]; of the context [B·T, M, K] the first frame's counts for the clip."""
        places = tokens.shape[1]
        x = tokens.reshape(-1, frames, *tokens.shape[1:]).transpose(1, 2).flatten(0, 1)  # [B·S, T, C]
        x = x + self.ff_in(self.norm_in(x))
        normed = self.norm1(x)
        x = x + self.attn1(normed, normed)
        layer, first = self.attn2, context[::frames]
        k, v = (project(first).repeat_interleave(places, 0) for project in (layer.to_k, layer.to_v))
        x = x + layer.to_out(layer.attend(layer.to_q(self.norm2(x)), k, v))
        out: Tensor = x + self.ff(self.norm3(x))
        return out.reshape(-1, places, *x.shape[1:]).transpose(1, 2).flatten(0, 1)


class VideoTransformer(SpatialTransformer):
    """A spatial transformer with a block over time behind each of its blocks, told the frame's number."""

    def __init__(
        self, places: list[Place], channels: int, context: int, linear: bool, norm_groups: int, itself: bool
    ) -> None:
        super().__init__(places, channels, context, linear, norm_groups, itself)
        self.channels = channels
        inner = places[0].heads * places[0].head_channels
        self.time_stack = nn.ModuleList([TimeBlock(place, inner, context) for place in places])
        self.time_pos_embed = nn.Sequential(
            nn.Linear(channels, channels * 4), nn.SiLU(), nn.Linear(channels * 4, channels)
        )
        self.time_mixer = Mixer()

    def pass_through(self, tokens: Tensor, context: Tensor, size: tuple[int, int], visit: Visit) -> Tensor:
        number = torch.arange(visit.frames, device=tokens.device)
        when = self.time_pos_embed(timestep_embedding(number, self.channels).to(tokens.dtype))
        when = when.repeat(len(tokens) // visit.frames, 1)[:, None]
        for block, over in zip(self.transformer_blocks, self.time_stack, strict=True):
            tokens = block(tokens, context, size, visit)
            tokens = self.time_mixer(tokens, over(tokens + when, context, visit.frames))
        return tokens


def over_time(channels: int) -> nn.Conv3d:
    """A convolution over three frames at each place."""
    return nn.Conv3d(channels, channels, (3, 1, 1), padding=(1, 0, 0))


def as_clips(x: Tensor, frames: int) -> Tensor:
    """[B·T, C, h, w] → [B, C, T, h, w]."""
    return x.reshape(-1, frames, *x.shape[1:]).transpose(1, 2)


def as_frames(clips: Tensor) -> Tensor:
    """[B, C, T, h, w] → [B·T, C, h, w]."""
    return clips.transpose(1, 2).flatten(0, 1)
