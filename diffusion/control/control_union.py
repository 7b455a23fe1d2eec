"""A ControlNet for several kinds of pictures: it is told the kind, and weighs picture and latent together.

Known as ControlNet++ or ControlNet Union (xinsir, 2024). One transformer looks at a token of the picture, the
mean of its features plus a learned vector of its kind, and at one of the latent; what it makes of the
picture's token shifts the features.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from diffusion.networks.blocks import timestep_embedding
from diffusion.weights.files import Weights
from diffusion.weights.shapes import Unlike

KINDS: Mapping[str, int] = {
    "openpose": 0,
    "depth": 1,
    "hed/pidi/scribble/ted": 2,
    "canny/lineart/anime_lineart/mlsd": 3,
    "normal": 4,
    "segment": 5,
    "tile": 6,
    "repaint": 7,
}
"""What the exported node calls the kinds, in the order in which networks number them."""
HEADS = 8
NAMES: Mapping[str, str] = {
    "task_embedding": "tasks",
    "transformer_layes.": "layers.",
    "spatial_ch_projs.": "shift.",
    "control_add_embedding.linear_1.": "numbers.0.",
    "control_add_embedding.linear_2.": "numbers.2.",
}
"""What the published files call its parts, and what they are called here under `union.`."""


@dataclass(frozen=True)
class UnionSizes:
    """How many kinds, the width of tokens, layers of the transformer, and the width of one kind's number."""

    kinds: int
    width: int
    layers: int
    number_width: int


class Layer(nn.Module):
    """A transformer layer over tokens [B, N, C]; names as in the published files."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.attn = nn.MultiheadAttention(width, HEADS, batch_first=True)
        self.ln_1 = nn.LayerNorm(width)
        self.mlp = nn.ModuleDict({"c_fc": nn.Linear(width, width * 4), "c_proj": nn.Linear(width * 4, width)})
        self.ln_2 = nn.LayerNorm(width)

    def forward(self, x: Tensor) -> Tensor:
        normed = self.ln_1(x)
        x = x + self.attn(normed, normed, normed, need_weights=False)[0]
        inner = self.mlp["c_fc"](self.ln_2(x))
        out: Tensor = x + self.mlp["c_proj"](inner * torch.sigmoid(1.702 * inner))
        return out


class Union(nn.Module):
    """The parts that a network of several kinds has more than others."""

    def __init__(self, sizes: UnionSizes, embedding: int) -> None:
        super().__init__()
        self.sizes = sizes
        self.tasks = nn.Parameter(torch.zeros(sizes.kinds, sizes.width))
        self.layers = nn.ModuleList(Layer(sizes.width) for _ in range(sizes.layers))
        self.shift = nn.Linear(sizes.width, sizes.width)
        width = sizes.kinds * sizes.number_width
        self.numbers = nn.Sequential(nn.Linear(width, embedding), nn.SiLU(), nn.Linear(embedding, embedding))

    def embedded(self, kind: int | None, rows: int) -> Tensor:
        """What the embedding of time gains by the kind of the picture; None is none of them."""
        chosen = torch.zeros(self.sizes.kinds, device=self.tasks.device)
        if kind is not None:
            chosen[self._known(kind)] = 1
        numbers = timestep_embedding(chosen, self.sizes.number_width).flatten().to(self.tasks.dtype)
        out: Tensor = self.numbers(numbers).expand(rows, -1)
        return out

    def joined(self, h: Tensor, seen: Tensor, kind: int | None) -> Tensor:
        """The latent's features with the picture's added, both [B, C, h, w]."""
        if kind is None:
            return h + seen
        picture = seen.mean(dim=(2, 3)) + self.tasks[self._known(kind)]
        tokens = torch.stack([picture, h.mean(dim=(2, 3))], dim=1)
        for layer in self.layers:
            tokens = layer(tokens)
        out: Tensor = h + seen + self.shift(tokens[:, 0])[:, :, None, None]
        return out

    def _known(self, kind: int) -> int:
        if kind >= self.sizes.kinds:
            names = ", ".join(list(KINDS)[: self.sizes.kinds])
            raise ValueError(f"This control network knows only these kinds of pictures: {names}.")
        return kind


def union_sizes(weights: Weights) -> UnionSizes | None:
    """The sizes of a network of several kinds, its own parts under `union.`; None for any other."""
    tasks = weights.shape("union.tasks")
    if tasks is None:
        return None
    numbers = weights.shape("union.numbers.0.weight")
    if numbers is None or len(tasks) != 2 or numbers[1] % tasks[0]:
        raise Unlike("control_add_embedding.linear_1.weight does not fit task_embedding")
    layers = {name.split(".")[2] for name in weights if name.startswith("union.layers.")}
    return UnionSizes(tasks[0], tasks[1], len(layers), numbers[1] // tasks[0])


def union_named(weights: Weights) -> Weights:
    """The same tensors with the parts of a network of several kinds under `union.`."""
    return weights.having({_named(name): entry for name, entry in weights.items()})


def _named(name: str) -> str:
    for theirs, ours in NAMES.items():
        if name.startswith(theirs):
            return f"union.{ours}{name[len(theirs) :]}"
    return name
