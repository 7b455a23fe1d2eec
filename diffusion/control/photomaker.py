"""PhotoMaker: a person's pictures merged into the word before a trigger (Li et al. 2023, 2312.04461).

A picture encoder with a second projection gives an identity; a small net fuses it with the word's embedding.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

from diffusion.errors import Mismatch
from diffusion.networks.vision import prepared, vision_config, with_places
from diffusion.residency.budget import Residency, Resident
from diffusion.text.encoding import TextEncoder
from diffusion.weights.files import Weights, identity, open_weights
from diffusion.weights.kinds import unknown

TRIGGER = "photomaker"
PREFIX = "id_encoder."


class Mixer(nn.Module):
    """Two linear layers behind a norm."""

    def __init__(self, channels: int, wide: int) -> None:
        super().__init__()
        self.layernorm = nn.LayerNorm(channels)
        self.fc1, self.fc2 = nn.Linear(channels, wide), nn.Linear(wide, wide)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.fc2(F.gelu(self.fc1(self.layernorm(x))))
        return out


class Fusion(nn.Module):
    """A word and an identity [B, D] become one."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.mlp1, self.mlp2 = Mixer(width * 2, width), Mixer(width, width)
        self.layer_norm = nn.LayerNorm(width)

    def forward(self, word: Tensor, identity: Tensor) -> Tensor:
        x = self.mlp1(torch.cat([word, identity], dim=-1)) + word
        out: Tensor = self.layer_norm(x + self.mlp2(x))
        return out


class IdentityNet(CLIPVisionModelWithProjection):  # type: ignore[misc]  # transformers has no types
    """The picture encoder with its second projection and the fusion."""

    def __init__(self, config: CLIPVisionConfig, second: int) -> None:
        super().__init__(config)
        self.visual_projection_2 = nn.Linear(config.hidden_size, second, bias=False)
        self.fuse_module = Fusion(config.projection_dim + second)

    def identity(self, pixels: Tensor) -> Tensor:
        """What pictures [B, 3, H, W] say of who is seen: [B, D]."""
        seen: Any = self.vision_model(pixels).pooler_output
        return torch.cat([self.visual_projection(seen), self.visual_projection_2(seen)], dim=-1)


@dataclass(frozen=True, eq=False)
class PhotoMaker:
    """A PhotoMaker model on a link; `side` is that of the square it sees, in pixels."""

    resident: Resident[IdentityNet]
    side: int

    def merged(self, embedding: Tensor, place: int, image: Tensor) -> Tensor:
        """A text's embedding [1, T, D] with who is seen in pictures B×H×W×C merged into its token at a place.

        Several pictures are of one person: what is fused with each is averaged.
        """
        with self.resident.use() as module, torch.no_grad():
            width = module.fuse_module.layer_norm.normalized_shape[0]
            if embedding.shape[-1] != width:
                problem = f"This PhotoMaker changes text of width {width}, not {embedding.shape[-1]}."
                raise Mismatch(problem, "Use the text encoders of SDXL.")
            pixels = prepared(image, self.side, crop=True).to(self.resident.device, self.resident.dtype)
            identity = module.identity(pixels)
            word = embedding[:, place].to(identity).expand(len(identity), -1)
            fused = module.fuse_module(word, identity).mean(dim=0)
        changed = embedding.clone()
        changed[:, place] = fused.to(embedding)
        return changed


def without_trigger(text: str) -> tuple[str, str]:
    """A text without the trigger, and what stood before it; nothing if there is no trigger."""
    words = text.split(" ")
    if TRIGGER not in words:
        return text, ""
    number = words.index(TRIGGER)
    return " ".join(words[:number] + words[number + 1 :]), " ".join(words[:number])


def last_place(text: TextEncoder, words: str) -> int:
    """The place of the last token of these words in an embedding that begins with them."""
    chunks = next(iter(text.tokenize(words).values()))
    frame = text.towers[0].rule.frame
    used = [len(frame.within(chunk)) + 1 for chunk in chunks]
    return sum(len(chunk) for chunk in chunks[:-1]) + used[-1] - 1


def load_photomaker(path: Path | str, residency: Residency | None = None) -> PhotoMaker:
    """The PhotoMaker model of a file. UnknownModel if it is something else."""
    weights = open_weights(path)
    inner = weights.under(PREFIX) or weights
    second = inner.shape("visual_projection_2.weight")
    if second is None or "fuse_module.mlp1.fc1.weight" not in inner:
        raise unknown(weights, "It is no PhotoMaker model")
    return photomaker_from(inner, second[0], residency or Residency())


def photomaker_from(weights: Weights, second: int, residency: Residency) -> PhotoMaker:
    """The model of tensors under their own names."""
    config = vision_config(weights)

    def build() -> IdentityNet:
        return with_places(IdentityNet(config, second))

    of = identity(weights, "photomaker")
    return PhotoMaker(Resident(residency, "vision", weights, build, of), config.image_size)
