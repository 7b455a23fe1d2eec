"""Guidance whose result, or whose noise, is brought to another size."""

from __future__ import annotations

import torch
from torch import Tensor

from diffusion.guidance.directions import TINY, norm
from diffusion.guidance.estimates import Combine, Predictions
from diffusion.guidance.guidance import Call, classifier_free
from diffusion.model import Model


def never_longer(model: Model, strength: float) -> Model:
    """The guided estimate nowhere longer, over the channels, than the positive one; then times `strength`."""

    def after(call: Call, denoised: Tensor, predictions: Predictions, scale: float) -> Tensor:
        both = predictions["positive"], denoised
        right, found = (torch.linalg.vector_norm(each, dim=1, keepdim=True) for each in both)
        shorter: Tensor = denoised * (right / (found + TINY)).clamp(max=1)
        return shorter * strength

    return model.with_hook("guidance.after", after)


def renormed(model: Model, below: float, most: float) -> Model:
    """Guided at noise levels below `below`, the result at most `most` times as long as the positive.

    Lumina-Image 2.0 (2503.21758) calls these truncation and renormalisation, and bounds the velocity; as
    ComfyUI computes it, the clean estimate is bounded. A `most` of 0 sets no bound.
    """

    def combine(call: Call, predictions: Predictions, scale: float, inner: Combine) -> Tensor:
        positive = predictions["positive"]
        if call.sigma.item() >= below:
            return positive
        guided = classifier_free(positive, predictions.get("negative"), scale)
        if most <= 0:
            return guided
        return guided * (norm(positive) * most / norm(guided).clamp(min=TINY)).clamp(max=1)

    return model.with_hook("guidance.combine", combine)


def scaled_noise(model: Model, factor: float) -> Model:
    """The noise divided by `factor`, against exposure bias (Ning et al. 2023, 2308.15321)."""

    def after(call: Call, denoised: Tensor, predictions: Predictions, scale: float) -> Tensor:
        return call.x - (call.x - denoised) / factor

    return model.with_hook("guidance.after", after)
