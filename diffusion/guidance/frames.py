"""Guidance that changes from frame to frame of a clip (Blattmann et al. 2023, 2311.15127, appendix D.3)."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from diffusion.guidance.estimates import Combine, Predictions
from diffusion.guidance.guidance import Call
from diffusion.model import Model


def rising(frames: int) -> Tensor:
    """From 0 at the first frame to 1 at the last."""
    return torch.linspace(0, 1, frames)


def there_and_back(frames: int) -> Tensor:
    """From 0 at the first frame to 1 in the middle and back, for clips that end where they begin."""
    return 1 - (2 * rising(frames) - 1).abs()


def framewise(model: Model, least: float, course: Callable[[int], Tensor]) -> Model:
    """Guidance of scale `least` where the course over the frames is 0, and the run's scale where it is 1."""

    def combine(call: Call, predictions: Predictions, scale: float, inner: Combine) -> Tensor:
        positive, negative = predictions["positive"], predictions["negative"]
        shares = course(len(positive)).to(positive).view(-1, 1, 1, 1)
        return negative + (least + shares * (scale - least)) * (positive - negative)

    return model.with_hook("guidance.combine", combine)
