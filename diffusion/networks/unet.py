"""The UNet of latent diffusion: SD 1.x, SD 2.x, SDXL, their inpainting kin and any smaller size of them.

Rombach et al. 2022, https://arxiv.org/abs/2112.10752; Podell et al. 2023, https://arxiv.org/abs/2307.01952.
Parameter names equal those of published checkpoints after `model.diffusion_model.`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import torch
from torch import Tensor, nn

from diffusion.hooks import Hooks, Place
from diffusion.networks.backbone import Control, Inputs
from diffusion.networks.blocks import Downsample, ResidualBlock, Upsample, timestep_embedding
from diffusion.networks.transformer import SpatialTransformer, Visit
from diffusion.networks.video import VideoResidualBlock, VideoTransformer

POINTS = frozenset(
    {"embedding", "block.input", "block.input.after_skip", "block.middle", "block.output"}
    | {f"attention.self.{where}" for where in ("input", "attend", "output", "after")}
    | {f"attention.cross.{where}" for where in ("input", "attend", "output")}
)
"""The hook points of this network."""

NO_HOOKS = Hooks()
NO_FACTS: Mapping[str, Any] = {}


@dataclass(frozen=True)
class UNetSizes:
    """All that distinguishes one UNet of the family from another; the defaults are SD 1.x.

    Levels run from the finest resolution to the coarsest. Depths count transformer layers behind each
    residual block, in the order the blocks are numbered; 0 means no transformer. A middle depth of 0 leaves
    one residual block there, None leaves nothing. Give either `heads` (a fixed number) or `head_channels`.
    `video` puts layers behind residual blocks and transformers that join the frames of a clip.
    """

    in_channels: int = 4
    out_channels: int = 4
    channels: int = 320
    multipliers: tuple[int, ...] = (1, 2, 4, 4)
    blocks: tuple[int, ...] = (2, 2, 2, 2)
    input_depths: tuple[int, ...] = (1, 1, 1, 1, 1, 1, 0, 0)
    middle_depth: int | None = 1
    output_depths: tuple[int, ...] = (0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1, 1)
    context: int = 768
    heads: int | None = 8
    head_channels: int | None = None
    linear_projections: bool = False
    vector: int | None = None
    classes: int | None = None
    norm_groups: int = 32
    self_attention: tuple[bool, ...] = field(default=())
    video: bool = False

    @classmethod
    def even(
        cls,
        multipliers: Sequence[int],
        depths: Sequence[int],
        blocks: int = 2,
        middle: int | None = None,
        **rest: Any,
    ) -> UNetSizes:
        """Sizes with the same number of blocks on each level and one transformer depth a level."""
        inputs = tuple(depth for depth in depths for _ in range(blocks))
        outputs = tuple(depth for depth in reversed(depths) for _ in range(blocks + 1))
        deepest = middle if middle is not None else max(depths[-1], 1)
        shape: dict[str, Any] = {"input_depths": inputs, "middle_depth": deepest, "output_depths": outputs}
        return cls(multipliers=tuple(multipliers), blocks=(blocks,) * len(multipliers), **shape, **rest)

    def heads_for(self, channels: int) -> tuple[int, int]:
        """(number of heads, channels of each) in a layer of so many channels."""
        if self.heads is not None:
            return self.heads, channels // self.heads
        if self.head_channels is None:
            raise ValueError("UNetSizes needs either heads or head_channels.")
        return channels // self.head_channels, self.head_channels

    def looks_at_itself(self, level: int) -> bool:
        """Whether the first attention of a level's transformers is self-attention."""
        return self.self_attention[level] if self.self_attention else True


class Block(nn.Sequential):
    """One numbered block: its layers in turn, each given what it asks for."""

    def forward(  # type: ignore[override]  # a Sequential whose layers take more than x
        self, x: Tensor, emb: Tensor, context: Tensor, visit: Visit, size: tuple[int, int] | None = None
    ) -> Tensor:
        for layer in self:
            if isinstance(layer, VideoResidualBlock):
                x = layer(x, emb, visit.frames)
            elif isinstance(layer, ResidualBlock):
                x = layer(x, emb)
            elif isinstance(layer, SpatialTransformer):
                x = layer(x, context, visit)
            elif isinstance(layer, Upsample):
                x = layer(x, size)
            else:
                x = layer(x)
        return x


