"""Style models: what an encoder sees of a picture, turned into words of a text.

T2I-Adapter's (Mou et al. 2023, arXiv 2302.08453): learned tokens look at the picture's, and what becomes of
them is projected to the width of text. Redux (Black Forest Labs 2024): every token is projected.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from diffusion.control.control_union import Layer
from diffusion.errors import Mismatch
from diffusion.residency.budget import Residency, Resident
from diffusion.weights.files import Weights, identity, open_weights
from diffusion.weights.kinds import unknown


class StyleNet(nn.Module):
    """Tokens of a picture [B, T, width] → words [B, words, text]; names as in the published file."""

    def __init__(self, words: int, width: int, text: int, layers: int) -> None:
        super().__init__()
        self.style_embedding = nn.Parameter(torch.zeros(1, words, width))
        self.transformer_layes = nn.ModuleList(Layer(width) for _ in range(layers))
        self.ln_pre, self.ln_post = nn.LayerNorm(width), nn.LayerNorm(width)
        self.proj = nn.Parameter(torch.zeros(width, text))

    @property
    def width(self) -> int:
        """Of the tokens it reads."""
        return self.proj.shape[0]

    def forward(self, tokens: Tensor) -> Tensor:
        learned = self.style_embedding.expand(len(tokens), -1, -1)
        h = self.ln_pre(torch.cat([tokens, learned], dim=1))
        for layer in self.transformer_layes:
            h = layer(h)
        out: Tensor = self.ln_post(h[:, -learned.shape[1] :]) @ self.proj
        return out


class Redux(nn.Module):
    """Tokens of a picture [B, T, width] → words [B, T, text]; names as in the published file."""

    def __init__(self, width: int, inner: int, text: int) -> None:
        super().__init__()
        self.width = width
        self.redux_up = nn.Linear(width, inner)
        self.redux_down = nn.Linear(inner, text)

    def forward(self, tokens: Tensor) -> Tensor:
        out: Tensor = self.redux_down(functional.silu(self.redux_up(tokens)))
        return out


@dataclass(frozen=True, eq=False)
class StyleModel:
    """A style model on a link; `encoder` is the one of pictures that it was made for."""

    resident: Resident[StyleNet] | Resident[Redux]
    encoder: str = "CLIP ViT-L"

    def words(self, seen: Mapping[str, Any]) -> Tensor:
        """The words [1, B · words, text] for what is seen of B pictures. Mismatch for another encoder."""
        tokens = seen["last_hidden_state"]
        with self.resident.use() as module, torch.no_grad():
            if tokens.shape[-1] != module.width:
                problem = f"This style model reads pictures of width {module.width}, not {tokens.shape[-1]}."
                raise Mismatch(problem, f"Encode the picture with {self.encoder}, which it was made for.")
            words: Tensor = module(tokens.to(self.resident.device, self.resident.dtype))
        return words.float().cpu().flatten(0, 1)[None]


def load_style_model(path: Path | str, residency: Residency | None = None) -> StyleModel:
    """The style model of a file. UnknownModel if it is something else."""
    weights = open_weights(path)
    up, down = weights.shape("redux_up.weight"), weights.shape("redux_down.weight")
    if up is not None and down is not None:
        own = identity(weights, "style")
        redux = Resident(
            residency or Residency(), "control", weights, lambda: Redux(up[1], up[0], down[0]), own
        )
        return StyleModel(redux, "SigLIP")
    sizes = style_sizes(weights)

    def build() -> StyleNet:
        return StyleNet(*sizes)

    of = identity(weights, "style")
    return StyleModel(Resident(residency or Residency(), "control", weights, build, of))


def style_sizes(weights: Weights) -> tuple[int, int, int, int]:
    """Number of words, width, width of text and layers. UnknownModel if it is something else."""
    learned, projection = weights.shape("style_embedding"), weights.shape("proj")
    if learned is None or projection is None or len(learned) != 3 or len(projection) != 2:
        raise unknown(weights, "It is no style model")
    layers = {name.split(".")[1] for name in weights if name.startswith("transformer_layes.")}
    return learned[1], learned[2], projection[1], len(layers)


def styled(conditioning: Sequence[Any], words: Tensor, strength: float, looked_at: bool) -> list[Any]:
    """The words behind each text, times their strength; or, with `looked_at`, looked at as much."""
    entries = []
    for embedding, options in conditioning:
        joined = torch.cat([embedding, words.expand(len(embedding), -1, -1).to(embedding)], dim=1)
        if not looked_at:
            joined[:, embedding.shape[1] :] *= strength
            entries.append([joined, dict(options)])
            continue
        before = options.get("token_bias", embedding.new_zeros(0))
        before = torch.cat([before, embedding.new_zeros(embedding.shape[1] - len(before))])
        bias = torch.full((words.shape[1],), math.log(strength) if strength > 0 else -math.inf)
        biased = {**options, "token_bias": torch.cat([before, bias.to(before)])}
        entries.append([joined, {**biased, **attention_bias(options, embedding.shape[1], bias)}])
    return entries


def attention_bias(options: Mapping[str, Any], tokens: int, bias: Tensor) -> dict[str, Any]:
    """The same for models whose words and picture look at each other: an additive mask [1, N, N].

    Behind `tokens` and the new words stand the picture's cells, one if no mask was there before. Words and
    picture look at the new words with the bias; these look at everything as ever.
    """
    cells = options.get("attention_mask_img_shape", (1, 1))
    before = options.get("attention_mask")
    if before is None or before.ndim != 3:
        if not bias.any():
            return {}
        before = bias.new_zeros(1, tokens + math.prod(cells), tokens + math.prod(cells), dtype=torch.float16)
    old = torch.cat([torch.arange(tokens), torch.arange(tokens, before.shape[-1]) + len(bias)])
    mask = before.new_zeros(len(before), before.shape[-2] + len(bias), before.shape[-1] + len(bias))
    mask[:, old[:, None], old] = before
    mask[:, old, tokens : tokens + len(bias)] = bias.to(mask)
    return {"attention_mask": mask, "attention_mask_img_shape": cells}
