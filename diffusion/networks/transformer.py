"""The spatial transformer of latent diffusion: self-attention, attention to the text, a gated feed-forward.

Rombach et al. 2022, https://arxiv.org/abs/2112.10752. Attribute names give the keys of published checkpoints.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from torch import Tensor, nn
from torch.nn import functional as F

from diffusion.hooks import Hooks, Place
from diffusion.networks.attention import attention


@dataclass(frozen=True, slots=True)
class Visit:
    """What one forward pass hands to every block: hooks, the sampler's facts, the latent's size, kept keys.

    `kept` may hold text keys and values between the steps of a run; whoever passes a dict there promises that
    the text embedding stays the same as long as the dict is used.
    """

    hooks: Hooks
    call: Mapping[str, Any]
    latent: tuple[int, int]
    kept: dict[int, tuple[Tensor, Tensor]] | None = None
    frames: int = 1  # rows that are one clip, for models of videos

    def at(self, place: Place, size: tuple[int, int]) -> Place:
        """The place as it is in this pass."""
        return replace(place, size=size, latent=self.latent, call=self.call)


class Attention(nn.Module):
    """Multi-head attention with its four projections, from tokens [B, N, C] to a context [B, M, K]."""

    def __init__(self, channels: int, context: int, heads: int, head_channels: int) -> None:
        super().__init__()
        inner = heads * head_channels
        self.heads = heads
        self.to_q = nn.Linear(channels, inner, bias=False)
        self.to_k = nn.Linear(context, inner, bias=False)
        self.to_v = nn.Linear(context, inner, bias=False)
        self.to_out = nn.Sequential(nn.Linear(inner, channels), nn.Identity())

    def attend(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """Attention of projected queries, keys and values, heads merged."""
        return attention(q, k, v, self.heads)

    def forward(self, x: Tensor, context: Tensor) -> Tensor:
        out: Tensor = self.to_out(self.attend(self.to_q(x), self.to_k(context), self.to_v(context)))
        return out


class GatedLinear(nn.Module):
    """GEGLU: half of a projection, gated by GELU of the other half (Shazeer 2020)."""

    def __init__(self, channels: int, inner: int) -> None:
        super().__init__()
        self.proj = nn.Linear(channels, inner * 2)

    def forward(self, x: Tensor) -> Tensor:
        value, gate = self.proj(x).chunk(2, dim=-1)
        out: Tensor = value * F.gelu(gate)
        return out


class FeedForward(nn.Module):
    """The gated feed-forward of a transformer block, four times as wide inside."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.net = nn.Sequential(
            GatedLinear(channels, channels * 4), nn.Identity(), nn.Linear(channels * 4, channels)
        )

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.net(x)
        return out


class TransformerBlock(nn.Module):
    """Tokens look at each other, then at the text, then pass the feed-forward; each added to the stream."""

    def __init__(self, place: Place, channels: int, context: int, self_attention: bool = True) -> None:
        super().__init__()
        heads, head_channels = place.heads, place.head_channels
        self.place = place
        self.self_attention = self_attention
        self.attn1 = Attention(channels, channels if self_attention else context, heads, head_channels)
        self.ff = FeedForward(channels)
        self.attn2 = Attention(channels, context, heads, head_channels)
        self.norm1 = nn.LayerNorm(channels)
        self.norm2 = nn.LayerNorm(channels)
        self.norm3 = nn.LayerNorm(channels)

    def forward(self, x: Tensor, context: Tensor, size: tuple[int, int], visit: Visit) -> Tensor:
        """x [B, h·w, C], context [B, M, K]; `size` is (h, w)."""
        hooks = visit.hooks
        place = visit.at(self.place, size) if hooks else self.place
        x = x + self._look(
            "self", self.attn1, self.norm1(x), None if self.self_attention else context, place, visit
        )
        x = hooks.change("attention.self.after", place, x)
        x = x + self._look("cross", self.attn2, self.norm2(x), context, place, visit)
        out: Tensor = x + self.ff(self.norm3(x))
        return out

    def _look(
        self, kind: str, layer: Attention, x: Tensor, context: Tensor | None, place: Place, visit: Visit
    ) -> Tensor:
        """One attention layer with its three hook points."""
        hooks, point = visit.hooks, f"attention.{kind}"
        seen = x if context is None else context
        q, k, v = hooks.change_all(f"{point}.input", place, x, seen, seen)
        kept = visit.kept if kind == "cross" and not hooks[f"{point}.input"] else None
        k, v = _projected(layer, k, v, place.serial, kept)
        attend = hooks.wrap(f"{point}.attend", place, layer.attend)
        added: Tensor = hooks.change(f"{point}.output", place, layer.to_out(attend(layer.to_q(q), k, v)))
        return added


class SpatialTransformer(nn.Module):
    """A stack of transformer blocks over the positions of a feature map [B, C, h, w], added to it."""

    def __init__(
        self,
        places: list[Place],
        channels: int,
        context: int,
        linear: bool,
        norm_groups: int,
        itself: bool,
    ) -> None:
        super().__init__()
        self.linear = linear
        inner = places[0].heads * places[0].head_channels
        self.norm = nn.GroupNorm(norm_groups, channels, eps=1e-6)
        self.proj_in = nn.Linear(channels, inner) if linear else nn.Conv2d(channels, inner, 1)
        blocks = [TransformerBlock(place, inner, context, itself) for place in places]
        self.transformer_blocks = nn.ModuleList(blocks)
        self.proj_out = nn.Linear(inner, channels) if linear else nn.Conv2d(inner, channels, 1)

    def forward(self, x: Tensor, context: Tensor, visit: Visit) -> Tensor:
        size = (x.shape[2], x.shape[3])
        h = self.norm(x)
        h = self.proj_in(_tokens(h)) if self.linear else _tokens(self.proj_in(h))
        h = self.pass_through(h, context, size, visit)
        h = _image(self.proj_out(h), size) if self.linear else self.proj_out(_image(h, size))
        out: Tensor = x + h
        return out

    def pass_through(self, tokens: Tensor, context: Tensor, size: tuple[int, int], visit: Visit) -> Tensor:
        """Tokens [B, h·w, C] through all blocks."""
        for block in self.transformer_blocks:
            tokens = block(tokens, context, size, visit)
        return tokens


def _projected(
    layer: Attention, k: Tensor, v: Tensor, serial: int, kept: dict[int, tuple[Tensor, Tensor]] | None
) -> tuple[Tensor, Tensor]:
    if kept is None:
        return layer.to_k(k), layer.to_v(v)
    if serial not in kept:
        kept[serial] = layer.to_k(k), layer.to_v(v)
    return kept[serial]


def _tokens(x: Tensor) -> Tensor:
    """[B, C, h, w] → [B, h·w, C]."""
    return x.flatten(2).transpose(1, 2)


def _image(tokens: Tensor, size: tuple[int, int]) -> Tensor:
    """[B, h·w, C] → [B, C, h, w]."""
    return tokens.transpose(1, 2).reshape(len(tokens), -1, *size)
