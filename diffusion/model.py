"""The model on MODEL links: a backbone, what it predicts, and what changes its predictions.

A `Model` is a value. Every `with_…` gives a new one that shares the weights; nothing is ever patched in
place.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from diffusion.families.picture_conditions import CameraProjection
from diffusion.families.unclip import ImageNoise
from diffusion.hooks import Hook, Hooks
from diffusion.latents.latent_format import LatentFormat
from diffusion.networks.unet import UNet
from diffusion.noise.prediction import Prediction
from diffusion.residency.budget import Resident
from diffusion.weights.loading import NO_PATCHES, Patches


@dataclass(frozen=True, eq=False)
class Model:
    """All that a run needs to know of a diffusion model.

    `vector` names how pooled text and sizes become the UNet's y (`conditioning.VECTORS`; None: no y).
    `concat` names what is joined to the latent as extra input channels (`conditioning.CHANNELS`).
    `image_noise` is how a model that follows pictures (unCLIP) wants their embeddings noised.
    `camera` is how a model that turns things (Zero123) is told from where to look.
    `weight_patches` change weights by parameter name when they are loaded, `hooks` what is computed;
    `options` is for whoever builds on models: unknown keys pass through, and nothing here reads them.
    """

    backbone: Resident[UNet]
    prediction: Prediction
    latent_format: LatentFormat
    vector: str | None = None
    concat: tuple[str, ...] = ()
    image_noise: ImageNoise | None = None
    camera: CameraProjection | None = None
    hooks: Hooks = field(default_factory=Hooks)
    weight_patches: Patches = NO_PATCHES
    options: Mapping[str, Any] = field(default_factory=dict)

    def with_hook(self, point: str, *hooks: Hook) -> Model:
        """With functions added last at a point of `hooks.POINTS`. ValueError for an unknown point."""
        return replace(self, hooks=self.hooks.adding(point, *hooks))

    def with_hooks(self, hooks: Hooks) -> Model:
        """With a whole table of hooks added after those that are there."""
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
