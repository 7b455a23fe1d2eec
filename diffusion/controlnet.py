"""ControlNet: a copy of the UNet's way down that sees a picture and adds to the skips.

Zhang et al. 2023, https://arxiv.org/abs/2302.05543.

A `ControlNet` value is what travels on links; `applied` gives what stands under "control" in a conditioning's
options: the network with its picture, strength and span of the run, added to controls that were there before.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

import torch
from torch import Tensor, nn

from diffusion.blocks import timestep_embedding
from diffusion.catalogue import unknown
from diffusion.conditioning import Setting
from diffusion.denoising import Controller, Controlling
from diffusion.hooks import Hooks
from diffusion.images import resize, to_batch
from diffusion.layouts import ldm_unet
from diffusion.residency import Residency, Resident
from diffusion.shapes import Unlike, unet_sizes
from diffusion.transformer import Visit
from diffusion.unet import Control, UNetSizes, input_blocks, label_embedding, middle_block
from diffusion.weights import Weights, open_weights

HINT_SCALE = 8  # pixels of the picture for each place of the latent
DIFFUSERS_NAMES = (
    (r"^controlnet_cond_embedding\.conv_in\.", "input_hint_block.0."),
    (r"^controlnet_down_blocks\.(\d+)\.", r"zero_convs.\1.0."),
    (r"^controlnet_mid_block\.", "middle_block_out.0."),
)


class ControlUNet(nn.Module):
    """The network; `hint_convolutions` are the (channels in, channels out) of those that read the picture."""

    def __init__(self, sizes: UNetSizes, hint_convolutions: list[tuple[int, int]]) -> None:
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

    def forward(
        self, x: Tensor, seen: Tensor, timesteps: Tensor, context: Tensor, y: Tensor | None = None
    ) -> tuple[list[Tensor], Tensor]:
        """What to add to each skip, and to the middle.

        x [B, in, h, w], timesteps [B], context [B, M, K], y [B, vector]; `seen` [B, C, h, w] is what
        `input_hint_block` made of the picture.
        """
        dtype = seen.dtype
        visit = Visit(Hooks(), {}, (x.shape[2], x.shape[3]))
        emb = self.time_embed(timestep_embedding(timesteps, self.sizes.channels).to(dtype))
        if y is not None and hasattr(self, "label_emb"):
            emb = emb + self.label_emb(y.to(dtype))
        h, context = x.to(dtype), context.to(dtype)
        skips = []
        for index, (block, zero) in enumerate(zip(self.input_blocks, self.zero_convs, strict=True)):
            h = block(h, emb, context, visit)
            if index == 0:
                h = h + seen
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


@dataclass(frozen=True, eq=False)
class ControlNet:
    """A control network on a link."""

    resident: Resident[ControlUNet]

    def applied(
        self, image: Tensor, strength: float, start: float, end: float, previous: Controller | None = None
    ) -> Controller:
        """The network looking at images B×H×W×C during a part of the run (shares 0…1), after others."""
        return Applied(self, image[..., :3].movedim(-1, 1), strength, start, end, previous)


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
        """The control with its picture at the size of this run's latent."""
        rows, columns = setting.latent.shape[-2:]
        hint = resize(self.image, columns * HINT_SCALE, rows * HINT_SCALE, "nearest-exact", "center")
        clock = setting.model.prediction.clock
        return Started(
            self,
            to_batch(hint, len(setting.latent)),
            clock.sigma_at(self.start) if self.start > 0 else math.inf,
            clock.sigma_at(self.end) if self.end < 1 else 0.0,
            self.previous.for_run(setting) if self.previous else None,
        )


@dataclass(eq=False)
class Started:
    """A control in one run; what its network made of the picture is kept from the first call on."""

    applied: Applied
    hint: Tensor
    highest: float
    lowest: float
    previous: Controlling | None
    seen: Tensor | None = field(default=None)

    def __call__(
        self, x: Tensor, sigma: Tensor, timesteps: Tensor, context: Tensor, y: Tensor | None
    ) -> Control | None:
        """What to add in this call; nothing outside the span."""
        before = self.previous(x, sigma, timesteps, context, y) if self.previous else None
        if not self.lowest <= sigma[0] <= self.highest or self.applied.strength == 0:
            return before
        resident = self.applied.network.resident
        with resident.use() as module, torch.no_grad():
            if self.seen is None:
                self.seen = module.input_hint_block(self.hint.to(resident.device, resident.dtype))
            rows = x[:, : module.sizes.in_channels]
            parts = len(x) // len(self.seen)
            skips, middle = module(rows, self.seen.repeat(parts, 1, 1, 1), timesteps, context, y)
        strength = self.applied.strength
        own = Control(middle=middle * strength, skips={i: each * strength for i, each in enumerate(skips)})
        return own if before is None else joined(before, own)


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


def load_controlnet(path: Path | str, residency: Residency | None = None) -> ControlNet:
    """The control network of a file in the original or in diffusers' layout. UnknownModel if it is none."""
    weights = control_weights(open_weights(path))
    try:
        sizes, hints = unet_sizes(weights, downward_only=True), hint_sizes(weights)
    except Unlike as error:
        raise unknown(weights, f"No ControlNet was found in it: {error}") from None
    status = weights.path.stat()
    identity = (str(weights.path.resolve()), status.st_mtime_ns, status.st_size, "control")

    def build() -> ControlUNet:
        return ControlUNet(sizes, hints)

    resident = Resident(residency or Residency(), "control", weights, build, identity, channels_last=True)
    return ControlNet(resident)


def control_weights(weights: Weights) -> Weights:
    """The tensors of a control network under the original names."""
    for prefix in ("control_model.", ""):
        inner = weights.under(prefix)
        if "input_hint_block.0.weight" in inner:
            return inner
    between = weights.under("controlnet_cond_embedding.blocks.")
    last = 2 * (1 + sum(name.endswith(".weight") for name in between))
    return ldm_unet(weights.having({_original_name(name, last): weights[name] for name in weights}))


def _original_name(name: str, last: int) -> str:
    """One diffusers name in the original layout; `last` numbers the last convolution on the picture."""
    for pattern, replacement in DIFFUSERS_NAMES:
        name = re.sub(pattern, replacement, name)
    name = name.replace("controlnet_cond_embedding.conv_out.", f"input_hint_block.{last}.")
    found = re.match(r"^controlnet_cond_embedding\.blocks\.(\d+)\.(.*)$", name)
    return f"input_hint_block.{2 * (int(found[1]) + 1)}.{found[2]}" if found else name


def hint_sizes(weights: Weights) -> list[tuple[int, int]]:
    """Channels in and out of the convolutions that read the picture. Unlike if there are none."""
    found = []
    for number in count(0, 2):
        shape = weights.shape(f"input_hint_block.{number}.weight")
        if shape is None:
            break
        found.append((shape[1], shape[0]))
    if len(found) < 2:
        raise Unlike("input_hint_block.0.weight is missing")
    return found
