"""Networks that enlarge pictures: RRDB, the body of ESRGAN and Real-ESRGAN (Wang et al. 2018, 1809.00219).

Attribute names are those of Real-ESRGAN's files; the older numbering of ESRGAN's is translated.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from diffusion.catalogue import unknown
from diffusion.loading import Check, never
from diffusion.residency import Residency, Resident
from diffusion.tiling import in_tiles
from diffusion.weights import Entry, Weights, open_weights

TILE = 512  # pixels of a side, as long as memory allows
SMALLEST_TILE = 128
OVERLAP = 32
DAMPING = 0.2  # of every residual
OLD_NAMES = (
    (r"^model\.0\.", "conv_first."),
    (r"^model\.1\.sub\.(\d+)\.RDB(\d)\.conv(\d)\.0\.", r"body.\1.rdb\2.conv\3."),
    (r"^model\.1\.sub\.\d+\.(weight|bias)$", r"conv_body.\1"),
)


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
        first = self.conv_first(F.pixel_unshuffle(x, self.folded) if self.folded > 1 else x)
        x = first + self.conv_body(self.body(first))
        for number in range(1, self.doublings + 1):
            x = F.interpolate(x, scale_factor=2, mode="nearest")
            x = F.leaky_relu(self.get_submodule(f"conv_up{number}")(x), 0.2)
        out: Tensor = self.conv_last(F.leaky_relu(self.conv_hr(x), 0.2))
        return out


@dataclass(frozen=True, eq=False)
class Upscaler:
    """An upscaling network on a link."""

    resident: Resident[RRDB]
    scale: float

    def enlarged(self, image: Tensor, check: Check = never) -> Tensor:
        """Pictures B×H×W×3 enlarged, in tiles; smaller ones where memory runs out."""
        tiles = [TILE >> step for step in range(8) if TILE >> step >= SMALLEST_TILE]
        ways = [lambda tile=tile: self._in_tiles(image, tile, check) for tile in tiles]
        return self.resident.residency.attempt(*ways, doing="enlarging a picture")

    def _in_tiles(self, image: Tensor, tile: int, check: Check) -> Tensor:
        device, dtype = self.resident.device, self.resident.dtype
        with self.resident.use(check=check) as module, torch.no_grad():

            def compute(x: Tensor) -> Tensor:
                larger: Tensor = module(x.to(device, dtype))
                return larger.float().cpu()

            rows = [each[None].movedim(-1, 1) for each in image[..., :3]]
            parts = [in_tiles(row, compute, (tile, tile), OVERLAP, self.scale, check) for row in rows]
        return torch.cat(parts).movedim(1, -1).clamp(0, 1)


def load_upscaler(path: Path | str, residency: Residency | None = None) -> Upscaler:
    """The upscaling network of a file. UnknownModel if it is of another kind."""
    weights = rrdb_weights(open_weights(path))
    first, growth = weights.shape("conv_first.weight"), weights.shape("body.0.rdb1.conv1.weight")
    last = weights.shape("conv_last.weight")
    if first is None or growth is None or last is None:
        raise unknown(weights, "It is no ESRGAN upscaler: conv_first.weight or body.0.rdb1 is missing")
    blocks = next(i for i in count() if f"body.{i}.rdb1.conv1.weight" not in weights)
    doublings = next(i for i in count() if f"conv_up{i + 1}.weight" not in weights)
    folded = {1: 1, 4: 2, 16: 4}[first[1] // last[0]]

    def build() -> RRDB:
        return RRDB(first[0], growth[0], blocks, doublings, folded, last[0])

    status = weights.path.stat()
    identity = (str(weights.path.resolve()), status.st_mtime_ns, status.st_size, "upscaler")
    resident = Resident(residency or Residency(), "upscaler", weights, build, identity, channels_last=True)
    return Upscaler(resident, 2**doublings / folded)


def rrdb_weights(weights: Weights) -> Weights:
    """The tensors under Real-ESRGAN's names, out of whatever wraps them."""
    for prefix in ("params_ema.", "params.", "module.", ""):
        inner = weights.under(prefix)
        if "conv_first.weight" in inner or "model.0.weight" in inner:
            return inner.having({_new_name(name, inner): halved(inner[name]) for name in inner})
    return weights


def halved(entry: Entry) -> Entry:
    """A weight rounded to half precision; the reference's recorded pictures show that its weights were."""
    return entry.taking(entry.shape, lambda weight: weight.half().float())


def _new_name(name: str, weights: Weights) -> str:
    """One name of an old ESRGAN file as Real-ESRGAN has it."""
    for pattern, replacement in OLD_NAMES:
        name = re.sub(pattern, replacement, name)
    found = re.match(r"^model\.(\d+)\.(weight|bias)$", name)
    if not found:
        return name
    numbers = sorted(int(key.split(".")[1]) for key in weights if re.match(r"^model\.\d+\.weight$", key))
    place = numbers.index(int(found[1]))  # conv_first, the doublings, conv_hr, conv_last
    tail = len(numbers) - place
    return {1: "conv_last", 2: "conv_hr"}.get(tail, f"conv_up{place}") + f".{found[2]}"
