"""Models with other weights: parts of attention made stronger, and two models mixed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from torch import Tensor

from diffusion.errors import DiffusionError
from diffusion.model import Model
from diffusion.text.encoding import TextEncoder
from diffusion.weights.files import Weights
from diffusion.weights.loading import NO_PATCHES, Patches

Patch = Callable[[Tensor], Tensor]
Ratio = Callable[[str], float]


class UnlikeModels(DiffusionError):
    """Two models of which only parts, or nothing, have the same names and shapes."""


def times(factor: float) -> Patch:
    """A patch that multiplies."""
    return lambda weight: weight * factor


def attention_factors(names: Iterable[str], layer: str, factors: Mapping[str, float]) -> Patches:
    """Patches that multiply the projections of every attention layer called `layer`.

    `factors` is by the projection's name (`to_q`, `to_out.0`); weights and biases are multiplied alike.
    """
    patches = {}
    for name in names:
        head, _, kind = name.rpartition(".")
        for projection, factor in factors.items():
            if kind in ("weight", "bias") and head.endswith(f"{layer}.{projection}"):
                patches[name] = (times(factor),)
    return patches


def mixed(
    own: Weights,
    other: Weights,
    ratio: Ratio,
    other_patches: Patches = NO_PATCHES,
    other_share: Ratio | None = None,
) -> Patches:
    """Patches that make each weight `ratio` of itself plus a share of the other's (default: the rest).

    Raises:
        UnlikeModels: a weight has no partner of the same shape.
    """
    share = other_share or (lambda name: 1.0 - ratio(name))
    for name in own:
        if other.shape(name) != own.shape(name):
            raise UnlikeModels(
                f"{own.path.name} and {other.path.name} are of different kinds ({name} differs); "
                "only models of the same family can be merged."
            )
    return {name: (_mixing(other, name, other_patches, ratio(name), share(name)),) for name in own}


def _mixing(other: Weights, name: str, patches: Patches, ratio: float, share: float) -> Patch:
    def mix(weight: Tensor) -> Tensor:
        theirs = other.tensor(name).to(weight.device, weight.dtype)
        for patch in patches.get(name, ()):
            theirs = patch(theirs)
        return weight * ratio + theirs * share

    return mix


def merged(own: Model, other: Model, ratio: Ratio, other_share: Ratio | None = None) -> Model:
    """`own` with its weights mixed with the other model's, patches of both included.

    Ratios are by the names that the family's own files have for weights.
    """
    parts, name = (own.backbone.weights, other.backbone.weights), own.family.file_name
    share = (lambda each: other_share(name(each))) if other_share is not None else None
    return own.with_patches(mixed(*parts, lambda each: ratio(name(each)), other.weight_patches, share))


def with_more(text: TextEncoder, patches: Mapping[str, Patches]) -> TextEncoder:
    """A text encoder with patches, by tower, applied after those that are there."""
    joined = {key: dict(own) for key, own in text.patches.items()}
    for key, added in patches.items():
        own = joined.setdefault(key, {})
        for name, functions in added.items():
            own[name] = (*own.get(name, ()), *functions)
    return text.with_patches(joined)


def by_prefix(ratios: Mapping[str, float]) -> Ratio:
    """The ratio of the longest prefix that a name starts with; the first of them where none fits."""
    default = next(iter(ratios.values()))

    def ratio(name: str) -> float:
        fitting = [prefix for prefix in ratios if name.startswith(prefix)]
        return ratios[max(fitting, key=len)] if fitting else default

    return ratio
