"""Guidance whose direction is put right before, or instead of, the usual extrapolation.

    APG            Sadat et al. 2024, arXiv 2410.02416
    TCFG           Kwon et al. 2025, arXiv 2503.18137
    CFG-Zero*      Fan et al. 2025, arXiv 2503.18886 (its scale; the first steps are not zeroed)
    FreSca         Huang et al. 2025, arXiv 2504.02154
    Mahiro         guidance that turns towards the positive alone where both agree (a community formula)

D⁺ and D⁻ are the clean estimates with and without the text, x - D the noise they see. Where APG and CFG-Zero*
depart from their papers they are as ComfyUI computes them, so that a workflow gives the same picture here.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from diffusion.guidance.estimates import Predictions
from diffusion.guidance.guidance import Call
from diffusion.model import Model
from diffusion.remembering import methods

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
    part along D⁺, which burns colours out, weighed by `eta`.

    It gives guidance a positive with which D⁻ + scale · (positive - D⁻) is D⁺ + scale · the new difference.
    So ComfyUI computes it; the paper has scale - 1 there.
    """

    eta: float
    longest: float
    momentum: float
    average: Tensor | None = None
    last_sigma: float = math.inf

    def before(self, call: Call, predictions: Predictions) -> Predictions:
        """The positive exchanged, where it is led away from the negative alone."""
        if "negative" not in predictions or "middle" in predictions or not call.scale:
            return predictions
        positive, negative = predictions["positive"], predictions["negative"]
        difference = positive - negative
        changed = self._averaged(difference, call.sigma.item())
        if self.longest > 0:
            changed = changed * (self.longest / norm(changed)).clamp(max=1)
        across, along = split_along(changed, positive)
        changed = across + self.eta * along
        return {**predictions, "positive": negative + changed + difference / call.scale}

    def _averaged(self, difference: Tensor, sigma: float) -> Tensor:
        """The difference and what `momentum` keeps of those before; a rising sigma makes a new start."""
        if sigma > self.last_sigma:
            self.average = None
        self.last_sigma = sigma
        if not self.momentum:
            return difference
        before = 0 if self.average is None else self.momentum * self.average
        self.average = before + difference
        return self.average


def split_along(x: Tensor, direction: Tensor) -> tuple[Tensor, Tensor]:
    """The parts of each row of x across and along a direction, found in double precision."""
    wide, unit = x.double(), direction.double()
    unit = unit / norm(unit).clamp(min=TINY)
    along = dot(wide, unit) * unit
    return (wide - along).to(x), along.to(x)


def projected(model: Model, eta: float, longest: float, momentum: float) -> Model:
    """The model under adaptive projected guidance; `longest` 0 leaves the difference as long as it is."""
    (before,) = methods(lambda: Projecting(eta, longest, momentum), "before")
    return model.with_hook("guidance.before", before)


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
    """The model whose negative is scaled as brings its noise nearest to the positive's.

    The paper measures and scales velocities. As ComfyUI computes it, the scale is measured on noises and
    given to the clean D⁻, in a result that is already guided.
    """

    def after(call: Call, denoised: Tensor, predictions: Predictions, scale: float) -> Tensor:
        clean = predictions.get("negative")
        if clean is None:
            return denoised
        positive, negative = call.x - predictions["positive"], call.x - clean
        best = dot(positive, negative) / (dot(negative, negative) + TINY)
        return denoised + (best - 1) * clean + scale * (1 - best) * clean

    return model.with_hook("guidance.after", after)


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
    """x with its frequencies up to `reach` in each direction times `low`, the others times `high`.

    As ComfyUI computes it the reach ends at half a side: the last frequency of an odd side is always fine.
    """
    spectrum = torch.fft.fftshift(torch.fft.fftn(x.float(), dim=(-2, -1)), dim=(-2, -1))
    factors = torch.full(x.shape[-2:], high, device=x.device)
    row, column = x.shape[-2] // 2, x.shape[-1] // 2
    high_reach, wide_reach = min(reach, row), min(reach, column)
    factors[row - high_reach : row + high_reach, column - wide_reach : column + wide_reach] = low
    changed: Tensor = torch.fft.ifftn(
        torch.fft.ifftshift(spectrum * factors, dim=(-2, -1)), dim=(-2, -1)
    ).real
    return changed.to(x.dtype)
