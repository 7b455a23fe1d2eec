"""HunyuanImage 2.1's autoencoder: 32 pixels a place, 64 channels; levels fold pixels into channels.

Every change of resolution has a shortcut without weights: channels averaged on the way down, repeated on the
way up (deep compression, Chen et al. 2024, 2410.10733).
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from diffusion.latents.vae import Middle, ResidualBlock
from diffusion.weights.entries import Weights
from diffusion.weights.shapes import Unlike, counted, shape_of

SIGN = "decoder.up.0.upsample.conv.weight"
"""Of other autoencoders the first level of the decoder is the finest, which nothing enlarges."""
GROUPS = 32


@dataclass(frozen=True)
class HunyuanVAESizes:
    """Widths of the levels as they run: of the encoder fine to coarse, of the decoder coarse to fine."""

    latent_channels: int
    down: tuple[int, ...]
    up: tuple[int, ...]
    blocks: int

    @property
    def downscale(self) -> int:
        """Pixels of the picture's side per element of the latent's."""
        return 1 << (len(self.down) - 1)


def hunyuan_vae_sizes(weights: Weights) -> HunyuanVAESizes:
    """The sizes of an autoencoder under its own names. Unlike says what does not fit."""
    down, up = (
        tuple(shape_of(weights, pattern.format(level), 4)[0] for level in range(counted(weights, pattern)))
        for pattern in ("encoder.down.{}.block.0.conv1.weight", "decoder.up.{}.block.0.conv1.weight")
    )
    if not down or not up:
        raise Unlike("encoder.down.0.block.0.conv1.weight is missing")
    return HunyuanVAESizes(
        shape_of(weights, "decoder.conv_in.weight", 4)[1],
        down,
        up,
        counted(weights, "encoder.down.0.block.{}.conv1.weight"),
    )


def folded(x: Tensor) -> Tensor:
    """[B, C, H, W] → [B, 4 C, H/2, W/2]; channels stay neighbours."""
    batch, channels, height, width = x.shape
    x = x.reshape(batch, channels, height // 2, 2, width // 2, 2).permute(0, 3, 5, 1, 2, 4)
    return x.reshape(batch, 4 * channels, height // 2, width // 2)


def unfolded(x: Tensor) -> Tensor:
    """The inverse of `folded`."""
    batch, channels, height, width = x.shape
    x = x.reshape(batch, 2, 2, channels // 4, height, width).permute(0, 3, 4, 1, 5, 2)
    return x.reshape(batch, channels // 4, height * 2, width * 2)


def averaged(x: Tensor, channels: int) -> Tensor:
    """Neighbouring channels averaged until so many are left."""
    return torch.unflatten(x, 1, (channels, -1)).mean(dim=2)


def repeated(x: Tensor, channels: int) -> Tensor:
    """Every channel repeated in a row until there are so many."""
    return x.repeat_interleave(channels // x.shape[1], dim=1)


class Fold(nn.Module):
    """Half the resolution."""

    def __init__(self, channels: int, out_channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, out_channels // 4, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        h = folded(self.conv(x))
        return h + averaged(folded(x), h.shape[1])


class Unfold(nn.Module):
    """Twice the resolution."""

    def __init__(self, channels: int, out_channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, 4 * out_channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        h: Tensor = self.conv(x)
        return unfolded(h + repeated(x, h.shape[1]))


class Level(nn.Module):
    """The residual blocks of one resolution, and the change to the next."""

    def __init__(self, width: int, blocks: int) -> None:
        super().__init__()
        self.block = nn.ModuleList(ResidualBlock(width, width, GROUPS) for _ in range(blocks))

    def forward(self, x: Tensor) -> Tensor:
        for block in (*self.block, *(each for name, each in self.named_children() if name != "block")):
            x = block(x)
        return x


class Encoder(nn.Module):
    """Picture → mean and log-variance of its latent."""

    def __init__(self, sizes: HunyuanVAESizes) -> None:
        super().__init__()
        last = sizes.down[-1]
        self.conv_in = nn.Conv2d(3, sizes.down[0], 3, padding=1)
        self.down = nn.ModuleList(Level(width, sizes.blocks) for width in sizes.down)
        for level, widths in zip(self.down, pairwise(sizes.down), strict=False):
            level.downsample = Fold(*widths)
        self.mid = Middle(last, GROUPS)
        self.norm_out = nn.GroupNorm(GROUPS, last, eps=1e-6)
        self.conv_out = nn.Conv2d(last, sizes.latent_channels * 2, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        h = self.conv_in(x)
        for level in self.down:
            h = level(h)
        h = self.mid(h)
        out: Tensor = self.conv_out(F.silu(self.norm_out(h)))
        return out + averaged(h, out.shape[1])


class Decoder(nn.Module):
    """Latent → picture."""

    def __init__(self, sizes: HunyuanVAESizes) -> None:
        super().__init__()
        first, last = sizes.up[0], sizes.up[-1]
        self.conv_in = nn.Conv2d(sizes.latent_channels, first, 3, padding=1)
        self.mid = Middle(first, GROUPS)
        self.up = nn.ModuleList(Level(width, sizes.blocks + 1) for width in sizes.up)
        for level, widths in zip(self.up, pairwise(sizes.up), strict=False):
            level.upsample = Unfold(*widths)
        self.norm_out = nn.GroupNorm(GROUPS, last, eps=1e-6)
        self.conv_out = nn.Conv2d(last, 3, 3, padding=1)

    def forward(self, z: Tensor) -> Tensor:
        h: Tensor = self.conv_in(z)
        h = self.mid(h + repeated(z, h.shape[1]))
        for level in self.up:
            h = level(h)
        out: Tensor = self.conv_out(F.silu(self.norm_out(h)))
        return out


class HunyuanVAE(nn.Module):
    """Pictures B×3×H×W in −1…1, latents B×64×H/32×W/32."""

    def __init__(self, sizes: HunyuanVAESizes) -> None:
        super().__init__()
        self.encoder = Encoder(sizes)
        self.decoder = Decoder(sizes)

    def encode(self, x: Tensor) -> Tensor:
        """The mean of a picture's latent."""
        mean: Tensor = torch.chunk(self.encoder(x), 2, dim=1)[0]
        return mean

    def decode(self, z: Tensor) -> Tensor:
        """The picture of a latent."""
        out: Tensor = self.decoder(z)
        return out
