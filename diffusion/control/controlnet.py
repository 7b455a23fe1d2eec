"""ControlNet: a copy of the UNet's way down that sees a picture and adds to the skips.

Zhang et al. 2023, https://arxiv.org/abs/2302.05543.

A `ControlNet` value is what travels on links; `control.py` says how it is applied.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from itertools import count

import torch
from torch import Tensor, nn

from diffusion.conditioning import Setting
from diffusion.control.chain import Applied, fitted, unet_of
from diffusion.control.control_union import Union, UnionSizes
from diffusion.denoising import Controller
from diffusion.hooks import Hooks
from diffusion.images import to_batch
from diffusion.model import Model
from diffusion.networks.backbone import Control, Inputs
from diffusion.networks.blocks import timestep_embedding
from diffusion.networks.transformer import Visit
from diffusion.networks.unet import UNetSizes, input_blocks, label_embedding, middle_block
from diffusion.residency.budget import Resident
from diffusion.weights.loading import NO_PATCHES, Patches


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

    def masked(self, image: Tensor, kept: Tensor) -> Tensor:
        """The picture B×H×W×C without what is not kept, and that behind it; all of it if it takes no mask."""
        if self.channels <= 3:
            return image
        kept = kept.round()[..., None]
        rows = max(len(kept), len(image))
        image, kept = to_batch(image[..., :3], rows), to_batch(kept, rows)
        return torch.cat([image * kept, kept], dim=-1)

    def applied(
        self, image: Tensor, strength: float, start: float, end: float, previous: Controller | None = None
    ) -> Controller:
        """The network looking at images B×H×W×C during a part of the run (shares 0…1), after others."""
        picture = image[..., : self.channels].movedim(-1, 1)
        return Applied(self, picture, strength, start, end, previous)

    def started(self, image: Tensor, setting: Setting) -> Looking:
        """The network looking at pictures B×C×H×W, with what this run's model lends it."""
        unet_of(setting.model)
        patches = setting.model.weight_patches if self.borrows else NO_PATCHES
        return Looking(self.network(setting.model), patches, image, len(setting.latent), self.kind)


@dataclass(eq=False)
class Looking:
    """A control network in one run; what it made of its picture is kept by the size it was asked for."""

    resident: Resident[ControlUNet]
    patches: Patches
    image: Tensor
    rows: int
    kind: int | None
    seen: dict[tuple[int, int], Tensor] = field(default_factory=dict)

    def __call__(self, x: Tensor, timesteps: Tensor, inputs: Inputs, strength: float) -> Control:
        """What the network adds to the skips and the middle, `strength` times."""
        with self.resident.use(self.patches) as module:
            seen = self._seen(module, (x.shape[2], x.shape[3]))
            rows, parts = x[:, : module.sizes.in_channels], len(x) // len(seen)
            given = inputs.context, inputs.tensor("y"), self.kind
            skips, middle = module(rows, seen.repeat(parts, 1, 1, 1), timesteps, *given)
        return Control(middle=middle * strength, skips={i: each * strength for i, each in enumerate(skips)})

    def _seen(self, module: ControlUNet, size: tuple[int, int]) -> Tensor:
        if size not in self.seen:
            hint = fitted(self.image, self.rows, size).to(self.resident.device, self.resident.dtype)
            self.seen[size] = module.input_hint_block(hint)
        return self.seen[size]
