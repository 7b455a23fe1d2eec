"""The autoencoder between pictures and latents, in the key names of latent diffusion's checkpoints.

Rombach et al. 2022, https://arxiv.org/abs/2112.10752 (after Esser et al. 2021). A picture becomes a latent of
an eighth of its side with four channels; a smaller or deeper one follows from `VAESizes`.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from diffusion.networks.video import TimeStack, as_clips, as_frames, over_time


@dataclass(frozen=True)
class VAESizes:
    """The measures of an autoencoder; the defaults are SD 1.x, 2.x and SDXL. Levels run fine to coarse."""

    image_channels: int = 3
    latent_channels: int = 4
    channels: int = 128
    multipliers: tuple[int, ...] = (1, 2, 4, 4)
    blocks: int = 2
    norm_groups: int = 32
    quantised: bool = True  # whether a 1×1 convolution stands before the latent
    dequantised: bool | None = None  # and one behind it; None: if one stands before it
    video: bool = False  # whether the decoder joins the frames of a clip

    @property
    def downscale(self) -> int:
        """Pixels of the picture's side per element of the latent's."""
        return 1 << (len(self.multipliers) - 1)


class ResidualBlock(nn.Module):
    """Two convolutions around a skip."""

    def __init__(self, channels: int, out_channels: int, groups: int) -> None:
        super().__init__()
        self.norm1 = nn.GroupNorm(groups, channels, eps=1e-6)
        self.conv1 = nn.Conv2d(channels, out_channels, 3, padding=1)
        self.norm2 = nn.GroupNorm(groups, out_channels, eps=1e-6)
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, padding=1)
        if channels != out_channels:
            self.nin_shortcut = nn.Conv2d(channels, out_channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        h = self.conv1(F.silu(self.norm1(x)))
        h = self.conv2(F.silu(self.norm2(h)))
        out: Tensor = (self.nin_shortcut(x) if hasattr(self, "nin_shortcut") else x) + h
        return out


class VideoResidualBlock(ResidualBlock):
    """A residual block of each frame, then one over time; all frames of the batch are one clip.

    Blattmann et al. 2023, https://arxiv.org/abs/2311.15127. The learned share is that of time.
    """

    def __init__(self, channels: int, out_channels: int, groups: int) -> None:
        super().__init__(channels, out_channels, groups)
        self.time_stack = TimeStack(out_channels, None, groups)
        self.mix_factor = nn.Parameter(torch.zeros(1))

    def forward(self, x: Tensor) -> Tensor:
        still, share = super().forward(x), self.mix_factor.sigmoid()
        out: Tensor = share * self.time_stack(still, None, len(x)) + (1 - share) * still
        return out


class VideoConvolution(nn.Conv2d):
    """A convolution of each frame, then one over time; all frames of the batch are one clip."""

    def __init__(self, channels: int, out_channels: int) -> None:
        super().__init__(channels, out_channels, 3, padding=1)
        self.time_mix_conv = over_time(out_channels)

    def forward(self, x: Tensor) -> Tensor:
        return as_frames(self.time_mix_conv(as_clips(super().forward(x), len(x))))


class AttentionBlock(nn.Module):
    """Single-head self-attention over all positions, added to the feature map."""

    def __init__(self, channels: int, groups: int) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(groups, channels, eps=1e-6)
        self.q = nn.Conv2d(channels, channels, 1)
        self.k = nn.Conv2d(channels, channels, 1)
        self.v = nn.Conv2d(channels, channels, 1)
        self.proj_out = nn.Conv2d(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        h = self.norm(x)
        q, k, v = (layer(h).flatten(2).transpose(1, 2).unsqueeze(1) for layer in (self.q, self.k, self.v))
        h = F.scaled_dot_product_attention(q, k, v).squeeze(1).transpose(1, 2).reshape(x.shape)
        out: Tensor = x + self.proj_out(h)
        return out


class Downsample(nn.Module):
    """Half the resolution; the missing rim is added right and below only."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.conv(F.pad(x, (0, 1, 0, 1)))
        return out


