"""Wan 2.1's autoencoder (Wan Team 2025, arXiv 2503.20314). Qwen-Image and Cosmos-Predict2 use it too.

Clips [B, 3, T, H, W] become latents of 16 channels, an eighth as wide and high. A picture is a clip of one
frame and has a latent of its own. diffusers' class computes it; here are its sizes, and what files call its
parameters.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from torch import Tensor

from diffusion.networks.zoo import Zoo, built
from diffusion.weights.entries import Weights
from diffusion.weights.layout import Layout, Rule
from diffusion.weights.shapes import shape_of

SIGN = "decoder.middle.0.residual.0.gamma"
IN_DIFFUSERS = "decoder.mid_block.resnets.0.norm1.gamma"
DOWNSCALE = 8
LEVELS, BLOCKS = 4, 2
"""Resolutions, and residual blocks of each on the way in; there is one more on the way out."""
RESIDUAL = {
    "residual.0": "norm1",
    "residual.2": "conv1",
    "residual.3": "norm2",
    "residual.6": "conv2",
    "shortcut": "conv_shortcut",
}


@dataclass(frozen=True)
class WanSizes:
    """Read off a file: the width of the finest level, and the channels of the latent."""

    width: int
    channels: int


def wan_sizes(weights: Weights) -> WanSizes:
    """The sizes of an autoencoder under Wan's names. Unlike says what does not fit."""
    width = shape_of(weights, "encoder.conv1.weight", 5)[0]
    shape_of(weights, "encoder.downsamples.0.residual.2.weight", 5)  # later kinds have none
    return WanSizes(width, shape_of(weights, "conv2.weight", 5)[0])


def residual(file: str, ours: str) -> Iterator[Rule]:
    """One residual block."""
    for theirs, name in RESIDUAL.items():
        yield Rule(f"{file}.{theirs}", f"{ours}.{name}")


def half(name: str) -> Iterator[Rule]:
    """What encoder and decoder share."""
    yield Rule(f"{name}.conv1", f"{name}.conv_in")
    yield Rule(f"{name}.head.0", f"{name}.norm_out")
    yield Rule(f"{name}.head.2", f"{name}.conv_out")
    yield Rule(f"{name}.middle.1", f"{name}.mid_block.attentions.0")
    for file, ours in ((0, 0), (2, 1)):
        yield from residual(f"{name}.middle.{file}", f"{name}.mid_block.resnets.{ours}")


def levels() -> Iterator[Rule]:
    """The levels: one list in files, of which each third, or fourth, changes the size."""
    yield from residual("encoder.downsamples.*", "encoder.down_blocks.*")
    yield Rule("encoder.downsamples", "encoder.down_blocks")
    for level in range(LEVELS):
        for block in range(BLOCKS + 1):
            number = level * (BLOCKS + 2) + block
            ours = f"decoder.up_blocks.{level}.resnets.{block}"
            yield from residual(f"decoder.upsamples.{number}", ours)
        number = level * (BLOCKS + 2) + BLOCKS + 1
        yield Rule(f"decoder.upsamples.{number}", f"decoder.up_blocks.{level}.upsamplers.0")


LAYOUT = Layout(
    Rule("conv1", "quant_conv"),
    Rule("conv2", "post_quant_conv"),
    *half("encoder"),
    *half("decoder"),
    *levels(),
)


def native(weights: Weights) -> Weights:
    """An autoencoder in diffusers' layout under Wan's names; any other layout unchanged."""
    return weights.having(LAYOUT.written(weights)) if IN_DIFFUSERS in weights else weights


class WanVAE(Zoo):
    """The network."""

    def __init__(self, sizes: WanSizes) -> None:
        super().__init__(
            built(
                "autoencoders.autoencoder_kl_wan",
                "AutoencoderKLWan",
                base_dim=sizes.width,
                z_dim=sizes.channels,
                num_res_blocks=BLOCKS,
            )
        )

    def encode(self, x: Tensor) -> Tensor:
        """The mean latents [B, C, 1, H/8, W/8] of pictures [B, 3, H, W] in −1…1, one of each."""
        latent: Tensor = self.network.encode(x[:, :, None]).latent_dist.mode()  # type: ignore[operator]
        return latent

    def decode(self, z: Tensor) -> Tensor:
        """The frames [B · T, 3, H, W] of latents [B, C, T, h, w] or [B, C, h, w]."""
        clips = z if z.ndim == 5 else z[:, :, None]
        frames: Tensor = self.network.decode(clips).sample  # type: ignore[operator]
        return frames.movedim(2, 1).flatten(0, 1)
