"""Guidance: clean estimates under several conditionings combined into one denoiser.

A guider names the conditionings it needs and says how their estimates combine; hooks act before, instead of
and after the combination. `Guided` is the denoiser of one run, what samplers call.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from diffusion.conditioning import Conditioning
from diffusion.denoising import NO_HOOKS, Denoising, Parts
from diffusion.hooks import Hooks
from diffusion.model import Model

Estimates = Mapping[str, Tensor]
Mix = Callable[[Tensor, Tensor | None, float], Tensor]  # (positive, negative, scale) → guided, hooks applied


class Guider(Protocol):
    """The value on GUIDER links: a model, its conditionings by name, and how their estimates combine."""

    @property
    def model(self) -> Model:
        """The model all estimates come from."""

    @property
    def conditionings(self) -> Mapping[str, Conditioning]:
        """By name; "positive" is what is wanted, "negative" what guidance leads away from."""

    @property
    def scale(self) -> float:
        """How strongly the positive is led away from the negative; 1 where it is not."""

    def needs(self) -> frozenset[str]:
        """The names without which the combination cannot be made."""

    def guided(self, estimates: Estimates, mix: Mix) -> Tensor:
        """The guided estimate; `mix` is classifier-free guidance with the model's hooks around it."""


@dataclass(frozen=True, eq=False)
class BasicGuider:
    """No guidance: the estimate under one conditioning (distilled models)."""

    model: Model
    positive: Conditioning

    @property
    def conditionings(self) -> Mapping[str, Conditioning]:
        return {"positive": self.positive}

    @property
    def scale(self) -> float:
        return 1.0

    def needs(self) -> frozenset[str]:
        return frozenset({"positive"})

    def guided(self, estimates: Estimates, mix: Mix) -> Tensor:
        return mix(estimates["positive"], None, 1.0)


@dataclass(frozen=True, eq=False)
class CFGGuider:
    """Classifier-free guidance (Ho & Salimans 2022, 2207.12598); at scale 1 the negative is not asked."""

    model: Model
    positive: Conditioning
    negative: Conditioning
    scale: float = 8.0

    @property
    def conditionings(self) -> Mapping[str, Conditioning]:
        return {"positive": self.positive, "negative": self.negative}

    def needs(self) -> frozenset[str]:
        return frozenset({"positive"} if math.isclose(self.scale, 1.0) else {"positive", "negative"})

    def guided(self, estimates: Estimates, mix: Mix) -> Tensor:
        return mix(estimates["positive"], estimates.get("negative"), self.scale)


@dataclass(frozen=True, eq=False)
class DualCFGGuider:
    """Two conditionings guided apart, as InstructPix2Pix does for text and picture (arXiv 2211.09800).

    `scale` leads from the middle to the positive, `middle_scale` from the negative to the middle. Nested, the
    result of the first takes the place of the middle in the second.
    """

    model: Model
    positive: Conditioning
    middle: Conditioning
    negative: Conditioning
    scale: float = 8.0
    middle_scale: float = 8.0
    nested: bool = False

    @property
    def conditionings(self) -> Mapping[str, Conditioning]:
        return {"negative": self.negative, "middle": self.middle, "positive": self.positive}

    def needs(self) -> frozenset[str]:
        return frozenset(self.conditionings)

    def guided(self, estimates: Estimates, mix: Mix) -> Tensor:
        positive, middle, negative = (estimates[name] for name in ("positive", "middle", "negative"))
        if self.nested:
            return mix(mix(positive, middle, self.scale), negative, self.middle_scale)
        return mix(middle, negative, self.middle_scale) + (positive - middle) * self.scale


@dataclass(frozen=True, eq=False)
class PerpNegGuider:
    """Perp-Neg (Armandpour et al. 2023, 2304.04968): avoids only what is perpendicular to the positive."""

    model: Model
    positive: Conditioning
    negative: Conditioning
    empty: Conditioning
    scale: float = 8.0
    negative_scale: float = 1.0

    @property
    def conditionings(self) -> Mapping[str, Conditioning]:
        return {"positive": self.positive, "negative": self.negative, "empty": self.empty}

    def needs(self) -> frozenset[str]:
        return frozenset(self.conditionings)

    def guided(self, estimates: Estimates, mix: Mix) -> Tensor:
        positive, negative, empty = (estimates[name] for name in ("positive", "negative", "empty"))
        return mix(perp_neg(positive, negative, empty, self.negative_scale, self.scale), None, 1.0)


