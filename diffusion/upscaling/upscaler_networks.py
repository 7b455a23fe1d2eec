"""Networks that enlarge pictures, recognised by the names and shapes of their tensors.

RRDB is the body of ESRGAN and Real-ESRGAN (Wang et al. 2018, https://arxiv.org/abs/1809.00219), `Compact` the
small network of Real-ESRGAN's fast models (Wang et al. 2021, https://arxiv.org/abs/2107.10833). Attribute
names are those of Real-ESRGAN's files; the numbering of ESRGAN and the names of BSRGAN are translated.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import count
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from diffusion.weights.files import Weights

DAMPING = 0.2  # of every residual
OLD_NAMES = (
    (r"^model\.0\.", "conv_first."),
    (r"^model\.1\.sub\.(\d+)\.RDB(\d)\.conv(\d)\.0\.", r"body.\1.rdb\2.conv\3."),
    (r"^model\.1\.sub\.\d+\.(weight|bias)$", r"conv_body.\1"),
    (r"^RRDB_trunk\.(\d+)\.RDB(\d)\.", r"body.\1.rdb\2."),
    (r"^trunk_conv\.", "conv_body."),
    (r"^upconv(\d)\.", r"conv_up\1."),
    (r"^HRconv\.", "conv_hr."),
)
WHOLE = 4  # what sides are mirrored to a multiple of where squares are folded, small squares too
FOLDS = {1: 1, 4: 2, 16: 4}  # input channels for each colour → side of the squares put into them


class Network(NamedTuple):
    """A recognised file: its tensors under our names, how to build the network, how much it enlarges.

    `computes_in` is the only number type that will do; None if any will.
    """

    weights: Weights
    build: Callable[[], nn.Module]
    scale: float
    channels_last: bool = True
    computes_in: torch.dtype | None = None


class Dense(nn.Module):
    """Five convolutions of which each sees all before it."""

    def __init__(self, channels: int, growth: int) -> None:
        super().__init__()
        for number in range(1, 6):
            wide = channels if number == 5 else growth
            seen = channels + (number - 1) * growth
            self.add_module(f"conv{number}", nn.Conv2d(seen, wide, 3, padding=1))

    def forward(self, x: Tensor) -> Tensor:
        seen = [x]
        for number in range(1, 5):
            layer = self.get_submodule(f"conv{number}")
            seen.append(F.leaky_relu(layer(torch.cat(seen, 1)), 0.2))
        out: Tensor = x + DAMPING * self.get_submodule("conv5")(torch.cat(seen, 1))
        return out


class Residual(nn.Module):
    """Three dense blocks around a skip."""

    def __init__(self, channels: int, growth: int) -> None:
        super().__init__()
        self.rdb1, self.rdb2, self.rdb3 = (Dense(channels, growth) for _ in range(3))

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = x + DAMPING * self.rdb3(self.rdb2(self.rdb1(x)))
        return out


class RRDB(nn.Module):
    """Pictures B×3×H×W in 0…1, their `folded`×`folded` squares put into channels, then doubled in size."""

    def __init__(
        self, channels: int, growth: int, blocks: int, doublings: int, folded: int, colours: int
    ) -> None:
        super().__init__()
        self.folded, self.doublings = folded, doublings
        self.conv_first = nn.Conv2d(colours * folded**2, channels, 3, padding=1)
        self.body = nn.Sequential(*(Residual(channels, growth) for _ in range(blocks)))
        self.conv_body = nn.Conv2d(channels, channels, 3, padding=1)
        for number in range(1, doublings + 1):
            self.add_module(f"conv_up{number}", nn.Conv2d(channels, channels, 3, padding=1))
        self.conv_hr = nn.Conv2d(channels, channels, 3, padding=1)
        self.conv_last = nn.Conv2d(channels, colours, 3, padding=1)

    @property
    def scale(self) -> float:
        """How much larger a picture gets."""
        return float(2**self.doublings) / self.folded

    def forward(self, x: Tensor) -> Tensor:
        height, width = (round(side * self.scale) for side in x.shape[2:])
        first = self.conv_first(self._squares(x))
        x = first + self.conv_body(self.body(first))
        for number in range(1, self.doublings + 1):
            x = F.interpolate(x, scale_factor=2, mode="nearest")
            x = F.leaky_relu(self.get_submodule(f"conv_up{number}")(x), 0.2)
        out: Tensor = self.conv_last(F.leaky_relu(self.conv_hr(x), 0.2))
        return out[..., :height, :width]

    def _squares(self, x: Tensor) -> Tensor:
        """The picture's squares as channels, its sides mirrored on to whole ones."""
        if self.folded == 1:
            return x
        down, right = (-side % WHOLE for side in x.shape[2:])
        mode = "reflect" if down < x.shape[2] and right < x.shape[3] else "replicate"
        return F.pixel_unshuffle(F.pad(x, (0, right, 0, down), mode), self.folded)


