"""Guidance whose result, or whose noise, is brought to another size."""

from __future__ import annotations

import torch
from torch import Tensor

from diffusion.guidance import Call
from diffusion.model import Model
from diffusion.patches.directions import TINY, norm
from diffusion.patches.guidance import Combine, Predictions


def never_longer(model: Model, strength: float) -> Model:
    """The guided estimate nowhere longer, over the channels, than the positive one; then times `strength`."""

    def after(call: Call, denoised: Tensor, predictions: Predictions, scale: float) -> Tensor:
        both = predictions["positive"], denoised
        right, found = (torch.linalg.vector_norm(each, dim=1, keepdim=True) for each in both)
        shorter: Tensor = denoised * (right / found.clamp(min=TINY)).clamp(max=1)
        return shorter * strength

    return model.with_hook("guidance.after", after)


def renormed(model: Model, below: float, most: float) -> Model:
    """Guided at noise levels below `below`, the noise at most `most` times as long as the positive's.

    Lumina-Image 2.0 (2503.21758) calls these truncation and renormalisation. A `most` of 0 sets no bound.
    """

    def combine(call: Call, predictions: Predictions, scale: float, inner: Combine) -> Tensor:
        if call.sigma.item() >= below:
            return predictions["positive"]
        guided = inner(predictions, scale)
        if most <= 0:
            return guided
        noise, bound = call.x - guided, norm(call.x - predictions["positive"]) * most
        return call.x - noise * (bound / norm(noise).clamp(min=TINY)).clamp(max=1)

    return model.with_hook("guidance.combine", combine)


def scaled_noise(model: Model, factor: float) -> Model:
    """The noise divided by `factor`, against exposure bias (Ning et al. 2023, 2308.15321)."""

    def after(call: Call, denoised: Tensor, predictions: Predictions, scale: float) -> Tensor:
        return call.x - (call.x - denoised) / factor

    return model.with_hook("guidance.after", after)
