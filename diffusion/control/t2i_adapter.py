"""T2I adapters: a small network beside the UNet that sees a picture once a run (Mou et al. 2023, 2302.08453).

Full, light and XL adapters differ in their blocks and in where the size is halved, as the file shows.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from torch import Tensor, nn
from torch.nn import functional as F

from diffusion.conditioning import Setting
from diffusion.control.chain import Applied, fitted, unet_of
from diffusion.denoising import Controller
from diffusion.networks.backbone import Control, Inputs
from diffusion.networks.unet import UNetSizes
from diffusion.residency.budget import Residency, Resident
from diffusion.weights.files import Weights, identity
from diffusion.weights.kinds import unknown

LEVEL_BLOCKS = 2  # of a full adapter, which the original layout numbers through
FOLDS: Mapping[int, tuple[int, int]] = {64: (1, 8), 192: (3, 8), 256: (1, 16), 768: (3, 16)}
"""Channels of the folded picture → those of the picture, and the pixels of a fold's side."""


@dataclass(frozen=True)
class LevelSizes:
    """One level: channels in and out, how many blocks, whether it is entered by a convolution and halved."""

    channels: int
    wide: int
    blocks: int
    enters: bool
    light: bool
    halves: bool


@dataclass(frozen=True)
class AdapterSizes:
    """All levels, from the finest; `folded` channels of the picture enter them, or `first` ones before."""

    folded: int
    first: int | None
    levels: tuple[LevelSizes, ...]