class UNet(nn.Module):
    """Predicts from a noisy latent, its timestep and the text; `UNetSizes` tells the family apart."""

    def __init__(self, sizes: UNetSizes) -> None:
        super().__init__()
        self.sizes = sizes
        width = sizes.channels * 4
        self.time_embed = nn.Sequential(nn.Linear(sizes.channels, width), nn.SiLU(), nn.Linear(width, width))
        label = label_embedding(sizes, width)
        if label is not None:
            self.label_emb = label
        serial = count()
        inputs, skips = input_blocks(sizes, serial)
        self.input_blocks = nn.ModuleList(inputs)
        middle = middle_block(sizes, serial)
        if middle is not None:
            self.middle_block = middle
        self.output_blocks = nn.ModuleList(_output_blocks(sizes, skips, serial))
        self.out = nn.Sequential(
            nn.GroupNorm(sizes.norm_groups, sizes.channels),
            nn.SiLU(),
            nn.Conv2d(sizes.channels, sizes.out_channels, 3, padding=1),
        )

    @property
    def dtype(self) -> torch.dtype:
        """The type of the weights, in which the pass is computed."""
        return self.out[2].weight.dtype  # type: ignore[return-value]  # Module attributes are untyped

    def predict(self, x: Tensor, timesteps: Tensor, inputs: Inputs, hooks: Hooks) -> Tensor:
        """The output in a run; of a video model the rows of a conditioning are its frames."""
        given = inputs.context, inputs.tensor("y"), inputs.control
        out: Tensor = self(x, timesteps, *given, hooks, inputs.call, inputs.kept, inputs.rows)
        return out

    def forward(
        self,
        x: Tensor,
        timesteps: Tensor,
        context: Tensor,
        y: Tensor | None = None,
        control: Control | None = None,
        hooks: Hooks | None = None,
        call: Mapping[str, Any] = NO_FACTS,
        kept: dict[int, tuple[Tensor, Tensor]] | None = None,
        frames: int | None = None,
    ) -> Tensor:
        """x [B, in, h, w], timesteps [B], context [B, M, context], y [B, vector] → [B, out, h, w].

        For a video model each `frames` rows of B are a clip; None says all of them are one.

        Computes in the weights' type and answers in that of `x`. `call` reaches every hook as `place.call`;
        `kept` is an empty dict at the start of a run whose context stays the same, or None.
        """
        hooks, control = hooks or NO_HOOKS, control or Control()
        visit = Visit(hooks, call, (x.shape[2], x.shape[3]), kept, frames or len(x))
        emb = self.embed(timesteps, y, visit)
        h, context = x.to(self.dtype), context.to(self.dtype)
        h, skips = self._down(h, emb, context, control, visit)
        if hasattr(self, "middle_block"):
            h = self.middle_block(h, emb, context, visit)
        if control.middle is not None:
            h = h + control.middle
        h = hooks.change("block.middle", _place(visit, "middle", 0, h), h)
        h = self._up(h, skips, emb, context, visit)
        out: Tensor = self.out(h).to(x.dtype)
        return out

    def embed(self, timesteps: Tensor, y: Tensor | None, visit: Visit) -> Tensor:
        """The embedding of time, and of the vector (sizes, pooled text) or class if the model takes one."""
        emb = self.time_embed(timestep_embedding(timesteps, self.sizes.channels).to(self.dtype))
        if self.sizes.vector is not None or self.sizes.classes is not None:
            if y is None:
                raise ValueError(
                    "This UNet needs a vector y (pooled text and sizes, or classes); none was given."
                )
            emb = emb + self.label_emb(y.long() if self.sizes.classes is not None else y.to(self.dtype))
        out: Tensor = visit.hooks.change("embedding", _place(visit, "input", 0, None), emb)
        return out

    def _down(
        self, h: Tensor, emb: Tensor, context: Tensor, control: Control, visit: Visit
    ) -> tuple[Tensor, list[Tensor]]:
        hooks, skips = visit.hooks, []
        for index, block in enumerate(self.input_blocks):
            h = block(h, emb, context, visit)
            if index in control.input:
                h = h + control.input[index]
            place = _place(visit, "input", index, h)
            h = hooks.change("block.input", place, h)
            skips.append(h + control.skips[index] if index in control.skips else h)
            h = hooks.change("block.input.after_skip", place, h)
        return h, skips

    def _up(self, h: Tensor, skips: list[Tensor], emb: Tensor, context: Tensor, visit: Visit) -> Tensor:
        for index, block in enumerate(self.output_blocks):
            h, skip = visit.hooks.change_all(
                "block.output", _place(visit, "output", index, h), h, skips.pop()
            )
            size = (skips[-1].shape[2], skips[-1].shape[3]) if skips else None
            h = block(torch.cat([h, skip], dim=1), emb, context, visit, size)
        return h


