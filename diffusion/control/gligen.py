"""GLIGEN: words bound to boxes by gated layers behind self-attention (Li et al. 2023, 2301.07093)."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from diffusion.hooks import Hooks, Place
from diffusion.networks.attention import attention
from diffusion.networks.transformer import Attention, FeedForward
from diffusion.networks.unet_names import ldm_unet
from diffusion.residency.budget import Residency, Resident
from diffusion.weights.files import Weights, identity, open_weights
from diffusion.weights.kinds import unknown

MOST = 30  # boxes in training; fewer are filled up with the learned "nothing"
FREQUENCIES = 8
INNER = 512
FUSER = re.compile(
    r"^(input_blocks|middle_block|output_blocks)\.(?:(\d+)\.)?1\.transformer_blocks\.(\d+)\.fuser\."
)

Key = tuple[str, int, int]  # block, its number, the transformer layer in it


class Box(NamedTuple):
    """A text's pooled embedding [1, D], and where it belongs: in shares of the picture."""

    embedding: Tensor
    left: float
    top: float
    right: float
    bottom: float


class Fuser(nn.Module):
    """The gated layer: tokens look at each other and at the objects, then pass a feed-forward."""

    def __init__(self, channels: int, objects: int) -> None:
        super().__init__()
        self.linear = nn.Linear(objects, channels)
        self.attn = Attention(channels, channels, 1, channels)
        self.ff = FeedForward(channels)
        self.norm1, self.norm2 = nn.LayerNorm(channels), nn.LayerNorm(channels)
        self.alpha_attn, self.alpha_dense = nn.Parameter(torch.zeros(())), nn.Parameter(torch.zeros(()))

    def forward(self, x: Tensor, objects: Tensor, heads: int) -> Tensor:
        seen = self.norm1(torch.cat([x, self.linear(objects)], dim=1))
        layer = self.attn
        looked = attention(layer.to_q(seen[:, : x.shape[1]]), layer.to_k(seen), layer.to_v(seen), heads)
        x = x + self.alpha_attn.tanh() * layer.to_out(looked)
        out: Tensor = x + self.alpha_dense.tanh() * self.ff(self.norm2(x))
        return out


class PositionNet(nn.Module):
    """Boxes and texts become objects [1, N, D]."""

    def __init__(self, text: int, objects: int) -> None:
        super().__init__()
        position = FREQUENCIES * 2 * 4
        self.linears = nn.Sequential(
            nn.Linear(text + position, INNER), nn.SiLU(), nn.Linear(INNER, INNER), nn.SiLU(),
            nn.Linear(INNER, objects),
        )  # fmt: skip
        self.null_positive_feature = nn.Parameter(torch.zeros(text))
        self.null_position_feature = nn.Parameter(torch.zeros(position))

    def forward(self, boxes: Sequence[Box]) -> Tensor:
        missing = max(0, MOST - len(boxes))
        nothing = torch.cat([self.null_positive_feature, self.null_position_feature])
        rows = [torch.cat([box.embedding.reshape(-1), placed(box)]).to(nothing) for box in boxes]
        out: Tensor = self.linears(torch.stack([*rows, *[nothing] * missing])[None])
        return out


def placed(box: Box) -> Tensor:
    """Sines and cosines of a box's corners at rising frequencies."""
    frequencies = 100 ** (torch.arange(FREQUENCIES) / FREQUENCIES)
    angles = frequencies[:, None] * torch.tensor([box.left, box.top, box.right, box.bottom])
    return torch.stack([angles.sin(), angles.cos()], dim=1).flatten()


class GligenNet(nn.Module):
    """All gated layers, and the net that makes objects of boxes."""

    def __init__(self, text: int, objects: int, channels: Sequence[int]) -> None:
        super().__init__()
        self.position_net = PositionNet(text, objects)
        self.fusers = nn.ModuleList(Fuser(each, objects) for each in channels)


@dataclass(frozen=True, eq=False)
class Gligen:
    """A GLIGEN model on a link; `places` gives the number of the gated layer at each place of the UNet."""

    resident: Resident[GligenNet]
    places: Mapping[Key, int]

    def grounding(self, positions: Sequence[Sequence[Any]], height: int, width: int) -> Hooks:
        """The hooks for (embedding, height, width, y, x), in places of a latent of this size."""
        return self.hooks(boxes_of(positions, height, width))

    def hooks(self, boxes: Sequence[Box]) -> Hooks:
        """Hooks that bind texts to boxes; no boxes is what the layers learned as nothing."""
        return Hooks({"attention.self.after": (Grounding(self, tuple(boxes)),)})


@dataclass(eq=False)
class Grounding:
    """The hook of one part: objects are made once."""

    gligen: Gligen
    boxes: tuple[Box, ...]
    objects: Tensor | None = field(default=None)

    def __call__(self, place: Place, tokens: Tensor) -> Tensor:
        number = self.gligen.places.get((place.block, place.index, place.transformer))
        if number is None:
            return tokens
        with self.gligen.resident.use() as module, torch.no_grad():
            if self.objects is None:
                self.objects = module.position_net(self.boxes)
            x = tokens.to(self.objects)
            out: Tensor = module.fusers[number](x, self.objects.expand(len(x), -1, -1), place.heads)
        return out.to(tokens)


def boxes_of(positions: Sequence[Sequence[Any]], height: int, width: int) -> list[Box]:
    """Boxes from (embedding, height, width, y, x), in places of a latent of this size."""
    return [
        Box(each, x / width, y / height, (x + w) / width, (y + h) / height) for each, h, w, y, x in positions
    ]


def load_gligen(path: Path | str, residency: Residency | None = None) -> Gligen:
    """The GLIGEN model of a file: layers alone, or a whole UNet with them. UnknownModel if it has none."""
    opened = open_weights(path)
    weights, places = gligen_weights(opened)
    text, last = (
        weights.shape("position_net.null_positive_feature"),
        weights.shape("position_net.linears.4.weight"),
    )
    if text is None or last is None or not places:
        raise unknown(opened, "It holds no GLIGEN layers for words in boxes")
    channels = [weights[f"fusers.{number}.norm1.weight"].shape[0] for number in range(len(places))]

    def build() -> GligenNet:
        return GligenNet(text[0], last[0], channels)

    of = identity(weights, "gligen")
    return Gligen(Resident(residency or Residency(), "control", weights, build, of), places)


def gligen_weights(weights: Weights) -> tuple[Weights, dict[Key, int]]:
    """The tensors of the layers, numbered, and the places of the numbers."""
    inner = next((part for p in ("model.diffusion_model.", "model.") if (part := weights.under(p))), weights)
    inner = ldm_unet(inner)
    found: dict[Key, int] = {}
    entries = {name: entry for name, entry in inner.items() if name.startswith("position_net.")}
    for name, entry in inner.items():
        match = FUSER.match(name)
        if match:
            key = (match[1].removesuffix("_blocks").removesuffix("_block"), int(match[2] or 0), int(match[3]))
            number = found.setdefault(key, len(found))
            entries[f"fusers.{number}.{name[match.end() :]}"] = entry
    return weights.having(entries), found
