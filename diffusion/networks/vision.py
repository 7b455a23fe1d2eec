"""Picture encoders: what unCLIP, style models and adapters see of a picture.

CLIP's (Radford et al. 2021) is `transformers`' own network, of which only the weights are mapped; SigLIP's is
in `siglip`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor
from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

from diffusion.networks.clip_names import clip_vision
from diffusion.networks.siglip import Siglip, is_siglip, siglip_sizes
from diffusion.residency.budget import Residency, Resident
from diffusion.weights.files import Weights, identity, open_weights
from diffusion.weights.kinds import unknown
from diffusion.weights.loading import Check, never
from diffusion.weights.shapes import Unlike

MEAN = (0.48145466, 0.4578275, 0.40821073)
DEVIATION = (0.26862954, 0.26130258, 0.27577711)
HALF = (0.5, 0.5, 0.5)

# Where picture encoders stand: alone, in SVD's checkpoints, in unCLIP's, in Zero123's.
PREFIXES = (
    "",
    "visual.",
    "conditioner.embedders.0.open_clip.model.visual.",
    "embedder.model.visual.",
    "cond_stage_model.model.visual.",
)


M = TypeVar("M", bound=CLIPVisionModelWithProjection)


@dataclass(frozen=True, eq=False)
class VisionEncoder:
    """A picture encoder on a link; `side` is that of the square it sees, in pixels.

    `mean` and `deviation` are of the colours it was trained on. `every` tells the states of all layers too.
    """

    resident: Resident[Any]
    side: int
    mean: tuple[float, float, float] = MEAN
    deviation: tuple[float, float, float] = DEVIATION
    every: bool = False

    def encode(self, image: Tensor, crop: bool = True, check: Check = never) -> Mapping[str, Tensor]:
        """What the encoder makes of pictures B×H×W×C.

        `last_hidden_state` and `penultimate_hidden_states` [B, T, C], `image_embeds` [B, P] (SigLIP's are
        the last state), and from SigLIP `all_hidden_states` [B, layers, T, C].
        """
        pixels = prepared(image, self.side, crop, self.mean, self.deviation)
        with self.resident.use(check=check) as module, torch.no_grad():
            seen = pixels.to(self.resident.device, self.resident.dtype)
            out = module(pixel_values=seen, output_hidden_states=True)
        parts = {
            "last_hidden_state": out.last_hidden_state,
            "image_embeds": out.image_embeds,
            "penultimate_hidden_states": out.hidden_states[-2],
        }
        if self.every:
            parts["all_hidden_states"] = torch.stack(out.hidden_states[1:], dim=1)
        return {name: part.float().cpu() for name, part in parts.items()}


def prepared(
    image: Tensor,
    side: int,
    crop: bool,
    mean: Sequence[float] = MEAN,
    deviation: Sequence[float] = DEVIATION,
) -> Tensor:
    """Pictures B×H×W×C as the encoder wants them, B×3×side×side: cut to a square or squeezed, normalised."""
    x = image[..., :3].float().movedim(-1, 1)
    if x.shape[2:] != (side, side):
        height, width = side, side
        if crop:
            scale = side / min(x.shape[2:])
            height, width = (round(scale * size) for size in x.shape[2:])
        x = F.interpolate(x, size=(height, width), mode="bicubic", antialias=True)
        top, left = (height - side) // 2, (width - side) // 2
        x = x[..., top : top + side, left : left + side]
    x = (255.0 * x).clamp(0, 255).round() / 255.0
    middle, spread = (torch.tensor(each).view(1, 3, 1, 1) for each in (mean, deviation))
    return (x - middle) / spread


def load_vision(path: Path | str, residency: Residency | None = None) -> VisionEncoder:
    """The picture encoder of a file, alone or within a checkpoint. UnknownModel if it is of another kind."""
    weights = open_weights(path)
    part = vision_part(weights)
    return vision_from(weights if part is None else part, residency or Residency())


def vision_part(weights: Weights) -> Weights | None:
    """The picture encoder's tensors in a file, under transformers' names; None if it has none."""
    for prefix in PREFIXES:
        inner = clip_vision(weights.under(prefix))
        if "vision_model.embeddings.patch_embedding.weight" in inner:
            own = ("vision_model.", "visual_projection.")
            return inner.having({name: inner[name] for name in inner if name.startswith(own)})
    return None


def vision_from(weights: Weights, residency: Residency) -> VisionEncoder:
    """The picture encoder of tensors under transformers' names. UnknownModel if they are something else."""
    if is_siglip(weights):
        return siglip_from(weights, residency)
    config = vision_config(weights)

    def build() -> CLIPVisionModelWithProjection:
        return with_places(CLIPVisionModelWithProjection(config))

    of = identity(weights, "vision")
    return VisionEncoder(Resident(residency, "vision", weights, build, of), config.image_size)


def siglip_from(weights: Weights, residency: Residency) -> VisionEncoder:
    """SigLIP's picture encoder of tensors under their own names. UnknownModel if they do not fit."""
    try:
        sizes = siglip_sizes(weights)
    except Unlike as error:
        raise unknown(weights, f"Its picture encoder cannot be read: {error}") from None
    resident = Resident(residency, "vision", weights, lambda: Siglip(sizes), identity(weights, "siglip"))
    return VisionEncoder(resident, sizes.side, HALF, HALF, every=True)


def with_places(module: M) -> M:
    """The module with its numbers of places real, also where its weights are not yet."""
    embeddings = module.vision_model.embeddings
    places = torch.arange(embeddings.num_positions, device="cpu")[None]
    embeddings.register_buffer("position_ids", places, persistent=False)
    return module


def vision_config(weights: Weights) -> CLIPVisionConfig:
    """The sizes of a picture encoder read off its tensors. UnknownModel if it is of another kind."""
    patch = weights.shape("vision_model.embeddings.patch_embedding.weight")
    places = weights.shape("vision_model.embeddings.position_embedding.weight")
    inner = weights.shape("vision_model.encoder.layers.0.mlp.fc1.weight")
    projection = weights.shape("visual_projection.weight")
    if patch is None or places is None or inner is None or projection is None:
        raise unknown(weights, "It is no CLIP vision encoder with a projection")
    width = patch[0]
    layers = {name.split(".")[3] for name in weights if name.startswith("vision_model.encoder.layers.")}
    return CLIPVisionConfig(
        hidden_size=width,
        intermediate_size=inner[0],
        projection_dim=projection[0],
        num_hidden_layers=len(layers),
        num_attention_heads=width // (64 if width % 80 else 80),
        patch_size=patch[2],
        image_size=round((places[0] - 1) ** 0.5) * patch[2],
        hidden_act="quick_gelu" if width == 1024 else "gelu",
    )
