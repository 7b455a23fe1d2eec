"""FreeU: stronger backbone features and weaker high frequencies in the skips (Si et al. 2023, 2309.11497).

Both act where an output block joins stream and skip, at the two lowest resolutions: where the stream is four
or two times as wide as the network's first layer.
"""

from __future__ import annotations

import torch
from torch import Tensor

from diffusion.hooks import Place
from diffusion.model import Model

Strengths = dict[int, tuple[float, float]]
"""Width of the stream → factors on the stream's first half and on the skip's low frequencies."""


def freeu(model: Model, b1: float, b2: float, s1: float, s2: float) -> Model:
    """The first version: one factor for all places."""
    strengths = _strengths(model, b1, b2, s1, s2)

    def join(place: Place, h: Tensor, skip: Tensor) -> tuple[Tensor, Tensor]:
        if h.shape[1] not in strengths:
            return h, skip
        b, s = strengths[h.shape[1]]
        return _first_half_times(h, b), scaled_low_frequencies(skip, s)

    return model.with_hook("block.output", join)


def freeu_v2(model: Model, b1: float, b2: float, s1: float, s2: float) -> Model:
    """The second version: the factor grows with the mean feature at each place."""
    strengths = _strengths(model, b1, b2, s1, s2)

    def join(place: Place, h: Tensor, skip: Tensor) -> tuple[Tensor, Tensor]:
        if h.shape[1] not in strengths:
            return h, skip
        b, s = strengths[h.shape[1]]
        mean = h.mean(dim=1, keepdim=True)
        low, high = mean.amin(dim=(2, 3), keepdim=True), mean.amax(dim=(2, 3), keepdim=True)
        share = (mean - low) / (high - low)
        return _first_half_times(h, (b - 1) * share + 1), scaled_low_frequencies(skip, s)

    return model.with_hook("block.output", join)


def scaled_low_frequencies(x: Tensor, scale: float, reach: int = 1) -> Tensor:
    """`x` (B×C×H×W) with its lowest spatial frequencies, `reach` in each direction, times `scale`."""
    spectrum = torch.fft.fftshift(torch.fft.fftn(x.float(), dim=(-2, -1)), dim=(-2, -1))
    row, column = x.shape[-2] // 2, x.shape[-1] // 2
    spectrum[..., row - reach : row + reach, column - reach : column + reach] *= scale
    changed: Tensor = torch.fft.ifftn(torch.fft.ifftshift(spectrum, dim=(-2, -1)), dim=(-2, -1)).real
    return changed.to(x.dtype)


def _first_half_times(h: Tensor, factor: float | Tensor) -> Tensor:
    half = h.shape[1] // 2
    return torch.cat([h[:, :half] * factor, h[:, half:]], dim=1)


def _strengths(model: Model, b1: float, b2: float, s1: float, s2: float) -> Strengths:
    width = base_width(model)
    return {width * 4: (b1, s1), width * 2: (b2, s2)}


def base_width(model: Model) -> int:
    """The channels of a UNet's first layer."""
    shape = model.backbone.weights["input_blocks.0.0.weight"].shape
    return shape[0]
