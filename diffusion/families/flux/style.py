"""USO's style: three depths of what SigLIP sees of a picture, as tokens in front of FLUX's text.

Wu et al. 2025, arXiv 2508.18966. Used with USO's LoRA.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from diffusion.errors import Mismatch
from diffusion.model import Model
from diffusion.residency.budget import Residency, Resident, resident_of
from diffusion.weights.entries import Weights

PREFIX = "feature_embedder."
DEPTHS: Mapping[str, int] = {"high": -2, "mid": -11, "low": -20}
"""The layers of SigLIP that each part reads, in the order of their tokens."""


@dataclass(frozen=True)
class StyleSizes:
    """Read off a file: tokens of a picture, tokens made of them, width of the encoder and of FLUX."""

    seen: int
    tokens: int
    encoder: int
    width: int


class StyleTokens(nn.Module):
    """States of SigLIP's layers [B, L, T, C] → tokens [B, 3 · tokens, width]; names as in the file."""

    def __init__(self, sizes: StyleSizes) -> None:
        super().__init__()
        self.sizes = sizes
        for depth in DEPTHS:
            self.add_module(f"{depth}_embedding_linear", nn.Sequential(nn.Linear(sizes.seen, sizes.tokens)))
            self.add_module(f"{depth}_layer_norm", nn.LayerNorm(sizes.encoder))
            self.add_module(f"{depth}_projection", nn.Linear(sizes.encoder, sizes.width))

    def forward(self, states: Tensor) -> Tensor:
        return torch.cat([self._tokens(depth, states[:, layer]) for depth, layer in DEPTHS.items()], dim=1)

    def _tokens(self, depth: str, tokens: Tensor) -> Tensor:
        gathered = F.silu(self.get_submodule(f"{depth}_embedding_linear")(tokens.transpose(1, 2)))
        normed = self.get_submodule(f"{depth}_layer_norm")(gathered.transpose(1, 2))
        out: Tensor = self.get_submodule(f"{depth}_projection")(normed)
        return out


@dataclass(frozen=True, eq=False)
class StyleReference:
    """USO's projector on a link."""

    resident: Resident[StyleTokens]
    sizes: StyleSizes

    def applied(self, model: Model, seen: Mapping[str, Any]) -> Model:
        """A model that follows the style of what SigLIP saw of pictures.

        Mismatch for a model of another width, or what another encoder saw.
        """
        if getattr(model.sizes, "width", None) != self.sizes.width or not model.family.has("text.tokens"):
            problem = f"This style projector is for FLUX, {self.sizes.width} wide; the model is another."
            raise Mismatch(problem, "Choose a FLUX model of that size.")
        states = seen.get("all_hidden_states")
        if states is None or states.shape[-2:] != (self.sizes.seen, self.sizes.encoder):
            problem = f"This style projector reads {self.sizes.seen} tokens {self.sizes.encoder} wide."
            raise Mismatch(problem, "Encode the picture with the SigLIP that it was made for.")
        with self.resident.use() as module, torch.no_grad():
            made = module(states.to(self.resident.device, self.resident.dtype))
        style = made.float().cpu().flatten(0, 1)[None]

        def in_front(call: object, tokens: Tensor) -> Tensor:
            return torch.cat([style.to(tokens).expand(len(tokens), -1, -1), tokens], dim=1)

        return model.with_hook("text.tokens", in_front)


def style_reference(weights: Weights, residency: Residency) -> StyleReference | None:
    """The projector of a file; None for other files."""
    own = weights.under(PREFIX)
    gather, project = (own.shape(f"low_{name}.weight") for name in ("embedding_linear.0", "projection"))
    if gather is None or project is None:
        return None
    sizes = StyleSizes(gather[1], gather[0], project[1], project[0])
    return StyleReference(resident_of(residency, "control", own, lambda: StyleTokens(sizes)), sizes)
