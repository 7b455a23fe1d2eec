"""Other ways to combine what the model estimates with and without the text."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from diffusion.conditioning import Conditioning
from diffusion.guidance import guidance
from diffusion.guidance.guidance import Call
from diffusion.hooks import Hooks, Place
from diffusion.model import Model

Predictions = Mapping[str, Tensor]
Attend = Callable[[Tensor, Tensor, Tensor], Tensor]
Combine = Callable[[Predictions, float], Tensor]


def rescaled(model: Model, multiplier: float) -> Model:
    """Guidance whose result keeps the spread of the positive estimate as v (Lin et al. 2023, 2305.08891)."""

    def combine(call: Call, predictions: Predictions, scale: float, inner: Combine) -> Tensor:
        sigma, x = call.sigma, call.x
        root = (sigma**2 + 1).sqrt()
        middle = x / (sigma**2 + 1)
        positive, negative = (
            (middle - predictions[name]) * root / sigma for name in ("positive", "negative")
        )
        guided = negative + scale * (positive - negative)
        kept = guided * (spread(positive) / spread(guided))
        mixed = multiplier * kept + (1 - multiplier) * guided
        return middle - mixed * sigma / root

    return model.with_hook("guidance.combine", combine)


def spread(x: Tensor) -> Tensor:
    """The standard deviation of each row, B×1×1×1."""
    return x.std(dim=tuple(range(1, x.ndim)), keepdim=True)


def perpendicular_negative(model: Model, empty: Conditioning, negative_scale: float) -> Model:
    """Perp-Neg as a change of the model; `empty` is the conditioning of an empty text."""

    def combine(call: Call, predictions: Predictions, scale: float, inner: Combine) -> Tensor:
        nothing = call.estimate(empty)
        positive, negative = predictions["positive"], predictions["negative"]
        return guidance.perp_neg(positive, negative, nothing, negative_scale, scale)

    return model.with_hook("guidance.combine", combine)


def perturbed_attention(model: Model, scale: float) -> Model:
    """Away from an estimate whose middle self-attention sees only itself (Ahn et al. 2024, 2403.17377).

    In a transformer the middle one of its blocks; where words and picture look at each other, the words still
    see all.
    """
    if scale == 0:
        return model

    def looks_at_itself(place: Place, q: Tensor, k: Tensor, v: Tensor, attend: Attend) -> Tensor:
        if place.blocks == 0:
            return v if (place.block, place.index) == ("middle", 0) else attend(q, k, v)
        out, (start, stop) = attend(q, k, v), place.image
        if place.serial != place.blocks // 2 or out.shape != v.shape:
            return out
        return torch.cat([out[:, :start], v[:, start:stop], out[:, stop:]], dim=1)

    perturbed = Hooks().adding("attention.self.attend", looks_at_itself)
    model.require(perturbed)

    def after(call: Call, denoised: Tensor, predictions: Predictions, guidance_scale: float) -> Tensor:
        weak = call.estimate("positive", hooks=perturbed)
        return denoised + (predictions["positive"] - weak) * scale

    return model.with_hook("guidance.after", after)


def spread_kept(model: Model, share: float, start: float, end: float) -> Model:
    """From `start` to `end` of the way (0…1), `share` of what gives the estimate the positive's spread."""
    clock = model.prediction.clock
    highest, lowest = clock.sigma_at(start), clock.sigma_at(end)

    def after(call: Call, denoised: Tensor, predictions: Predictions, scale: float) -> Tensor:
        if not lowest <= call.sigma.item() <= highest:
            return denoised
        factor = predictions["positive"].std() / denoised.std()
        return denoised * (share * factor + 1 - share)

    return model.with_hook("guidance.after", after)
