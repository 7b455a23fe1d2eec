"""Putting pictures together: pasting through a mask, and the Porter-Duff operators."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from diffusion.images import to_batch


def paste(
    destination: Tensor,
    source: Tensor,
    x: int,
    y: int,
    mask: Tensor | None = None,
    unit: int = 1,
    stretch: bool = False,
) -> Tensor:
    """`source` (B×C×h×w) laid over `destination` (B×C×H×W) at `x`, `y`, where `mask` (B×any×any) is 1.

    `x` and `y` are pixels; one place of the tensors is `unit` of them (8 for latents). What sticks out is
    cut. `stretch` first brings the source to the size of the destination.
    """
    height, width = destination.shape[-2:]
    if stretch:
        source = F.interpolate(source, size=(height, width), mode="bilinear")
    source = to_batch(source, destination.shape[0])
    left = max(-source.shape[-1] * unit, min(x, width * unit)) // unit
    top = max(-source.shape[-2] * unit, min(y, height * unit)) // unit
    cover = _cover(mask, source)
    # The part of the source that lies inside the destination.
    rows = slice(max(0, -top), max(0, min(source.shape[-2], height - top)))
    columns = slice(max(0, -left), max(0, min(source.shape[-1], width - left)))
    result = destination.clone()
    place = result[..., top + rows.start : top + rows.stop, left + columns.start : left + columns.stop]
    cover, source = cover[..., rows, columns], source[..., rows, columns]
    place.copy_(cover * source + (1.0 - cover) * place)
    return result


def _cover(mask: Tensor | None, source: Tensor) -> Tensor:
    """How much of the source is seen, at its size: B×1×h×w."""
    if mask is None:
        return torch.ones_like(source)
    mask = mask.to(source).reshape(-1, 1, *mask.shape[-2:])
    return to_batch(F.interpolate(mask, size=source.shape[-2:], mode="bilinear"), source.shape[0])


def paste_feathered(destination: Tensor, source: Tensor, x: int, y: int, feather: int) -> Tensor:
    """`source` over `destination` (B×C×H×W) at `x`, `y`; inner edges fade in over `feather` places.

    Edges that lie on the border of the destination stay hard.
    """
    height, width = destination.shape[-2:]
    source = source[..., : max(0, height - y), : max(0, width - x)]
    rows, columns = source.shape[-2:]
    vertical = _ramps(rows, feather if y else 0, feather if y + rows < height else 0)
    horizontal = _ramps(columns, feather if x else 0, feather if x + columns < width else 0)
    cover = (vertical[:, None] * horizontal[None, :]).to(source)
    result = destination.clone()
    place = result[..., y : y + rows, x : x + columns]
    place.copy_(source * cover + place * (1.0 - cover))
    return result


def _ramps(size: int, start: int, end: int) -> Tensor:
    """Ones that rise over the first `start` and fall over the last `end` places."""
    return _ramp(size, start) * _ramp(size, end).flip(0)


def _ramp(size: int, length: int) -> Tensor:
    """Ones that rise from 1 / `length` over the first `length` places."""
    return ((torch.arange(size) + 1) / max(1, length)).clamp(max=1.0)


# Porter and Duff, "Compositing Digital Images" (1984), and the blends that joined them since. Colours are
# premultiplied: s, d those of source and destination, a, b their alphas; each gives the new colour and alpha.
Operator = Callable[[Tensor, Tensor, Tensor, Tensor], tuple[Tensor, Tensor]]

OPERATORS: dict[str, Operator] = {
    "ADD": lambda s, d, a, b: ((s + d).clamp(0, 1), (a + b).clamp(0, 1)),
    "CLEAR": lambda s, d, a, b: (torch.zeros_like(d), torch.zeros_like(b)),
    "DARKEN": lambda s, d, a, b: ((1 - b) * s + (1 - a) * d + torch.minimum(s, d), a + b - a * b),
    "DST": lambda s, d, a, b: (d, b),
    "DST_ATOP": lambda s, d, a, b: (a * d + (1 - b) * s, a),
    "DST_IN": lambda s, d, a, b: (a * d, a * b),
    "DST_OUT": lambda s, d, a, b: ((1 - a) * d, (1 - a) * b),
    "DST_OVER": lambda s, d, a, b: (d + (1 - b) * s, b + (1 - b) * a),
    "LIGHTEN": lambda s, d, a, b: ((1 - b) * s + (1 - a) * d + torch.maximum(s, d), a + b - a * b),
    "MULTIPLY": lambda s, d, a, b: (s * d, a * b),
    "OVERLAY": lambda s, d, a, b: (
        torch.where(2 * d < b, 2 * s * d, a * b - 2 * (b - s) * (a - d)),
        a + b - a * b,
    ),
    "SCREEN": lambda s, d, a, b: (s + d - s * d, a + b - a * b),
    "SRC": lambda s, d, a, b: (s, a),
    "SRC_ATOP": lambda s, d, a, b: (b * s + (1 - a) * d, b),
    "SRC_IN": lambda s, d, a, b: (b * s, a * b),
    "SRC_OUT": lambda s, d, a, b: ((1 - b) * s, (1 - b) * a),
    "SRC_OVER": lambda s, d, a, b: (s + (1 - a) * d, a + (1 - a) * b),
    "XOR": lambda s, d, a, b: ((1 - b) * s + (1 - a) * d, (1 - b) * a + (1 - a) * b),
}


def porter_duff(
    source: Tensor, source_alpha: Tensor, destination: Tensor, destination_alpha: Tensor, mode: str
) -> tuple[Tensor, Tensor]:
    """Colours (B×H×W×3, not premultiplied) and alphas (B×H×W) combined by one of `OPERATORS`."""
    a, b = source_alpha[..., None], destination_alpha[..., None]
    colour, alpha = OPERATORS[mode](source * a, destination * b, a, b)
    colour = torch.where(alpha > 1e-5, colour / alpha, torch.zeros_like(colour))
    return colour.clamp(0, 1), alpha[..., 0]
