"""SigLIP's picture encoder (Zhai et al. 2023, arXiv 2303.15343), which Redux and USO look through.

Parameter names are those of its files. What pools the picture into one vector is of no use here.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from torch import Tensor, nn
from torch.nn import functional as F

from diffusion.networks.attention import attention
from diffusion.weights.entries import Weights
from diffusion.weights.shapes import Unlike

HEAD = 72
ODD_SIDES: Mapping[int, int] = {27 * 27: 384}  # the last six pixels of rows and columns fill no patch
FIRST = "vision_model.encoder.layers.0."


@dataclass(frozen=True)
class SiglipSizes:
    """The measures of an encoder that sees squares of `side` pixels in patches of `patch`."""

    width: int
    layers: int
    inner: int
    patch: int
    positions: int

    @property
    def side(self) -> int:
        """Pixels of a side of the square it sees."""
        return ODD_SIDES.get(self.positions) or math.isqrt(self.positions) * self.patch


class Seen(NamedTuple):
    """What the encoder makes of pictures: each patch after the last norm, and after every layer before."""

    last_hidden_state: Tensor
    image_embeds: Tensor
    hidden_states: tuple[Tensor, ...]


def is_siglip(weights: Weights) -> bool:
    """Whether picture encoder's tensors are SigLIP's: no patch stands for the whole picture."""
    return (
        "vision_model.embeddings.patch_embedding.bias" in weights
        and "vision_model.embeddings.class_embedding" not in weights
    )


def siglip_sizes(weights: Weights) -> SiglipSizes:
    """The sizes of an encoder's tensors. Unlike says what does not fit."""
    names = [f"vision_model.embeddings.{name}_embedding.weight" for name in ("patch", "position")]
    shapes = [weights.shape(name) for name in (*names, f"{FIRST}mlp.fc1.weight")]
    if any(shape is None for shape in shapes):
        raise Unlike(f"one of {', '.join(names)} is missing")
    (width, _, patch, *_), (positions, _), (inner, _) = (shape for shape in shapes if shape)
    layers = {name.split(".")[3] for name in weights if name.startswith("vision_model.encoder.layers.")}
    return SiglipSizes(width, len(layers), inner, patch, positions)


class Embeddings(nn.Module):
    """Patches as vectors, with their places."""

    def __init__(self, sizes: SiglipSizes) -> None:
        super().__init__()
        self.patch_embedding = nn.Conv2d(3, sizes.width, sizes.patch, sizes.patch)
        self.position_embedding = nn.Embedding(sizes.positions, sizes.width)

    def forward(self, pixels: Tensor) -> Tensor:
        patches: Tensor = self.patch_embedding(pixels).flatten(2).transpose(1, 2)
        return patches + self.position_embedding.weight


class SelfAttention(nn.Module):
    """Every patch looks at all."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.heads = max(width // HEAD, 1)
        self.k_proj = nn.Linear(width, width)
        self.v_proj = nn.Linear(width, width)
        self.q_proj = nn.Linear(width, width)
        self.out_proj = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.out_proj(attention(self.q_proj(x), self.k_proj(x), self.v_proj(x), self.heads))
        return out


class FeedForward(nn.Module):
    """Two linear layers with GELU's tanh form between them."""

    def __init__(self, width: int, inner: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, inner)
        self.fc2 = nn.Linear(inner, width)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.fc2(F.gelu(self.fc1(x), approximate="tanh"))
        return out


class Layer(nn.Module):
    """One layer, normed before each part."""

    def __init__(self, sizes: SiglipSizes) -> None:
        super().__init__()
        self.self_attn = SelfAttention(sizes.width)
        self.layer_norm1 = nn.LayerNorm(sizes.width)
        self.mlp = FeedForward(sizes.width, sizes.inner)
        self.layer_norm2 = nn.LayerNorm(sizes.width)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.self_attn(self.layer_norm1(x))
        out: Tensor = x + self.mlp(self.layer_norm2(x))
        return out


class Layers(nn.Module):
    """The stack, under the name the files give it."""

    def __init__(self, sizes: SiglipSizes) -> None:
        super().__init__()
        self.layers = nn.ModuleList([Layer(sizes) for _ in range(sizes.layers)])


class Body(nn.Module):
    """Embeddings, layers and the last norm."""

    def __init__(self, sizes: SiglipSizes) -> None:
        super().__init__()
        self.embeddings = Embeddings(sizes)
        self.encoder = Layers(sizes)
        self.post_layernorm = nn.LayerNorm(sizes.width)


class Siglip(nn.Module):
    """The whole encoder."""

    def __init__(self, sizes: SiglipSizes) -> None:
        super().__init__()
        self.vision_model = Body(sizes)

    def forward(self, pixel_values: Tensor, output_hidden_states: bool = True) -> Seen:
        """Pictures [B, 3, side, side], −1…1 → vectors [B, patches, width], last and of every layer."""
        states = [self.vision_model.embeddings(pixel_values)]
        for layer in self.vision_model.encoder.layers:
            states.append(layer(states[-1]))
        last = self.vision_model.post_layernorm(states[-1])
        return Seen(last, last, tuple(states))
