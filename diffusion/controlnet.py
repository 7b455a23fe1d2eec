"""ControlNet: a copy of the UNet's way down that sees a picture and adds to the skips.

Zhang et al. 2023, https://arxiv.org/abs/2302.05543.

A `ControlNet` value is what travels on links; `applied` gives what stands under "control" in a conditioning's
options: the network with its picture, strength and span of the run, added to controls that were there before.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from itertools import count
from typing import Protocol

import torch
from torch import Tensor, nn

from diffusion.blocks import timestep_embedding
from diffusion.conditioning import Setting
from diffusion.control_union import Union, UnionSizes
from diffusion.denoising import Controller, Controlling
from diffusion.hooks import Hooks
from diffusion.images import resize, to_batch
from diffusion.loading import NO_PATCHES, Patches
from diffusion.model import Model
from diffusion.residency import Resident
from diffusion.transformer import Visit
from diffusion.unet import Control, UNetSizes, input_blocks, label_embedding, middle_block

HINT_SCALE = 8  # pixels of the picture for each place of the latent


class ControlUNet(nn.Module):
    """The network; `hint_convolutions` are the (channels in, channels out) of those that read the picture.

    With `union` it was trained on several kinds of pictures and is told which it sees.
    """

    def __init__(
        self, sizes: UNetSizes, hint_convolutions: list[tuple[int, int]], union: UnionSizes | None = None
    ) -> None:
        super().__init__()
        self.sizes = sizes
        width, serial = sizes.channels * 4, count()
        self.time_embed = nn.Sequential(nn.Linear(sizes.channels, width), nn.SiLU(), nn.Linear(width, width))
        label = label_embedding(sizes, width)
        if label is not None:
            self.label_emb = label
        self.input_hint_block = hint_block(hint_convolutions)
        blocks, channels = input_blocks(sizes, serial)
        self.input_blocks = nn.ModuleList(blocks)
        self.zero_convs = nn.ModuleList(nn.Sequential(nn.Conv2d(each, each, 1)) for each in channels)
        middle = middle_block(sizes, serial)
        if middle is not None:
            self.middle_block = middle
        self.middle_block_out = nn.Sequential(nn.Conv2d(channels[-1], channels[-1], 1))
        self.union = Union(union, width) if union is not None else None

    def forward(
        self,
        x: Tensor,
        seen: Tensor,
        timesteps: Tensor,
        context: Tensor,
        y: Tensor | None = None,
        kind: int | None = None,
    ) -> tuple[list[Tensor], Tensor]:
        """What to add to each skip, and to the middle.

        x [B, in, h, w], timesteps [B], context [B, M, K], y [B, vector]; `seen` [B, C, h, w] is what
        `input_hint_block` made of the picture. `kind` is that of the picture, for networks of several.
        """
        dtype = seen.dtype
        visit = Visit(Hooks(), {}, (x.shape[2], x.shape[3]))
        emb = self.time_embed(timestep_embedding(timesteps, self.sizes.channels).to(dtype))
        if y is not None and hasattr(self, "label_emb"):
            emb = emb + self.label_emb(y.to(dtype))
        if self.union is not None:
            emb = emb + self.union.embedded(kind, len(x))
        h, context = x.to(dtype), context.to(dtype)
        skips = []
        for index, (block, zero) in enumerate(zip(self.input_blocks, self.zero_convs, strict=True)):
            h = block(h, emb, context, visit)
            if index == 0:
                h = h + seen if self.union is None else self.union.joined(h, seen, kind)
            skips.append(zero(h))
        if hasattr(self, "middle_block"):
            h = self.middle_block(h, emb, context, visit)
        return skips, self.middle_block_out(h)


def hint_block(convolutions: list[tuple[int, int]]) -> nn.Sequential:
    """Convolutions with SiLU between them; one that widens, but the first and last, halves the size."""
    layers: list[nn.Module] = []
    last = len(convolutions) - 1
    for index, (channels, wider) in enumerate(convolutions):
        stride = 2 if wider != channels and 0 < index < last else 1
        layers += [nn.Conv2d(channels, wider, 3, padding=1, stride=stride), nn.SiLU()]
    return nn.Sequential(*layers[:-1])


class ControlNetwork(Protocol):
    """What travels on CONTROL_NET links: a network that can be given a picture."""

    def applied(
        self, image: Tensor, strength: float, start: float, end: float, previous: Controller | None = None
    ) -> Controller:
        """The network looking at images B×H×W×C during a part of the run (shares 0…1), after others."""


@dataclass(frozen=True, eq=False)
class ControlNet:
    """A control network on a link.

    `network` gives its module for a model, from which some take a part of their weights; with `borrows` the
    model's patches of them act here too. `kind` is that of the picture, for networks of several; None leaves
    it open. `channels` are those of the picture; a fourth says where it is to be painted.
    """

    network: Callable[[Model], Resident[ControlUNet]]
    kind: int | None = None
    channels: int = 3
    borrows: bool = False

    def with_kind(self, kind: int | None) -> ControlNet:
        """Told what kind of picture it will see."""
        return replace(self, kind=kind)

    def applied(
        self, image: Tensor, strength: float, start: float, end: float, previous: Controller | None = None
    ) -> Controller:
        """The network looking at images B×H×W×C during a part of the run (shares 0…1), after others."""
        picture = image[..., : self.channels].movedim(-1, 1)
        return Applied(self, picture, strength, start, end, previous)


@dataclass(frozen=True, eq=False)
class Applied:
    """A control network with its picture (B×3×H×W), before a run."""

    network: ControlNet
    image: Tensor
    strength: float
    start: float
    end: float
    previous: Controller | None = None

    def for_run(self, setting: Setting) -> Controlling:
        """The control with its network as this run's model needs it."""
        patches = setting.model.weight_patches if self.network.borrows else NO_PATCHES
        return Started(
            self,
            self.network.network(setting.model),
            patches,
            len(setting.latent),
            span(setting, self.start, self.end),
            self.previous.for_run(setting) if self.previous else None,
        )


