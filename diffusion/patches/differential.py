"""Differential diffusion: a mask that says how much each place may change (Levin & Fried 2023, 2306.00950).

Its values are thresholds in time. A place is let go when the share of the run that is left falls to its
value: white from the start, grey later, black when nothing is left but the last trained noise level.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from diffusion.model import Model


def differential(model: Model, strength: float = 1.0) -> Model:
    """The model with noise masks read as maps of change; below 1, `strength` blends towards the plain mask.

    As ComfyUI computes it, a strength of 0 counts as 1.
    """

    def changing(call: Any, mask: Tensor) -> Tensor:
        now = (mask >= share_left(call)).to(mask)
        return strength * now + (1 - strength) * mask if 0 < strength < 1 else now

    return model.with_hook("noise_mask", changing)


def share_left(call: Any) -> float:
    """How much of the run's way in timesteps is still to go: 1 at its first step."""
    clock = call.denoising.prediction.clock
    last = max(call.schedule[-1].item(), clock.sigmas[0].item())
    sigmas = torch.tensor([call.sigma.item(), call.schedule[0].item(), last])
    now, first, end = clock.timestep(sigmas).float().tolist()
    return float((now - end) / (first - end)) if first != end else 1.0
