"""Tools on schedules: cut, turned round, begun elsewhere, refined. Each takes sigmas and gives new ones."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from itertools import pairwise

import torch
from torch import Tensor

from diffusion.noise.prediction import Prediction

LOWEST = 0.0001  # stands for a 0 at the start of a schedule turned round


def split(sigmas: Tensor, step: int) -> tuple[Tensor, Tensor]:
    """Two schedules that share the sigma at `step`."""
    return sigmas[: step + 1], sigmas[step:]


def split_by_denoise(sigmas: Tensor, denoise: float) -> tuple[Tensor, Tensor]:
    """Two schedules of which the second takes the last `denoise` of the steps."""
    steps = max(len(sigmas) - 1, 0)
    return split(sigmas, steps - round(steps * denoise))


def flipped(sigmas: Tensor) -> Tensor:
    """From the last to the first, for samplers that add noise instead of removing it."""
    if not len(sigmas):
        return sigmas
    turned = sigmas.flip(0)
    if turned[0] == 0:
        turned[0] = LOWEST
    return turned


def with_first(sigmas: Tensor, sigma: float) -> Tensor:
    """The same steps, begun at another sigma."""
    if not len(sigmas):
        return sigmas
    changed = sigmas.clone()
    changed[0] = sigma
    return changed


SPACINGS: Mapping[str, Callable[[Tensor], Tensor]] = {
    "linear": lambda t: t,
    "cosine": lambda t: torch.sin(t * math.pi / 2),
    "sine": lambda t: 1 - torch.cos(t * math.pi / 2),
}


def extended(sigmas: Tensor, steps: int, start_at: float, end_at: float, spacing: str = "linear") -> Tensor:
    """Each step that begins between `start_at` (below 0: anywhere above) and `end_at` cut into `steps`."""
    start_at = math.inf if start_at < 0 else start_at
    shares = SPACINGS[spacing](torch.linspace(0, 1, steps + 1)[:-1])
    pieces = [
        sigma + shares * (sigma_next - sigma) if end_at <= sigma <= start_at else sigma.view(1)
        for sigma, sigma_next in pairwise(sigmas)
    ]
    return torch.cat([*pieces, sigmas[-1:]])


def percent_to_sigma(prediction: Prediction, percent: float, *, actual: bool = False) -> float:
    """The sigma after this share of a run; `actual` gives the model's own ends for 999999999.9 and 0."""
    sigma = prediction.clock.sigma_at(percent)
    if not actual:
        return sigma
    if percent <= 0:
        return prediction.sigma_max
    return prediction.sigma_min if percent >= 1 else sigma