def label_embedding(sizes: UNetSizes, width: int) -> nn.Module | None:
    """The network that embeds the vector or the class, if the model takes one."""
    if sizes.classes is not None:
        return nn.Embedding(sizes.classes, width)
    if sizes.vector is None:
        return None
    return nn.Sequential(nn.Sequential(nn.Linear(sizes.vector, width), nn.SiLU(), nn.Linear(width, width)))


def input_blocks(sizes: UNetSizes, serial: Iterator[int]) -> tuple[list[Block], list[int]]:
    """The downward blocks and the channels each leaves behind; a ControlNet is made of the same."""
    channels = sizes.channels
    blocks, skips = [Block(nn.Conv2d(sizes.in_channels, channels, 3, padding=1))], [channels]
    depths = iter(sizes.input_depths)
    for level, multiplier in enumerate(sizes.multipliers):
        for _ in range(sizes.blocks[level]):
            wide = sizes.channels * multiplier
            layers: list[nn.Module] = [_residual(sizes, channels, wide)]
            layers += _transformers(sizes, level, wide, ("input", len(blocks)), next(depths), serial)
            channels = wide
            blocks.append(Block(*layers))
            skips.append(channels)
        if level < len(sizes.multipliers) - 1:
            blocks.append(Block(Downsample(channels)))
            skips.append(channels)
    return blocks, skips


def middle_block(sizes: UNetSizes, serial: Iterator[int]) -> Block | None:
    """The block at the lowest resolution."""
    if sizes.middle_depth is None:
        return None
    level = len(sizes.multipliers) - 1
    channels = sizes.channels * sizes.multipliers[-1]
    layers: list[nn.Module] = [_residual(sizes, channels, channels)]
    if sizes.middle_depth:
        layers += _transformers(sizes, level, channels, ("middle", 0), sizes.middle_depth, serial)
        layers.append(_residual(sizes, channels, channels))
    return Block(*layers)


def _output_blocks(sizes: UNetSizes, skips: list[int], serial: Iterator[int]) -> list[Block]:
    channels = skips[-1]
    skips, depths = list(skips), iter(sizes.output_depths)
    blocks: list[Block] = []
    for level, multiplier in reversed(list(enumerate(sizes.multipliers))):
        for number in range(sizes.blocks[level] + 1):
            wide = sizes.channels * multiplier
            joined = channels + skips.pop()
            layers: list[nn.Module] = [_residual(sizes, joined, wide)]
            layers += _transformers(sizes, level, wide, ("output", len(blocks)), next(depths), serial)
            channels = wide
            if level and number == sizes.blocks[level]:
                layers.append(Upsample(channels))
            blocks.append(Block(*layers))
    return blocks


def _residual(sizes: UNetSizes, channels: int, out_channels: int) -> ResidualBlock:
    kind = VideoResidualBlock if sizes.video else ResidualBlock
    return kind(channels, out_channels, sizes.channels * 4, sizes.norm_groups)


def _transformers(
    sizes: UNetSizes, level: int, channels: int, where: tuple[str, int], depth: int, serial: Iterator[int]
) -> list[nn.Module]:
    """The transformer behind a residual block as a list of one, or of none at depth 0."""
    if not depth:
        return []
    heads, head_channels = sizes.heads_for(channels)
    places = [Place(*where, number, next(serial), heads, head_channels) for number in range(depth)]
    itself = sizes.looks_at_itself(level)
    arguments = (channels, sizes.context, sizes.linear_projections, sizes.norm_groups, itself)
    return [(VideoTransformer if sizes.video else SpatialTransformer)(places, *arguments)]


def _place(visit: Visit, block: str, index: int, h: Tensor | None) -> Place:
    size = visit.latent if h is None else (h.shape[2], h.shape[3])
    return Place(block, index, size=size, latent=visit.latent, call=visit.call)