def span(setting: Setting, start: float, end: float) -> tuple[float, float]:
    """The lowest and the highest sigma between two shares of the run."""
    clock = setting.model.prediction.clock
    return clock.sigma_at(end) if end < 1 else 0.0, clock.sigma_at(start) if start > 0 else math.inf


def fitted(image: Tensor, rows: int, size: tuple[int, int], scale: int = HINT_SCALE) -> Tensor:
    """The picture B×C×H×W for a latent of `rows` and of a size (height, width)."""
    return to_batch(resize(image, size[1] * scale, size[0] * scale, "nearest-exact", "center"), rows)


@dataclass(eq=False)
class Started:
    """A control in one run; what its network made of the picture is kept by the size it was asked for."""

    applied: Applied
    resident: Resident[ControlUNet]
    patches: Patches
    rows: int
    span: tuple[float, float]
    previous: Controlling | None
    seen: dict[tuple[int, int], Tensor] = field(default_factory=dict)

    def __call__(
        self, x: Tensor, sigma: Tensor, timesteps: Tensor, context: Tensor, y: Tensor | None
    ) -> Control | None:
        """What to add in this call; nothing outside the span."""
        before = self.previous(x, sigma, timesteps, context, y) if self.previous else None
        if not self.span[0] <= sigma[0] <= self.span[1] or self.applied.strength == 0:
            return before
        with self.resident.use(self.patches) as module, torch.no_grad():
            seen = self._seen(module, (x.shape[2], x.shape[3]))
            rows, parts = x[:, : module.sizes.in_channels], len(x) // len(seen)
            kind = self.applied.network.kind
            skips, middle = module(rows, seen.repeat(parts, 1, 1, 1), timesteps, context, y, kind)
        strength = self.applied.strength
        own = Control(middle=middle * strength, skips={i: each * strength for i, each in enumerate(skips)})
        return own if before is None else joined(before, own)

    def _seen(self, module: ControlUNet, size: tuple[int, int]) -> Tensor:
        if size not in self.seen:
            hint = fitted(self.applied.image, self.rows, size).to(self.resident.device, self.resident.dtype)
            self.seen[size] = module.input_hint_block(hint)
        return self.seen[size]


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
    )
