"""Changes of weights that come and go during a run: LoRAs and whole models as LoRAs, bound to conditionings.

A `WeightHooks` value travels on HOOKS links and stands under "hooks" in a conditioning's options: wherever
that conditioning is asked, the weights are changed. Keyframes say how strongly, from which share of a run on.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from torch import Tensor

from diffusion.errors import FileProblem
from diffusion.model import Model
from diffusion.noise.clocks import Clock
from diffusion.patches.weights import adapters
from diffusion.patches.weights.adapter_names import model_targets, tower_targets
from diffusion.patches.weights.mixing import with_more
from diffusion.text.encoding import TextEncoder
from diffusion.weights.files import Entry, Weights
from diffusion.weights.loading import Patches

Changing = Callable[[Weights, float], Patches]  # (the weights to change, how strongly) → the patches


class Keyframe(NamedTuple):
    """A factor on the strength, from a share of the run on."""

    strength: float
    start: float


@dataclass(frozen=True, eq=False)
class WeightHook:
    """One change of weights, of the model and of each text tower by its key."""

    model: Callable[[Model, float], Patches]  # (the model, how strongly) → the patches
    text: Callable[[str, Collection[str]], Changing]
    strength_model: float = 1.0
    strength_text: float = 1.0
    keyframes: tuple[Keyframe, ...] = ()

    def factor(self, sigma: float, clock: Clock) -> float:
        """What the last keyframe that has begun says; 1 before the first."""
        begun = [each for each in self.keyframes if clock.sigma_at(each.start) >= sigma]
        return begun[-1].strength if begun else 1.0

    def factor_at(self, share: float) -> float:
        """The same at a share of the run."""
        begun = [each for each in self.keyframes if each.start <= share]
        return begun[-1].strength if begun else 1.0


@dataclass(frozen=True)
class WeightHooks:
    """Several changes at once; equal if they are the same changes."""

    hooks: tuple[WeightHook, ...] = ()

    def __add__(self, other: WeightHooks) -> WeightHooks:
        """Both, each change once."""
        return WeightHooks(tuple(dict.fromkeys((*self.hooks, *other.hooks))))

    def with_keyframes(self, keyframes: tuple[Keyframe, ...]) -> WeightHooks:
        """The same changes on another schedule."""
        return WeightHooks(tuple(replace(hook, keyframes=keyframes) for hook in self.hooks))

    def factors(self, sigma: float, clock: Clock) -> tuple[float, ...]:
        """How strongly each acts at a noise level."""
        return tuple(hook.factor(sigma, clock) for hook in self.hooks)

    def starts(self) -> list[float]:
        """The shares of the run at which something changes, the first 0."""
        return sorted({0.0, *(frame.start for hook in self.hooks for frame in hook.keyframes)})

    def patches(self, model: Model, factors: tuple[float, ...]) -> Iterator[Patches]:
        """The changes of a model's weights, each times its factor."""
        for hook, factor in zip(self.hooks, factors, strict=True):
            if hook.strength_model * factor:
                yield hook.model(model, hook.strength_model * factor)

    def on(self, text: TextEncoder, share: float) -> TextEncoder:
        """A text encoder changed as it is at a share of the run."""
        keys = [each.key for each in text.towers]
        for hook in self.hooks:
            strength = hook.strength_text * hook.factor_at(share)
            if strength:
                changes = {
                    each.key: hook.text(each.key, keys)(each.resident.weights, strength)
                    for each in text.towers
                }
                text = with_more(text, changes)
        return text


class OnText(NamedTuple):
    """What a text encoder carries: hooks, whether its conditionings do too, whether it follows keyframes."""

    hooks: WeightHooks
    on_conditionings: bool
    scheduled: bool


def spans(text: TextEncoder) -> list[tuple[TextEncoder, dict[str, Any]]]:
    """A text encoder as it is in each span of the run, and the options of what it encodes there."""
    carried = text.carried
    if not isinstance(carried, OnText):
        return [(text, {})]
    options: dict[str, Any] = {"hooks": carried.hooks} if carried.on_conditionings else {}
    starts = carried.hooks.starts()
    if not carried.scheduled or len(starts) == 1:
        return [(carried.hooks.on(text, 0.0), options)]
    return [
        (
            carried.hooks.on(text, start),
            {**options, "clip_start_percent": start, "clip_end_percent": end},
        )
        for start, end in zip(starts, [*starts[1:], 1.0], strict=True)
    ]


def lora_hook(weights: Weights, strength_model: float, strength_text: float) -> WeightHook:
    """A LoRA file (or one of its kin) as a change that comes and goes."""

    def model(own: Model, strength: float) -> Patches:
        adapters.require_some(weights, [model_targets(own.family, own.backbone.weights)])
        return adapters.model_patches(weights, own, strength)

    def text(key: str, keys: Collection[str]) -> Changing:
        return lambda own, strength: adapters.patches(weights, tower_targets(key, own, keys), strength)

    return WeightHook(model, text, strength_model, strength_text)


def checkpoint_hook(
    model: Weights, towers: Mapping[str, Weights], strength_model: float, strength_text: float
) -> WeightHook:
    """A whole checkpoint as a change: its difference to the weights it is bound to.

    `model` are its diffusion model's tensors under the network's names, `towers` its text towers by key.
    """

    def text(key: str, keys: Collection[str]) -> Changing:
        other = towers.get(key)
        return lambda own, strength: {} if other is None else towards(own, other, strength)

    return WeightHook(
        lambda own, strength: towards(own.backbone.weights, model, strength),
        text,
        strength_model,
        strength_text,
    )


def towards(own: Weights, other: Weights, strength: float) -> Patches:
    """Patches that add the difference of two files' weights. FileProblem if they have nothing in common."""

    def change(mine: Entry, theirs: Entry) -> Callable[[Tensor], Tensor]:
        return lambda weight: weight + strength * (theirs.read().float() - mine.read().float()).to(weight)

    common = [name for name in own if other.shape(name) == own.shape(name)]
    if not common:
        problem = "It has nothing in common with the model it is bound to."
        raise FileProblem(other.path, problem, "Choose a checkpoint of the same family.")
    return {name: (change(own[name], other[name]),) for name in common}


EASES: Mapping[str, Callable[[float], float]] = {
    "linear": lambda t: t,
    "ease_in": lambda t: t**2,
    "ease_out": lambda t: 1 - (1 - t) ** 2,
    "ease_in_out": lambda t: t**2 * (3 - 2 * t),
}
"""How a value gets from one end to the other."""


def between(start: float, end: float, count: int, ease: str = "linear") -> list[float]:
    """`count` values from one to the other, both included."""
    shares = [number / (count - 1) for number in range(count)] if count > 1 else [0.0]
    return [start + (end - start) * EASES[ease](share) for share in shares]


def together(*groups: tuple[Keyframe, ...] | None) -> tuple[Keyframe, ...]:
    """Keyframes of all groups in order; of two at one place the later group's counts."""
    found = {frame.start: frame for group in groups for frame in group or ()}
    return tuple(found[start] for start in sorted(found))
