"""A small real model and conditionings for it."""

from typing import Any

import torch
from torch import Tensor

from diffusion.conditioning import Setting
from diffusion.denoising import Denoising
from diffusion.families import families
from diffusion.family import Family
from diffusion.hooks import Hooks
from diffusion.latents.latent_format import SD1 as SD1_LATENTS
from diffusion.model import Model
from diffusion.networks.unet import UNet, UNetSizes
from diffusion.noise.prediction import stable_diffusion
from diffusion.residency.budget import Residency, Resident
from diffusion.residency.precision import Precision
from tests.diffusion.small_models import SD1, seeded, weights_of


def family(name: str) -> Family:
    """The family of a name."""
    return next(each for each in families() if each.name == name)


def small_model(sizes: UNetSizes = SD1, name: str = "sd1", **fields: Any) -> Model:
    """A model of one of Stable Diffusion's families with random weights."""
    weights = weights_of(seeded(lambda: UNet(sizes), 1))
    residency = Residency(Precision("fp32"), "cpu")
    resident = Resident(residency, "backbone", weights, lambda: UNet(sizes), (id(weights),))
    return Model(resident, family(name), sizes, stable_diffusion(), SD1_LATENTS, **fields)


def text(seed: int, tokens: int = 7, width: int = 64, **options: Any) -> list[list[Any]]:
    """A conditioning of one entry, as an encoded text would be."""
    generator = torch.Generator().manual_seed(seed)
    return [[torch.randn(1, tokens, width, generator=generator), options]]


def noise(*shape: int, seed: int = 0) -> Tensor:
    """Unit Gaussian noise."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def denoising(model: Model, setting: Setting | None = None, hooks: Hooks | None = None) -> Denoising:
    """The model at work outside a run."""
    setting = setting or Setting(model, torch.zeros(1, 4, 8, 8))
    with model.backbone.use() as unet:
        return Denoising(setting, unet, hooks or model.hooks, torch.tensor([14.0, 0.0]))