class Compact(nn.Module):
    """Convolutions at the picture's size, then shuffled to the larger one and added to the picture itself."""

    def __init__(self, colours: int, channels: int, layers: int, scale: int) -> None:
        super().__init__()
        self.scale = scale
        body: list[nn.Module] = [nn.Conv2d(colours, channels, 3, padding=1), nn.PReLU(channels)]
        for _ in range(layers):
            body += [nn.Conv2d(channels, channels, 3, padding=1), nn.PReLU(channels)]
        self.body = nn.Sequential(*body, nn.Conv2d(channels, colours * scale**2, 3, padding=1))

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = F.pixel_shuffle(self.body(x), self.scale)
        return out + F.interpolate(x, scale_factor=float(self.scale), mode="nearest")


def recognised(weights: Weights) -> Network | None:
    """The network of a file whose tensors are not wrapped in anything; None if it is of no known kind."""
    for recognise in (rrdb, compact):
        found = recognise(weights)
        if found is not None:
            return found
    return None


def rrdb(weights: Weights) -> Network | None:
    """ESRGAN, Real-ESRGAN and BSRGAN of any width, depth and scale."""
    weights = weights.having({_new_name(name, weights): weights[name] for name in weights})
    first, growth = weights.shape("conv_first.weight"), weights.shape("body.0.rdb1.conv1.weight")
    last = weights.shape("conv_last.weight")
    if first is None or growth is None or last is None or first[1] // last[0] not in FOLDS:
        return None
    blocks = next(i for i in count() if f"body.{i}.rdb1.conv1.weight" not in weights)
    doublings = next(i for i in count() if f"conv_up{i + 1}.weight" not in weights)
    folded = FOLDS[first[1] // last[0]]

    def build() -> RRDB:
        return RRDB(first[0], growth[0], blocks, doublings, folded, last[0])

    return Network(weights, build, 2**doublings / folded)


def compact(weights: Weights) -> Network | None:
    """Real-ESRGAN's compact networks (realesr-general, realesr-animevideo), all layers ended by a PReLU."""
    first, bend = weights.shape("body.0.weight"), weights.shape("body.1.weight")
    if first is None or bend is None or (len(first), len(bend)) != (4, 1):
        return None
    number = next(i for i in count() if f"body.{i}.weight" not in weights)
    last = weights.shape(f"body.{number - 1}.weight") or first
    scale = round((last[0] / first[1]) ** 0.5)

    def build() -> Compact:
        return Compact(first[1], first[0], (number - 3) // 2, scale)

    return Network(weights, build, scale)


def _new_name(name: str, weights: Weights) -> str:
    """One name of an older file as Real-ESRGAN has it."""
    for pattern, replacement in OLD_NAMES:
        name = re.sub(pattern, replacement, name)
    found = re.match(r"^model\.(\d+)\.(weight|bias)$", name)
    if not found:
        return name
    numbers = sorted(int(key.split(".")[1]) for key in weights if re.match(r"^model\.\d+\.weight$", key))
    place = numbers.index(int(found[1]))  # conv_first, the doublings, conv_hr, conv_last
    tail = len(numbers) - place
    return {1: "conv_last", 2: "conv_hr"}.get(tail, f"conv_up{place}") + f".{found[2]}"
