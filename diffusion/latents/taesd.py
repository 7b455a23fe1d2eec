"""TAESD: a tiny autoencoder that imitates a large one's latents, for previews and for small machines.

After https://github.com/madebyollin/taesd (MIT): convolutions and ReLUs only. Layers are numbered in one
sequence, so the file's own names say what stands where, and other widths and depths load as well.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from diffusion.weights.files import Weights
from diffusion.weights.shapes import Unlike


class Clamp(nn.Module):
    """Softly holds a latent within −3…3."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.tanh(x / 3) * 3


class Block(nn.Module):
    """Three convolutions around a skip."""

    def __init__(self, channels: int, out_channels: int) -> None:
        super().__init__()
        first = nn.Conv2d(channels, out_channels, 3, padding=1)
        others = [nn.Conv2d(out_channels, out_channels, 3, padding=1) for _ in range(2)]
        self.conv = nn.Sequential(first, nn.ReLU(), others[0], nn.ReLU(), others[1])
        same = channels == out_channels
        self.skip = nn.Identity() if same else nn.Conv2d(channels, out_channels, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.conv(x) + self.skip(x))


class Taesd(nn.Module):
    """Encoder and decoder with the face of a full autoencoder: pictures in −1…1, the large one's latents.

    Inside, pictures are 0…1 and latents have unit variance; `scale` and `shift` are the large one's.
    """

    def __init__(
        self, encoder: nn.Module | None, decoder: nn.Module | None, scale: float, shift: float
    ) -> None:
        super().__init__()
        self.scale, self.shift = scale, shift
        if encoder is not None:
            self.encoder = encoder
        if decoder is not None:
            self.decoder = decoder

    def encode(self, x: Tensor) -> Tensor:
        """The latent of a picture."""
        latent: Tensor = self.encoder(x / 2 + 0.5) / self.scale + self.shift
        return latent

    def decode(self, z: Tensor) -> Tensor:
        """The picture of a latent."""
        picture: Tensor = self.decoder((z - self.shift) * self.scale) * 2 - 1
        return picture


def sequence(weights: Weights) -> Callable[[], nn.Sequential]:
    """A builder of the layers that a file's names describe. Unlike says that it describes none.

    Numbers without tensors are layers without any: a clamp first, a ReLU behind the first convolution, and
    nearest-neighbour doubling. A convolution without bias stands between two sizes; an encoder's strides.
    """
    numbers = {int(name.partition(".")[0]) for name in weights if name[:1].isdigit()}
    if not numbers or not any(name.endswith(".conv.0.weight") for name in weights):
        raise Unlike("layers such as 3.conv.0.weight are missing")
    decoding = "0.weight" not in weights
    return lambda: nn.Sequential(*(_layer(weights, number, decoding) for number in range(max(numbers) + 1)))


def _layer(weights: Weights, number: int, decoding: bool) -> nn.Module:
    block = weights.shape(f"{number}.conv.0.weight")
    plain = weights.shape(f"{number}.weight")
    if block is not None:
        return Block(block[1], block[0])
    if plain is not None:
        bias = f"{number}.bias" in weights
        return nn.Conv2d(plain[1], plain[0], 3, padding=1, bias=bias, stride=1 if decoding or bias else 2)
    if number == 0:
        return Clamp()
    return nn.ReLU() if number == 2 else nn.Upsample(scale_factor=2)
