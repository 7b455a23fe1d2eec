"""Control: networks that steer by a picture, with a strength, for a span of the run, one after another.

What is the same for a ControlNet and a T2I adapter. `applied` gives what stands under "control" in a
conditioning's options: the network with its picture, added to controls that were there before.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from diffusion.conditioning import Setting
from diffusion.denoising import Controller, Controlling
from diffusion.errors import Mismatch
from diffusion.images import resize, to_batch
from diffusion.latents.autoencoder import VAE
from diffusion.model import Model
from diffusion.networks.backbone import Control, Inputs
from diffusion.networks.unet import UNetSizes

HINT_SCALE = 8  # pixels of the picture for each place of the latent


class ControlNetwork(Protocol):
    """What travels on CONTROL_NET links: a network that can be given a picture."""

    def applied(
        self, image: Tensor, strength: float, start: float, end: float, previous: Controller | None = None
    ) -> Controller:
        """The network looking at images B×H×W×C during a part of the run (shares 0…1), after others."""


@runtime_checkable
class OfKinds(Protocol):
    """A network that can be told what kind of picture it will see."""

    def with_kind(self, kind: int | None) -> ControlNetwork:
        """Told the number of the kind; None leaves it open."""


@runtime_checkable
class SeesLatents(Protocol):
    """A network that may look at the latent of its picture."""

    def with_vae(self, vae: VAE | None) -> ControlNetwork:
        """Given the VAE that makes it."""


@runtime_checkable
class TakesMask(Protocol):
    """A network that may be told which part of its picture is kept."""

    def masked(self, image: Tensor, kept: Tensor) -> Tensor:
        """The picture B×H×W×C for it to look at; kept B×H×W is 1 where it is not painted anew."""


class Steering(Protocol):
    """A network and its picture in one run."""

    def __call__(self, x: Tensor, timesteps: Tensor, inputs: Inputs, strength: float) -> Control:
        """What it adds in this call; x and `inputs` are the backbone's."""


class Starting(Protocol):
    """A network that can be made ready for a run."""

    def started(self, image: Tensor, setting: Setting) -> Steering:
        """The network looking at pictures B×C×H×W, as this run's model needs it."""


@dataclass(frozen=True, eq=False)
class Applied:
    """A network with its picture (B×C×H×W), before a run."""

    network: Starting
    image: Tensor
    strength: float
    start: float
    end: float
    previous: Controller | None = None

    def for_run(self, setting: Setting) -> Controlling:
        """The control for the model, the size and the clock of this run."""
        return Started(
            self.network.started(self.image, setting),
            self.strength,
            span(setting, self.start, self.end),
            self.previous.for_run(setting) if self.previous else None,
        )


@dataclass(frozen=True, eq=False)
class Started:
    """A control in one run, after others."""

    steering: Steering
    strength: float
    span: tuple[float, float]
    previous: Controlling | None

    def __call__(self, x: Tensor, sigma: Tensor, timesteps: Tensor, inputs: Inputs) -> Control | None:
        """What to add in this call; nothing of its own outside the span."""
        before = self.previous(x, sigma, timesteps, inputs) if self.previous else None
        if not self.span[0] <= sigma[0] <= self.span[1] or self.strength == 0:
            return before
        with torch.no_grad():
            own = self.steering(x, timesteps, inputs, self.strength)
        return own if before is None else joined(before, own)


def span(setting: Setting, start: float, end: float) -> tuple[float, float]:
    """The lowest and the highest sigma between two shares of the run."""
    clock = setting.model.prediction.clock
    return clock.sigma_at(end) if end < 1 else 0.0, clock.sigma_at(start) if start > 0 else math.inf


def fitted(image: Tensor, rows: int, size: tuple[int, int], scale: int = HINT_SCALE) -> Tensor:
    """The picture B×C×H×W for a latent of `rows` and of a size (height, width)."""
    return to_batch(resize(image, size[1] * scale, size[0] * scale, "nearest-exact", "center"), rows)


def in_a_row(given: Sequence[Tensor], depth: int) -> dict[int, Tensor]:
    """By the model's block, each to as many blocks in a row as it takes to reach them all."""
    if not given:
        return {}
    row = -(-depth // len(given))
    return {block: given[block // row] for block in range(depth)}


def joined(first: Control, second: Control) -> Control:
    """Both controls' additions, added."""

    def total(a: Tensor | None, b: Tensor | None) -> Tensor | None:
        return a + b if a is not None and b is not None else a if b is None else b

    def totals(a: dict[int, Tensor], b: dict[int, Tensor]) -> dict[int, Tensor]:
        both = {key: total(a.get(key), b.get(key)) for key in {**a, **b}}
        return {key: each for key, each in both.items() if each is not None}

    return Control(
        totals(dict(first.input), dict(second.input)),
        total(first.middle, second.middle),
        totals(dict(first.skips), dict(second.skips)),
        totals(dict(first.output), dict(second.output)),
    )


def unet_of(model: Model) -> UNetSizes:
    """The sizes of a model's UNet. Mismatch if it has another kind of network."""
    if isinstance(model.sizes, UNetSizes):
        return model.sizes
    problem = f"This control network is made for a UNet, and {model.family.title} has none."
    raise Mismatch(problem, "Choose a control network of the same family.")
