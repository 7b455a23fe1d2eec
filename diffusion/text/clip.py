"""The text tower of CLIP: token numbers in, one vector per position out, and one for the whole text.

Radford et al. 2021, https://arxiv.org/abs/2103.00020. Parameter names equal those of SD 1.x checkpoints after
`cond_stage_model.transformer.`; OpenCLIP's names are mapped to them when a file is read.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from diffusion.errors import Mismatch
from diffusion.networks.attention import attention
from diffusion.text.tower import Reading, States

END_OF_TEXT = 49407


@dataclass(frozen=True)
class TextSizes:
    """The measures of a text tower; the defaults are CLIP ViT-L/14, the one of SD 1.x."""

    width: int = 768
    layers: int = 12
    heads: int = 12
    inner: int = 3072
    positions: int = 77
    vocabulary: int = 49408
    activation: str = "quick_gelu"  # or "gelu", which OpenCLIP's towers use
    projection: int | None = None  # width of the pooled vector after its projection, if the file has one


class Encoded(NamedTuple):
    """What a text tower gives: `hidden` [B, T, width] of one layer, `pooled` [B, projection or width]."""

    hidden: Tensor
    pooled: Tensor


class Embeddings(nn.Module):
    """Token and position tables."""

    def __init__(self, sizes: TextSizes) -> None:
        super().__init__()
        self.token_embedding = nn.Embedding(sizes.vocabulary, sizes.width)
        self.position_embedding = nn.Embedding(sizes.positions, sizes.width)

    def forward(self, tokens: Tensor) -> Tensor:
        return self.placed(self.token_embedding(tokens))

    def placed(self, vectors: Tensor) -> Tensor:
        """Vectors of tokens [B, T, width] with their positions added."""
        return vectors + self.position_embedding.weight[: vectors.shape[1]]


class SelfAttention(nn.Module):
    """Multi-head attention in which no position sees a later one."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.k_proj = nn.Linear(width, width)
        self.v_proj = nn.Linear(width, width)
        self.q_proj = nn.Linear(width, width)
        self.out_proj = nn.Linear(width, width)

    def forward(self, x: Tensor, seen: Tensor | None = None) -> Tensor:
        """`seen` [B, 1, T, T] says which positions each one sees, if it is not just all that are earlier."""
        q, k, v = self.q_proj(x), self.k_proj(x), self.v_proj(x)
        out: Tensor = self.out_proj(attention(q, k, v, self.heads, seen, causal=seen is None))
        return out


class FeedForward(nn.Module):
    """Two linear layers; CLIP's own towers use x·σ(1.702x) between them, OpenCLIP's GELU."""

    def __init__(self, width: int, inner: int, activation: str) -> None:
        super().__init__()
        self.quick = activation == "quick_gelu"
        self.fc1 = nn.Linear(width, inner)
        self.fc2 = nn.Linear(inner, width)

    def forward(self, x: Tensor) -> Tensor:
        h = self.fc1(x)
        out: Tensor = self.fc2(h * torch.sigmoid(1.702 * h) if self.quick else F.gelu(h))
        return out


class Layer(nn.Module):
    """One transformer layer, normed before each part."""

    def __init__(self, sizes: TextSizes) -> None:
        super().__init__()
        self.self_attn = SelfAttention(sizes.width, sizes.heads)
        self.layer_norm1 = nn.LayerNorm(sizes.width)
        self.mlp = FeedForward(sizes.width, sizes.inner, sizes.activation)
        self.layer_norm2 = nn.LayerNorm(sizes.width)

    def forward(self, x: Tensor, seen: Tensor | None = None) -> Tensor:
        x = x + self.self_attn(self.layer_norm1(x), seen)
        out: Tensor = x + self.mlp(self.layer_norm2(x))
        return out


class Layers(nn.Module):
    """The stack, under the name the checkpoints give it."""

    def __init__(self, sizes: TextSizes) -> None:
        super().__init__()
        self.layers = nn.ModuleList([Layer(sizes) for _ in range(sizes.layers)])


class Tower(nn.Module):
    """Embeddings, layers and the final norm."""

    def __init__(self, sizes: TextSizes) -> None:
        super().__init__()
        self.embeddings = Embeddings(sizes)
        self.encoder = Layers(sizes)
        self.final_layer_norm = nn.LayerNorm(sizes.width)


class ClipText(nn.Module):
    """CLIP's text model: hidden states of any layer, and the pooled vector at the end of the text."""

    def __init__(self, sizes: TextSizes) -> None:
        super().__init__()
        self.sizes = sizes
        self.text_model = Tower(sizes)
        if sizes.projection is not None:
            self.text_projection = nn.Linear(sizes.width, sizes.projection, bias=False)

    def forward(
        self,
        tokens: Tensor,
        layer: int = -1,
        normed: bool = True,
        vectors: Tensor | None = None,
        projected: bool = True,
        mask: Tensor | None = None,
    ) -> Encoded:
        """tokens [B, T]; `layer` −1 is the last, −2 the one before; `normed` adds the final norm.

        `vectors` [B, T, width] stand in for the tokens' own (textual inversion); the tokens then only say
        where the text ends. Not `projected`, the pooled vector is as it leaves the last norm. What `mask`
        [B, T] is 0 at is seen by no position.
        """
        tower = self.text_model
        h = tower.embeddings(tokens) if vectors is None else tower.embeddings.placed(vectors)
        seen = None if mask is None else earlier(mask)
        chosen, wanted = h, len(tower.encoder.layers) + layer
        for number, block in enumerate(tower.encoder.layers):
            h = block(h, seen)
            chosen = h if number == wanted else chosen
        last = tower.final_layer_norm(h)
        hidden = last if normed and layer == -1 else tower.final_layer_norm(chosen) if normed else chosen
        return Encoded(hidden, self.pool(last, tokens, projected))

    def embed(self, numbers: Tensor) -> Tensor:
        """The vectors [B, T, width] of tokens [B, T], without their positions."""
        table = self.text_model.embeddings.token_embedding
        vectors: Tensor = table(numbers.to(table.weight.device))
        return vectors

    def see(self, pixels: Tensor) -> tuple[Tensor, int, int]:
        """Refused: this tower reads words only."""
        raise Mismatch("CLIP's text encoder cannot look at pictures.", "Use a text encoder that can.")

    def encode(self, reading: Reading, layer: int, normed: bool, projected: bool) -> States:
        """The states of a layer, as every tower gives them."""
        found: Encoded = self(
            *(reading.numbers, layer, normed, reading.vectors),
            projected=projected,
            mask=reading.mask,
        )
        return States(found.hidden, found.pooled)

    def pool(self, last: Tensor, tokens: Tensor, projected: bool = True) -> Tensor:
        """The last layer's normed vector at the first end of text, projected if there is a projection."""
        ends = (tokens == END_OF_TEXT).int().argmax(dim=-1)
        pooled = last[torch.arange(len(last), device=last.device), ends.to(last.device)]
        has_projection = projected and self.sizes.projection is not None
        out: Tensor = self.text_projection(pooled) if has_projection else pooled
        return out


def earlier(mask: Tensor) -> Tensor:
    """Where each position may look, [B, 1, T, T]: not behind itself, and where `mask` [B, T] is not 0."""
    length = mask.shape[1]
    below = torch.ones(length, length, dtype=torch.bool, device=mask.device).tril()
    return below & mask.bool()[:, None, None, :]
