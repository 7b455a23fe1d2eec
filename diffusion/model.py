"""The model on MODEL links: a backbone, its family, what it predicts, and what changes its predictions.

A `Model` is a value. Every `with_…` gives a new one that shares the weights; nothing is ever patched in
place.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from diffusion.errors import Mismatch
from diffusion.family import Family
from diffusion.hooks import Hook, Hooks
from diffusion.latents.latent_format import LatentFormat
from diffusion.noise.prediction import Prediction
from diffusion.residency.budget import Resident
from diffusion.weights.loading import NO_PATCHES, Patches


@dataclass(frozen=True, eq=False)
class Model:
    """All that a run needs to know of a diffusion model.

    `backbone` is the module that predicts (a `networks.backbone.Backbone`), `sizes` what its family read off
    the file. `weight_patches` change weights by parameter name when they are loaded, `hooks` what is
    computed; `options` is for whoever builds on models: unknown keys pass through, and nothing here reads
    them.
    """

    backbone: Resident[Any]
    family: Family
    sizes: Any
    prediction: Prediction
    latent_format: LatentFormat
    hooks: Hooks = field(default_factory=Hooks)
    weight_patches: Patches = NO_PATCHES
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def latent_formats(self) -> tuple[LatentFormat, ...]:
        """The formats of all latents that are sampled together."""
        return (self.latent_format, *self.family.more_latents)

    def with_hook(self, point: str, *hooks: Hook) -> Model:
        """With functions added last at a point of `hooks.POINTS`. ValueError for an unknown point.

        Mismatch if this model's network has no such point.
        """
        added = self.hooks.adding(point, *hooks)
        self.require([point])
        return replace(self, hooks=added)

    def with_hooks(self, hooks: Hooks) -> Model:
        """With a whole table of hooks added after those that are there. Mismatch as for one."""
        self.require(hooks)
        return replace(self, hooks=self.hooks + hooks)

    def with_prediction(self, prediction: Prediction) -> Model:
        """Trained otherwise, or sampled on another clock."""
        return replace(self, prediction=prediction)

    def with_latent_format(self, latent_format: LatentFormat) -> Model:
        """Of another latent space."""
        return replace(self, latent_format=latent_format)

    def with_patches(self, patches: Patches) -> Model:
        """With changes of weights applied after those that are there."""
        names = {**self.weight_patches, **patches}
        joined = {name: (*self.weight_patches.get(name, ()), *patches.get(name, ())) for name in names}
        return replace(self, weight_patches=joined)

    def with_options(self, **options: Any) -> Model:
        """With notes for others, over those that are there."""
        return replace(self, options={**self.options, **options})

    def require(self, points: Iterable[str]) -> None:
        """Mismatch if this model's network lacks one of these hook points."""
        lacking = [point for point in points if not self.family.has(point)]
        if lacking:
            problem = f"This changes {lacking[0]}, and {self.family.title} has no such place in its network."
            raise Mismatch(problem, "Leave it out, or use it with a model of a family it was made for.")
