"""DiffSynth's control of Qwen-Image: layers beside its blocks that see its tokens and those of a picture.

DiffSynth-Studio 2025 (Apache-2.0), called "blockwise ControlNet" there: canny, depth and inpaint.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from diffusion.errors import Mismatch
from diffusion.families.qwen_image.network import PATCH, QwenSizes, still
from diffusion.hooks import Hooks, Place
from diffusion.images import resize, to_batch
from diffusion.latents.autoencoder import VAE
from diffusion.latents.latent_format import LatentFormat
from diffusion.model import Model
from diffusion.networks.backbone import Inputs
from diffusion.networks.zoo import patches, wrapped
from diffusion.residency.budget import Residency, Resident, resident_of
from diffusion.weights.entries import Weights
from diffusion.weights.shapes import counted

EPS = 1e-6
SIGN = "controlnet_blocks.0.y_rms.weight"
Streams = tuple[Tensor, Tensor | None]


@dataclass(frozen=True)
class BesideSizes:
    """Read off a file: the model's width, numbers of a hint's token, and how many blocks have a layer."""

    width: int
    seen: int
    depth: int


class Layer(nn.Module):
    """What is added behind one block: of the sum of both, each normed, through two projections."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.x_rms = nn.RMSNorm(width, eps=EPS)
        self.y_rms = nn.RMSNorm(width, eps=EPS)
        self.input_proj = nn.Linear(width, width)
        self.output_proj = nn.Linear(width, width)

    def forward(self, image: Tensor, hint: Tensor) -> Tensor:
        out: Tensor = self.output_proj(F.gelu(self.input_proj(self.x_rms(image) + self.y_rms(hint))))
        return out


class BesideNet(nn.Module):
    """The whole network; names as in its files."""

    def __init__(self, sizes: BesideSizes) -> None:
        super().__init__()
        self.sizes = sizes
        self.img_in = nn.Linear(sizes.seen, sizes.width)
        self.controlnet_blocks = nn.ModuleList(Layer(sizes.width) for _ in range(sizes.depth))


@dataclass(frozen=True, eq=False)
class Beside:
    """The network on a link."""

    resident: Resident[BesideNet]
    sizes: BesideSizes
    name: str

    def applied(
        self, model: Model, vae: VAE, image: Tensor, strength: float, mask: Tensor | None = None
    ) -> Model:
        """A model led by pictures B×H×W×C; `mask` b×h×w is 1 where networks for inpainting paint anew.

        Raises:
            Mismatch: the model is another family's or of another width, or the VAE is.
        """
        if not isinstance(model.sizes, QwenSizes):
            problem = f"{self.name} is made for Qwen-Image, and the model is {model.family.title}."
            raise Mismatch(problem, "Choose a model of that family.")
        if model.sizes.width != self.sizes.width:
            problem = f"{self.name} is {self.sizes.width} wide, and the model {model.sizes.width}."
            raise Mismatch(problem, "Choose the file that was made for this size of the model.")
        if vae.latent_channels != model.latent_format.channels or not vae.clips:
            problem = "The VAE is not the one that Qwen-Image sees pictures through."
            raise Mismatch(problem, "Connect the VAE that belongs to the model.")
        return model.with_hook(
            "backbone.call", Leading(self, vae, image, model.latent_format, strength, mask)
        )


@dataclass(frozen=True, eq=False)
class Leading:
    """A hook around the model's network; the picture's tokens are made once a run for each size."""

    beside: Beside
    vae: VAE
    image: Tensor
    latent_format: LatentFormat
    strength: float
    mask: Tensor | None
    tokens: dict[tuple[int, int], Tensor] = field(default_factory=dict)

    def for_run(self) -> Leading:
        """The same with nothing made yet."""
        return replace(self, tokens={})

    def __call__(
        self,
        call: Mapping[str, Any],
        x: Tensor,
        timesteps: Tensor,
        inputs: Inputs,
        hooks: Hooks,
        predict: Callable[..., Tensor],
    ) -> Tensor:
        resident, size = self.beside.resident, (int(x.shape[-2]), int(x.shape[-1]))
        if size not in self.tokens:
            self.tokens[size] = self._seen(*size)
        with resident.use() as module:
            tokens = to_batch(self.tokens[size].to(resident.device, resident.dtype), len(x))
            hint = module.img_in(tokens)

            def behind(
                place: Place, image: Tensor, text: Tensor | None, run: Callable[..., Streams]
            ) -> Streams:
                image, text = run(image, text)
                if place.index >= len(module.controlnet_blocks):
                    return image, text
                seen = image[:, : hint.shape[1]]
                more = module.controlnet_blocks[place.index](seen.to(hint), hint).to(image) * self.strength
                return torch.cat([seen + more, image[:, hint.shape[1] :]], dim=1), text

            return predict(x, timesteps, inputs, hooks.adding("block.call", behind))

    def _seen(self, height: int, width: int) -> Tensor:
        """Tokens of the picture's latent for a latent of this size, with where it is kept behind it."""
        tall, wide = height * self.vae.downscale, width * self.vae.downscale
        pixels = self.image[..., :3]
        if pixels.shape[1:3] != (tall, wide):
            pixels = resize(pixels.movedim(-1, 1), wide, tall, "area", "center").movedim(1, -1)
        latent = still(self.latent_format.into(self.vae.encode(pixels)))
        if self.beside.sizes.seen > latent.shape[1] * PATCH**2:
            latent = torch.cat([latent, to_batch(self._kept(height, width), len(latent))], dim=1)
        return patches(wrapped(latent, PATCH), PATCH)

    def _kept(self, height: int, width: int) -> Tensor:
        if self.mask is None:
            return torch.ones(1, 1, height, width)
        mask = self.mask.reshape(-1, 1, *self.mask.shape[-2:])
        return 1 - resize(mask, width, height, "bilinear")


def beside_network(weights: Weights, residency: Residency) -> Beside | None:
    """The network of a file; None for other files."""
    if SIGN not in weights or "img_in.weight" not in weights:
        return None
    width, seen = weights["img_in.weight"].shape
    sizes = BesideSizes(width, seen, counted(weights, "controlnet_blocks.{}.y_rms.weight"))
    resident = resident_of(residency, "control", weights, lambda: BesideNet(sizes))
    return Beside(resident, sizes, weights.path.name)
