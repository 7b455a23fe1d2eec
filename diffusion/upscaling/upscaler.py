"""Pictures enlarged by a network of a file, in tiles that fade into each other."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from diffusion.errors import FileProblem, UnknownModel
from diffusion.latents.tiling import in_tiles
from diffusion.residency.budget import Residency, Resident
from diffusion.upscaling.foreign_upscalers import Unavailable, Unsuitable, foreign
from diffusion.upscaling.upscaler_networks import Network, recognised
from diffusion.weights.files import Entry, Weights, identity, open_weights
from diffusion.weights.kinds import unknown
from diffusion.weights.loading import Check, build_empty, never

TILE = 512  # pixels of a side, as long as memory allows
SMALLEST_TILE = 128
OVERLAP = 32
WRAPPINGS = ("params_ema.", "params.", "module.", "")
KNOWN = "known: ESRGAN, Real-ESRGAN and BSRGAN (RRDB), and Real-ESRGAN's compact networks"


@dataclass(frozen=True, eq=False)
class Upscaler:
    """An upscaling network on a link."""

    resident: Resident[nn.Module]
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
    network = network_of(open_weights(path))
    weights = network.weights
    resident = Resident(
        residency or Residency(),
        "upscaler",
        weights,
        network.build,
        identity(weights, "upscaler"),
        channels_last=network.channels_last,
        override=network.computes_in,
    )
    return Upscaler(resident, network.scale)


def network_of(weights: Weights) -> Network:
    """The network of a file, out of whatever wraps it. UnknownModel if neither we nor spandrel know it."""
    try:
        return own(weights)
    except UnknownModel as error:
        try:
            return foreign(weights)
        except (Unavailable, Unsuitable) as further:
            raise UnknownModel(weights.path, f"{error.found}; {further}.", (), error.advice) from error
    except FileProblem as error:
        try:
            return foreign(weights)
        except (Unavailable, Unsuitable):
            raise error from None


def own(weights: Weights) -> Network:
    """The network of a file of a kind of our own. UnknownModel if tensors are left over."""
    for prefix in WRAPPINGS:
        inner = weights.under(prefix)
        network = recognised(inner.having({name: halved(inner[name]) for name in inner}))
        if network is None:
            continue
        extra = network.weights.keys() - build_empty(network.build, network.weights).state_dict().keys()
        if extra:
            raise unknown(
                weights, f"Its network has layers no known upscaler has, such as {min(extra)} ({KNOWN})"
            )
        return network
    raise unknown(weights, f"It is no upscaler of a known kind ({KNOWN})")


def halved(entry: Entry) -> Entry:
    """A weight rounded to half precision; the reference's recorded pictures show that its weights were."""
    return entry.taking(entry.shape, lambda weight: weight.half().float())
