"""What a small model estimates, plain and guided, at one noise level."""

import torch
from torch import Tensor

from diffusion.conditioning import Setting, prepare
from diffusion.guidance.guidance import CFGGuider, Guided, Guider
from diffusion.model import Model
from tests.diffusion.small_runs import denoising, noise, small_model, text

X, SIGMA = noise(2, 4, 8, 8) * 3, torch.tensor(2.5)
SETTING_LATENT = torch.zeros(2, 4, 8, 8)


def guided(model: Model, scale: float = 4.0, x: Tensor = X, sigma: Tensor = SIGMA) -> Tensor:
    """The guided estimate of a model whose hooks have been started."""
    return denoiser(model, scale)(x, sigma)


def denoiser(
    model: Model, scale: float = 4.0, latent: Tensor = SETTING_LATENT, guider: Guider | None = None
) -> Guided:
    """The denoiser of one run."""
    guider = guider or CFGGuider(model, text(1), text(2), scale)
    setting = Setting(model, latent)
    parts = prepare(guider.conditionings, setting)
    return Guided(guider, denoising(model, setting, model.hooks.for_run()), parts)


def estimates() -> tuple[Tensor, Tensor]:
    """The plain model's positive and negative estimates."""
    model = small_model()
    plain = denoiser(model)
    found = plain.denoising.estimates(X, SIGMA, plain.parts)
    return found["positive"], found["negative"]
