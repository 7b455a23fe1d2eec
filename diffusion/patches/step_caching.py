"""Steps saved where little changes: the network's last answer is used again.

EasyCache, Zhou et al. 2025, https://arxiv.org/abs/2507.02860. With x the network's input and v its output,
the change of v is foretold as that of x times the rate seen last; while what is foretold adds up to less than
a threshold, v is held. (The paper holds v - x, which suits networks whose output follows their input; what
Stable Diffusion predicts, the noise, stays where it is.)
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from diffusion.guidance.guidance import Call
from diffusion.hooks import Hook, Hooks
from diffusion.model import Model
from diffusion.networks.backbone import Inputs
from diffusion.remembering import methods

log = logging.getLogger(__name__)

MOST_STREAMS = 64  # remembered at a time


@dataclass
class Memory:
    """One stream of calls: the last input, the last answer computed, its rate, and x's way since then."""

    x: Tensor | None = None
    v: Tensor | None = None
    rate: float | None = None
    way: float = 0.0

    def answer(self, x: Tensor, compute: Callable[[], Tensor], threshold: float) -> tuple[Tensor, bool]:
        """The output at x, and whether it was saved; below a threshold of 0 nothing ever is."""
        if self.x is None or self.x.shape != x.shape:
            self.v = self.rate = None
        else:
            self.way += size(x - self.x)
        self.x = x
        if self.v is not None and self.error < threshold:
            return self.v, True
        v = compute()
        if self.v is not None and self.way > 0:
            self.rate = size(v - self.v) / self.way
        self.v, self.way = v, 0.0
        return v, False

    @property
    def error(self) -> float:
        """How far, as a share of its size, the answer has moved by now; endless while no rate is known."""
        if self.v is None or self.rate is None:
            return float("inf")
        return self.rate * self.way / max(size(self.v), 1e-12)


def size(x: Tensor) -> float:
    """The mean of what numbers are without their sign."""
    return x.abs().mean().item()


@dataclass(frozen=True)
class Window:
    """When steps may be saved: between two noise levels, below a threshold; `told` says so in the log."""

    threshold: float
    highest: float
    lowest: float
    told: bool = False

    def threshold_at(self, sigma: float) -> float:
        """The threshold at a noise level: 0, at which nothing is saved, outside."""
        return self.threshold if self.lowest <= sigma <= self.highest else 0.0


@dataclass
class Saving:
    """The hooks of one run, with a memory for each stream of calls."""

    window: Window
    memories: dict[Any, tuple[object, Memory]] = field(default_factory=dict)

    def call(
        self,
        call: Mapping[str, Any],
        x: Tensor,
        timesteps: Tensor,
        inputs: Inputs,
        hooks: Hooks,
        predict: Hook,
    ) -> Tensor:
        """Around the backbone: calls with the same texts and the same hooks are a stream."""
        functions = tuple(id(each) for point in hooks for each in hooks[point])
        memory = self._memory((id(inputs.context), functions), inputs.context)

        def compute() -> Tensor:
            found: Tensor = predict(x, timesteps, inputs, hooks)
            return found

        return self._answered(memory, x, compute, call["sigmas"][0].item(), " and ".join(call["names"]))

    def guided(self, call: Call, estimate: Callable[[], Tensor]) -> Tensor:
        """Around the whole guided estimate, on the noise it sees, at the size networks see latents."""
        sigma = call.sigma.to(call.x)
        shown = call.x / (1 + sigma**2).sqrt()
        memory = self._memory("guided", None)
        noise = self._answered(memory, shown, lambda: (call.x - estimate()) / sigma, sigma.item(), "guided")
        return call.x - noise * sigma

    def _memory(self, key: object, owner: object) -> Memory:
        """The memory of a stream; its owner is kept, so that its id stays its own."""
        if key not in self.memories:
            if len(self.memories) >= MOST_STREAMS:
                self.memories.pop(next(iter(self.memories)))
            self.memories[key] = owner, Memory()
        return self.memories[key][1]

    def _answered(
        self, memory: Memory, x: Tensor, compute: Callable[[], Tensor], sigma: float, name: str
    ) -> Tensor:
        v, saved = memory.answer(x, compute, self.window.threshold_at(sigma))
        if self.window.told:
            log.info("sigma %.4f, %s: %s.", sigma, name, "saved" if saved else "computed")
        return v


def easily_cached(model: Model, threshold: float, start: float, end: float, told: bool = False) -> Model:
    """The model that saves calls of its network, from `start` to `end` of the way (0…1)."""
    (call,) = methods(lambda: Saving(window_of(model, threshold, start, end, told)), "call")
    return model.with_hook("backbone.call", call)


def lazily_cached(model: Model, threshold: float, start: float, end: float, told: bool = False) -> Model:
    """The model that saves whole guided estimates, from `start` to `end` of the way (0…1)."""
    (guided,) = methods(lambda: Saving(window_of(model, threshold, start, end, told)), "guided")
    return model.with_hook("guidance.call", guided)


def window_of(model: Model, threshold: float, start: float, end: float, told: bool) -> Window:
    """A window between two shares of the way."""
    clock = model.prediction.clock
    return Window(threshold, clock.sigma_at(start), clock.sigma_at(end), told)