class AdapterBlock(nn.Module):
    """Two convolutions around a skip."""

    def __init__(self, channels: int, last: int) -> None:
        super().__init__()
        self.block1 = nn.Conv2d(channels, channels, 3, padding=1)
        self.block2 = nn.Conv2d(channels, channels, last, padding=last // 2)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = x + self.block2(F.relu(self.block1(x)))
        return out


class Level(nn.Module):
    """The blocks of one level; a light one works on a quarter of its channels."""

    def __init__(self, sizes: LevelSizes) -> None:
        super().__init__()
        self.halves = sizes.halves
        inner = sizes.wide // 4 if sizes.light else sizes.wide
        self.in_conv = nn.Conv2d(sizes.channels, inner, 1) if sizes.enters else nn.Identity()
        blocks = [AdapterBlock(inner, 3 if sizes.light else 1) for _ in range(sizes.blocks)]
        self.resnets = nn.Sequential(*blocks)
        self.out_conv = nn.Conv2d(inner, sizes.wide, 1) if sizes.light else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        x = F.avg_pool2d(x, 2, ceil_mode=True) if self.halves else x
        out: Tensor = self.out_conv(self.resnets(self.in_conv(x)))
        return out


class AdapterNet(nn.Module):
    """The picture [B, C, H, W] in 0…1 becomes features, one a level."""

    def __init__(self, sizes: AdapterSizes) -> None:
        super().__init__()
        self.channels, self.fold = FOLDS[sizes.folded]
        first = sizes.first
        self.conv_in = nn.Conv2d(sizes.folded, first, 3, padding=1) if first is not None else nn.Identity()
        self.body = nn.ModuleList(Level(each) for each in sizes.levels)

    def forward(self, picture: Tensor) -> list[Tensor]:
        if self.channels == 1:
            picture = picture.mean(dim=1, keepdim=True)
        x, features = self.conv_in(F.pixel_unshuffle(picture, self.fold)), []
        for level in self.body:
            x = level(x)
            features.append(x)
        return features


@dataclass(frozen=True, eq=False)
class T2IAdapter:
    """An adapter on a link."""

    resident: Resident[AdapterNet]

    def applied(
        self, image: Tensor, strength: float, start: float, end: float, previous: Controller | None = None
    ) -> Controller:
        """The network looking at images B×H×W×C during a part of the run (shares 0…1), after others."""
        return Applied(self, image[..., :3].movedim(-1, 1), strength, start, end, previous)

    def started(self, image: Tensor, setting: Setting) -> Looking:
        """The adapter looking at pictures B×3×H×W, with the places of this run's model."""
        return Looking(self.resident, image, len(setting.latent), unet_of(setting.model))


@dataclass(eq=False)
class Looking:
    """An adapter in one run: its features stay the same from step to step, and are kept by size."""

    resident: Resident[AdapterNet]
    image: Tensor
    rows: int
    sizes: UNetSizes
    made: dict[tuple[int, int], list[Tensor]] = field(default_factory=dict)

    def __call__(self, x: Tensor, timesteps: Tensor, inputs: Inputs, strength: float) -> Control:
        """The features, `strength` times, where the run's model takes them."""
        parts = len(x) // self.rows
        features = self._features((x.shape[2], x.shape[3]))
        return placed([each.repeat(parts, 1, 1, 1) * strength for each in features], self.sizes)

    def _features(self, size: tuple[int, int]) -> list[Tensor]:
        if size not in self.made:
            with self.resident.use() as module:
                even = tuple(side + side * 8 % module.fold // 8 for side in size)
                picture = fitted(self.image, self.rows, (even[0], even[1]))
                self.made[size] = module(picture.to(self.resident.device, self.resident.dtype))
        return self.made[size]


def placed(features: Sequence[Tensor], sizes: UNetSizes) -> Control:
    """Features where they are added: a level's last block with attention, or its halving; then the middle."""
    inputs: dict[int, Tensor] = {}
    middle: Tensor | None = None
    places = levels(sizes)
    for number, feature in enumerate(features):
        if number < len(places):
            inputs[places[number]] = feature
        else:
            middle = feature
    return Control(input=inputs, middle=middle)


def levels(sizes: UNetSizes) -> list[int]:
    """The input block of each level after which an adapter's feature is added."""
    places, block, depths = [], 0, iter(sizes.input_depths)
    for level, blocks in enumerate(sizes.blocks):
        own = [next(depths) for _ in range(blocks)]
        block += blocks
        is_last = level == len(sizes.blocks) - 1
        places.append(block if any(own) or is_last else block + 1)
        block += 0 if is_last else 1
    return places


def adapter_weights(weights: Weights) -> Weights | None:
    """The tensors of an adapter in diffusers' names; None if it is none."""
    for prefix in ("adapter.", ""):
        inner = weights.under(prefix)
        if "body.0.resnets.0.block1.weight" in inner:
            return inner
        if "body.0.body.0.block1.weight" in inner:
            return inner.having({re.sub(r"^(body\.\d+)\.body\.", r"\1.resnets.", n): inner[n] for n in inner})
        if "body.0.block1.weight" in inner:
            return inner.having({_level_name(name): inner[name] for name in inner})
    return None


def _level_name(name: str) -> str:
    """A name of the original full adapter, whose blocks are numbered through, by level."""
    found = re.match(r"^body\.(\d+)\.(block\d|in_conv)\.(.*)$", name)
    if not found:
        return name
    level, block = divmod(int(found[1]), LEVEL_BLOCKS)
    inner = "in_conv" if found[2] == "in_conv" else f"resnets.{block}.{found[2]}"
    return f"body.{level}.{inner}.{found[3]}"


def adapter_from(weights: Weights, residency: Residency) -> T2IAdapter:
    """The adapter of tensors in diffusers' names. UnknownModel if its sizes are of none."""
    sizes = adapter_sizes(weights)
    of = identity(weights, "t2i")
    return T2IAdapter(Resident(residency, "control", weights, lambda: AdapterNet(sizes), of))


def adapter_sizes(weights: Weights) -> AdapterSizes:
    """The sizes of an adapter read off its tensors. UnknownModel if they fit none."""
    first = weights.shape("conv_in.weight")
    entry = first or weights.shape("body.0.in_conv.weight")
    if entry is None or entry[1] not in FOLDS:
        raise unknown(weights, "Its T2I adapter takes no picture of one or three channels")
    large = FOLDS[entry[1]][1] == 16
    found, channels = [], first[0] if first else entry[1]
    for level in range(len({name.split(".")[1] for name in weights if name.startswith("body.")})):
        prefix = f"body.{level}."
        inner = weights.under(f"{prefix}resnets.")
        block, out = inner.shape("0.block1.weight"), weights.shape(f"{prefix}out_conv.weight")
        if block is None:
            raise unknown(weights, f"Its T2I adapter misses {prefix}resnets.0.block1.weight")
        wide, blocks = (out or block)[0], len({name.split(".")[0] for name in inner})
        enters, halves = f"{prefix}in_conv.weight" in weights, level == 2 if large else level > 0
        found.append(LevelSizes(channels, wide, blocks, enters, out is not None, halves))
        channels = wide
    return AdapterSizes(entry[1], first[0] if first else None, tuple(found))