def classifier_free(positive: Tensor, negative: Tensor | None, scale: float) -> Tensor:
    """negative + scale · (positive - negative)."""
    return positive if negative is None else negative + (positive - negative) * scale


def perp_neg(
    positive: Tensor, negative: Tensor, empty: Tensor, negative_scale: float, scale: float
) -> Tensor:
    """Equation 8: the negative direction without its part along the positive one."""
    towards, away = positive - empty, negative - empty
    along = (away * towards).sum() / towards.square().sum() * towards
    return empty + scale * (towards - negative_scale * (away - along))


@dataclass(frozen=True, eq=False)
class Call:
    """What guidance hooks are told: where the run stands, and how to ask the model for more.

    x [B, C, H, W] is the noisy latent at scalar sigma; `schedule` are the run's sigmas, `scale` is the
    guider's.
    """

    x: Tensor
    sigma: Tensor
    denoising: Denoising
    parts: Mapping[str, Parts]
    scale: float = 1.0

    @property
    def model(self) -> Model:
        return self.denoising.setting.model

    @property
    def step(self) -> int:
        return self.denoising.step

    @property
    def schedule(self) -> Tensor:
        return self.denoising.schedule

    def estimate(
        self, conditioning: str | Conditioning, hooks: Hooks = NO_HOOKS, x: Tensor | None = None
    ) -> Tensor:
        """The clean estimate under one of the run's conditionings by name, or another, with more hooks."""
        name = conditioning if isinstance(conditioning, str) else "extra"
        parts = (
            self.parts[name] if isinstance(conditioning, str) else self.denoising.prepared(name, conditioning)
        )
        return self.denoising.estimates(self.x if x is None else x, self.sigma, {name: parts}, hooks)[name]


class Guided:
    """The denoiser of one run: (x, sigma) → the guided clean estimate."""

    def __init__(self, guider: Guider, denoising: Denoising, parts: Mapping[str, Parts]) -> None:
        self.guider, self.denoising, self.parts = guider, denoising, parts

    def __call__(self, x: Tensor, sigma: Tensor) -> Tensor:
        needs = self.guider.needs()
        hooks = self.denoising.hooks
        if hooks["guidance.combine"] or any(wants_negative(hook) for hook in hooks["guidance.after"]):
            needs |= {"negative"}
        call = Call(x, sigma, self.denoising, self.parts, self.guider.scale)
        denoised: Tensor = hooks.wrap("guidance.call", call, lambda: self._guided(x, sigma, needs)[0])()
        return denoised

    def pair(self, x: Tensor, sigma: Tensor) -> tuple[Tensor, Tensor]:
        """The guided estimate and the negative one (the positive if there is no other)."""
        guided, estimates = self._guided(x, sigma, self.guider.needs() | {"negative"})
        return guided, estimates.get("negative", estimates["positive"])

    def _guided(self, x: Tensor, sigma: Tensor, names: frozenset[str]) -> tuple[Tensor, Estimates]:
        hooks = self.denoising.hooks
        call = Call(x, sigma, self.denoising, self.parts, self.guider.scale)
        wanted = {name: parts for name, parts in self.parts.items() if name in names}
        with torch.no_grad():
            estimates: Estimates = self.denoising.estimates(x, sigma, wanted)
            estimates = hooks.change("guidance.before", call, estimates)
            return self.guider.guided(estimates, self._mix(call, estimates)), estimates

    def _mix(self, call: Call, estimates: Estimates) -> Mix:
        hooks = self.denoising.hooks

        def combine(predictions: Estimates, scale: float) -> Tensor:
            return classifier_free(predictions["positive"], predictions.get("negative"), scale)

        combined = hooks.wrap("guidance.combine", call, combine)

        def mix(positive: Tensor, negative: Tensor | None, scale: float) -> Tensor:
            predictions = {**estimates, "positive": positive}
            if negative is not None:
                predictions["negative"] = negative
            guided: Tensor = combined(predictions, scale)
            for hook in hooks["guidance.after"]:
                guided = hook(call, guided, predictions, scale)
            return guided

        return mix


def wants_negative(hook: object) -> bool:
    """Whether a hook says by an attribute `needs_negative` that it wants the negative at scale 1 too."""
    return bool(getattr(hook, "needs_negative", False))
