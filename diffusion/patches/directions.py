"""Guidance whose direction is put right before, or instead of, the usual extrapolation.

    APG            Sadat et al. 2024, arXiv 2410.02416
    TCFG           Kwon et al. 2025, arXiv 2503.18137
    CFG-Zero*      Fan et al. 2025, arXiv 2503.18886 (its scale; the first steps are not zeroed)
    FreSca         Huang et al. 2025, arXiv 2504.02154
    Mahiro         guidance that turns towards the positive alone where both agree (a community formula)

D⁺ and D⁻ are the clean estimates with and without the text, x - D the noise they see.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from diffusion.guidance import Call
from diffusion.model import Model
from diffusion.patches.guidance import Combine, Predictions
from diffusion.patches.remembering import methods

Operation = Callable[..., Tensor]
TINY = 1e-8


def norm(x: Tensor) -> Tensor:
    """The length of each row, B×1×1×1."""
    return x.square().sum(dim=tuple(range(1, x.ndim)), keepdim=True).sqrt()


def dot(a: Tensor, b: Tensor) -> Tensor:
    """The inner product of each row, B×1×1×1."""
    return (a * b).sum(dim=tuple(range(1, a.ndim)), keepdim=True)


@dataclass
class Projecting:
    """Adaptive projected guidance in one run: the difference is averaged over the steps, kept short, and its
    part along D⁺, which burns colours out, weighed by `eta`."""

    eta: float
    longest: float
    momentum: float
    average: Tensor | None = None

    def combine(self, call: Call, predictions: Predictions, scale: float, inner: Combine) -> Tensor:
        """D⁺ + (scale - 1) · (the part across D⁺ + eta · the part along it)."""
        positive = predictions["positive"]
        difference = positive - predictions["negative"]
        if self.momentum and self.average is not None:
            difference = difference + self.momentum * self.average
        self.average = difference
        if self.longest > 0:
            difference = difference * (self.longest / norm(difference).clamp(min=TINY)).clamp(max=1)
        along = dot(difference, positive) / dot(positive, positive).clamp(min=TINY) * positive
        return positive + (scale - 1) * (difference - along + self.eta * along)


def projected(model: Model, eta: float, longest: float, momentum: float) -> Model:
    """The model under adaptive projected guidance; `longest` 0 leaves the difference as long as it is."""
    (combine,) = methods(lambda: Projecting(eta, longest, momentum), "combine")
    return model.with_hook("guidance.combine", combine)


def tangentially_damped(model: Model) -> Model:
    """The model whose negative noise keeps only what it shares with the positive's main direction."""

    def before(call: Call, predictions: Predictions) -> Predictions:
        if "negative" not in predictions:
            return predictions
        noises = call.x - predictions["positive"], call.x - predictions["negative"]
        return {**predictions, "negative": call.x - along_main(*noises)}

    return model.with_hook("guidance.before", before)


def along_main(positive: Tensor, negative: Tensor) -> Tensor:
    """The negative's part along the first right singular vector of the two, row by row."""
    rows = torch.stack([positive.flatten(1), negative.flatten(1)], dim=1).double()
    shares = torch.linalg.eigh(rows @ rows.mT).eigenvectors[:, :, -1:]  # of the largest singular value
    main = F.normalize((shares * rows).sum(dim=1), dim=-1)
    kept = (rows[:, 1] * main).sum(dim=-1, keepdim=True) * main
    return kept.to(negative).reshape(negative.shape)


def optimally_scaled(model: Model) -> Model:
    """The model whose negative noise is first brought as near to the positive's as scaling can."""

    def combine(call: Call, predictions: Predictions, scale: float, inner: Combine) -> Tensor:
        positive, negative = call.x - predictions["positive"], call.x - predictions["negative"]
        best = dot(positive, negative) / dot(negative, negative).clamp(min=TINY)
        return inner({**predictions, "negative": call.x - best * negative}, scale)

    return model.with_hook("guidance.combine", combine)


def agreeing(model: Model) -> Model:
    """Mahiro: the more D⁻ resembles the guided estimate, the more of the latter; else more of scaled D⁺."""

    def after(call: Call, denoised: Tensor, predictions: Predictions, scale: float) -> Tensor:
        leap = predictions["positive"] * scale
        middle = signed_root((leap + denoised) / 2)
        other = signed_root(predictions["negative"] * scale)
        share = (F.cosine_similarity(other, middle, dim=1).mean() + 1) / 2
        return share * denoised + (1 - share) * leap

    after.needs_negative = True  # type: ignore[attr-defined]  # read by `guidance.wants_negative`
    return model.with_hook("guidance.after", after)


def signed_root(x: Tensor) -> Tensor:
    """The root of each number's size, with its sign."""
    return x.abs().sqrt() * x.sign()


def changed_difference(model: Model, change: Operation) -> Model:
    """The model for which `change(latent=…)` is done to D⁺ - D⁻, or to D⁺ where no negative is asked."""

    def before(call: Call, predictions: Predictions) -> Predictions:
        negative = predictions.get("negative")
        if negative is None:
            return {**predictions, "positive": change(latent=predictions["positive"])}
        return {
            **predictions,
            "positive": negative + change(latent=predictions["positive"] - negative),
        }

    return model.with_hook("guidance.before", before)


def frequency_scaled(model: Model, low: float, high: float, reach: int) -> Model:
    """FreSca: coarse and fine structure of the difference weighed apart; without a negative, nothing."""

    def before(call: Call, predictions: Predictions) -> Predictions:
        negative = predictions.get("negative")
        if negative is None:
            return predictions
        difference = scaled_frequencies(predictions["positive"] - negative, low, high, reach)
        return {**predictions, "positive": negative + difference}

    return model.with_hook("guidance.before", before)


def scaled_frequencies(x: Tensor, low: float, high: float, reach: int) -> Tensor:
    """x with its frequencies up to `reach` in each direction times `low`, the others times `high`."""
    spectrum = torch.fft.fftshift(torch.fft.fftn(x.float(), dim=(-2, -1)), dim=(-2, -1))
    factors = torch.full(x.shape[-2:], high, device=x.device)
    row, column = x.shape[-2] // 2, x.shape[-1] // 2
    factors[max(row - reach, 0) : row + reach, max(column - reach, 0) : column + reach] = low
    changed: Tensor = torch.fft.ifftn(
        torch.fft.ifftshift(spectrum * factors, dim=(-2, -1)), dim=(-2, -1)
    ).real
    return changed.to(x.dtype)