class Upsample(nn.Module):
    """Nearest-neighbour doubling and a convolution."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.conv(F.interpolate(x, scale_factor=2.0, mode="nearest"))
        return out


class Level(nn.Module):
    """The residual blocks of one resolution, and the change to the next."""

    def __init__(self, blocks: list[ResidualBlock], change: Downsample | Upsample | None) -> None:
        super().__init__()
        self.block = nn.ModuleList(blocks)
        if isinstance(change, Downsample):
            self.downsample = change
        elif isinstance(change, Upsample):
            self.upsample = change
        self.change = type(change).__name__.lower() if change else None

    def forward(self, x: Tensor) -> Tensor:
        for block in self.block:
            x = block(x)
        out: Tensor = getattr(self, self.change)(x) if self.change else x
        return out


class Middle(nn.Module):
    """Residual, attention, residual at the lowest resolution."""

    def __init__(self, channels: int, groups: int, video: bool = False) -> None:
        super().__init__()
        block = VideoResidualBlock if video else ResidualBlock
        self.block_1 = block(channels, channels, groups)
        self.attn_1 = AttentionBlock(channels, groups)
        self.block_2 = block(channels, channels, groups)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.block_2(self.attn_1(self.block_1(x)))
        return out


class Encoder(nn.Module):
    """Picture → mean and log-variance of its latent, before the quantising convolution."""

    def __init__(self, sizes: VAESizes) -> None:
        super().__init__()
        channels = sizes.channels
        self.conv_in = nn.Conv2d(sizes.image_channels, channels, 3, padding=1)
        levels = []
        for level, multiplier in enumerate(sizes.multipliers):
            wide = sizes.channels * multiplier
            blocks = _run_of_blocks(channels, wide, sizes.blocks, sizes.norm_groups)
            channels, last = wide, level == len(sizes.multipliers) - 1
            levels.append(Level(blocks, None if last else Downsample(channels)))
        self.down = nn.ModuleList(levels)
        self.mid = Middle(channels, sizes.norm_groups)
        self.norm_out = nn.GroupNorm(sizes.norm_groups, channels, eps=1e-6)
        self.conv_out = nn.Conv2d(channels, sizes.latent_channels * 2, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        h = self.conv_in(x)
        for level in self.down:
            h = level(h)
        out: Tensor = self.conv_out(F.silu(self.norm_out(self.mid(h))))
        return out


class Decoder(nn.Module):
    """Latent → picture."""

    def __init__(self, sizes: VAESizes) -> None:
        super().__init__()
        channels = sizes.channels * sizes.multipliers[-1]
        self.conv_in = nn.Conv2d(sizes.latent_channels, channels, 3, padding=1)
        self.mid = Middle(channels, sizes.norm_groups, sizes.video)
        levels: list[Level] = []
        for level, multiplier in reversed(list(enumerate(sizes.multipliers))):
            wide = sizes.channels * multiplier
            blocks = _run_of_blocks(channels, wide, sizes.blocks + 1, sizes.norm_groups, sizes.video)
            channels = wide
            levels.insert(0, Level(blocks, Upsample(channels) if level else None))
        self.up = nn.ModuleList(levels)
        self.norm_out = nn.GroupNorm(sizes.norm_groups, channels, eps=1e-6)
        last = (channels, sizes.image_channels)
        self.conv_out = VideoConvolution(*last) if sizes.video else nn.Conv2d(*last, 3, padding=1)

    def forward(self, z: Tensor) -> Tensor:
        h = self.mid(self.conv_in(z))
        for level in reversed(self.up):
            h = level(h)
        out: Tensor = self.conv_out(F.silu(self.norm_out(h)))
        return out


class AutoencoderKL(nn.Module):
    """Encoder and decoder around a Gaussian latent: pictures B×3×H×W in −1…1, latents B×4×H/8×W/8."""

    def __init__(self, sizes: VAESizes) -> None:
        super().__init__()
        self.sizes = sizes
        self.encoder = Encoder(sizes)
        self.decoder = Decoder(sizes)
        if sizes.quantised:
            self.quant_conv = nn.Conv2d(sizes.latent_channels * 2, sizes.latent_channels * 2, 1)
        if sizes.quantised if sizes.dequantised is None else sizes.dequantised:
            self.post_quant_conv = nn.Conv2d(sizes.latent_channels, sizes.latent_channels, 1)

    def moments(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log-variance of the latent of a picture; the log-variance is held within −30…20."""
        h = self.encoder(x)
        mean, logvar = (self.quant_conv(h) if self.sizes.quantised else h).chunk(2, dim=1)
        return mean, logvar.clamp(-30.0, 20.0)

    def encode(self, x: Tensor, noise: Tensor | None = None) -> Tensor:
        """The latent of a picture: its mean, or with standard normal `noise` a draw around it."""
        mean, logvar = self.moments(x)
        return mean if noise is None else mean + torch.exp(0.5 * logvar) * noise

    def decode(self, z: Tensor) -> Tensor:
        """The picture of a latent."""
        out: Tensor = self.decoder(self.post_quant_conv(z) if hasattr(self, "post_quant_conv") else z)
        return out

    def forward(self, x: Tensor, noise: Tensor | None = None) -> Tensor:
        """The picture after encoding and decoding, for training."""
        return self.decode(self.encode(x, noise))


def _run_of_blocks(
    channels: int, out_channels: int, number: int, groups: int, video: bool = False
) -> list[ResidualBlock]:
    """Residual blocks of which the first changes the width."""
    block = VideoResidualBlock if video else ResidualBlock
    return [block(channels if i == 0 else out_channels, out_channels, groups) for i in range(number)]
