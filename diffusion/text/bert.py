"""BERT's encoder (Devlin et al. 2018, arXiv 1810.04805), which reads Chinese and English for HunyuanDiT.

Parameter names are those of its files below `bert.`.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn
from torch.nn import functional as F

from diffusion.errors import Mismatch
from diffusion.networks.attention import attention
from diffusion.text.tower import Reading, States
from diffusion.weights.entries import Weights
from diffusion.weights.shapes import Unlike

EPS = 1e-12
HEAD = 64
PREFIX = "bert."


@dataclass(frozen=True)
class BertSizes:
    """The measures of an encoder."""

    vocabulary: int
    width: int
    layers: int
    inner: int
    positions: int
    kinds: int = 2


def bert_names(weights: Weights) -> Weights:
    """An encoder's tensors without what is above it."""
    below = weights.under(PREFIX)
    inner = below if len(below) else weights
    return weights.having(
        {name: e for name, e in inner.items() if name.startswith(("embeddings.", "encoder."))}
    )


def bert_sizes(weights: Weights) -> BertSizes:
    """The sizes of an encoder's tensors. Unlike says what does not fit."""
    names = [f"embeddings.{kind}_embeddings.weight" for kind in ("word", "position", "token_type")]
    shapes = [weights.shape(name) for name in (*names, "encoder.layer.0.intermediate.dense.weight")]
    if any(shape is None or len(shape) != 2 for shape in shapes):
        raise Unlike(f"one of {', '.join(names)} is missing")
    (vocabulary, width), (positions, _), (kinds, _), (inner, _) = (shape for shape in shapes if shape)
    layers = len({name.split(".")[2] for name in weights if name.startswith("encoder.layer.")})
    return BertSizes(vocabulary, width, layers, inner, positions, kinds)


class Embeddings(nn.Module):
    """Words, places, and which of two texts a word belongs to: always the first."""

    def __init__(self, sizes: BertSizes) -> None:
        super().__init__()
        self.word_embeddings = nn.Embedding(sizes.vocabulary, sizes.width)
        self.position_embeddings = nn.Embedding(sizes.positions, sizes.width)
        self.token_type_embeddings = nn.Embedding(sizes.kinds, sizes.width)
        self.LayerNorm = nn.LayerNorm(sizes.width, eps=EPS)

    def forward(self, vectors: Tensor) -> Tensor:
        placed = vectors + self.position_embeddings.weight[: vectors.shape[1]]
        out: Tensor = self.LayerNorm(placed + self.token_type_embeddings.weight[0])
        return out


class Projections(nn.Module):
    """What is asked, what is looked at, what is taken."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.query = nn.Linear(width, width)
        self.key = nn.Linear(width, width)
        self.value = nn.Linear(width, width)


class Output(nn.Module):
    """A linear layer whose result is added to what was there, and normed."""

    def __init__(self, width: int, out: int) -> None:
        super().__init__()
        self.dense = nn.Linear(width, out)
        self.LayerNorm = nn.LayerNorm(out, eps=EPS)

    def forward(self, x: Tensor, before: Tensor) -> Tensor:
        out: Tensor = self.LayerNorm(self.dense(x) + before)
        return out


class Attention(nn.Module):
    """Attention among all words that are shown."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.heads = width // HEAD
        self.self = Projections(width)
        self.output = Output(width, width)

    def forward(self, x: Tensor, shown: Tensor | None) -> Tensor:
        ask = self.self
        out: Tensor = self.output(attention(ask.query(x), ask.key(x), ask.value(x), self.heads, shown), x)
        return out


class Dense(nn.Module):
    """A linear layer, under the name the files give it."""

    def __init__(self, width: int, inner: int) -> None:
        super().__init__()
        self.dense = nn.Linear(width, inner)


class Layer(nn.Module):
    """One layer, normed after each part."""

    def __init__(self, sizes: BertSizes) -> None:
        super().__init__()
        self.attention = Attention(sizes.width)
        self.intermediate = Dense(sizes.width, sizes.inner)
        self.output = Output(sizes.inner, sizes.width)

    def forward(self, x: Tensor, shown: Tensor | None) -> Tensor:
        x = self.attention(x, shown)
        out: Tensor = self.output(F.gelu(self.intermediate.dense(x)), x)
        return out


class Layers(nn.Module):
    """The stack, under the name the files give it."""

    def __init__(self, sizes: BertSizes) -> None:
        super().__init__()
        self.layer = nn.ModuleList([Layer(sizes) for _ in range(sizes.layers)])


class Bert(nn.Module):
    """The whole encoder."""

    def __init__(self, sizes: BertSizes) -> None:
        super().__init__()
        self.embeddings = Embeddings(sizes)
        self.encoder = Layers(sizes)

    def embed(self, numbers: Tensor) -> Tensor:
        """The vectors [B, T, width] of tokens [B, T], without their places."""
        table = self.embeddings.word_embeddings
        vectors: Tensor = table(numbers.to(table.weight.device))
        return vectors

    def see(self, pixels: Tensor) -> tuple[Tensor, int, int]:
        """Refused: BERT reads words only."""
        raise Mismatch("BERT cannot look at pictures.", "Use a text encoder that can.")

    def encode(self, reading: Reading, layer: int, normed: bool, projected: bool) -> States:
        """The states of a layer, which are normed already; there is no pooled vector."""
        h = self.embeddings(reading.vectors)
        shown = None if reading.mask is None else reading.mask.bool()[:, None, None, :]
        for block in self.encoder.layer[: len(self.encoder.layer) + layer + 1]:
            h = block(h, shown)
        return States(h)
