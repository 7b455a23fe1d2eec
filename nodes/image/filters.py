"""What looks at a pixel's surroundings: blur, sharpening, morphology, edges."""

import math
from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from scipy import ndimage
from torch import Tensor

from diffusion.images import convolve, gaussian_kernel, sharpening_kernel
from nodes.image.pictures import channels_first, channels_last


def blurred(image: Tensor, radius: int, sigma: float) -> Tensor:
    """`image` smoothed by a Gaussian of 2 `radius` + 1 pixels; `sigma` in units of the radius."""
    kernel = gaussian_kernel(2 * radius + 1, sigma, image.device)
    return channels_last(convolve(channels_first(image), kernel))


def sharpened(image: Tensor, radius: int, sigma: float, alpha: float) -> Tensor:
    """`image` minus ten times `alpha` of its blur, brightness kept."""
    kernel = sharpening_kernel(2 * radius + 1, sigma, 10 * alpha, image.device)
    return channels_last(convolve(channels_first(image), kernel)).clamp(0, 1)


# Morphology with a square of ones, its centre at size // 2; beyond the border nothing counts.


def dilated(x: Tensor, size: int) -> Tensor:
    """The largest value in the `size`×`size` square around each place of `x` (B×C×H×W)."""
    before, after = size // 2, size - 1 - size // 2
    for dim in (-1, -2):
        margins = (before, after, 0, 0) if dim == -1 else (0, 0, before, after)
        window = (1, size) if dim == -1 else (size, 1)
        x = F.max_pool2d(F.pad(x, margins, value=-math.inf), window, stride=1)
    return x


def eroded(x: Tensor, size: int) -> Tensor:
    """The smallest value in the `size`×`size` square around each place of `x` (B×C×H×W)."""
    return -dilated(-x, size)


MORPHOLOGY: dict[str, Callable[[Tensor, int], Tensor]] = {
    "erode": eroded,
    "dilate": dilated,
    "open": lambda x, size: dilated(eroded(x, size), size),
    "close": lambda x, size: eroded(dilated(x, size), size),
    "gradient": lambda x, size: dilated(x, size) - eroded(x, size),
    "bottom_hat": lambda x, size: eroded(dilated(x, size), size) - x,
    "top_hat": lambda x, size: x - dilated(eroded(x, size), size),
}


# Canny edges ("A Computational Approach to Edge Detection", 1986).

_NEIGHBOURS = ((0, 1), (1, 1), (1, 0), (1, -1), (0, -1), (-1, -1), (-1, 0), (-1, 1))  # (row, column), per 45°


def canny(image: Tensor, low: float, high: float) -> Tensor:
    """Edges of `image` (B×H×W×3) as a B×H×W tensor of 0 and 1.

    Gradients above `high` are edges, those above `low` are where they touch one.
    """
    red, green, blue = image[..., :3].float().unbind(-1)
    grey = 0.299 * red + 0.587 * green + 0.114 * blue
    gradient, angle = _gradients(_smoothed(grey[:, None]))
    thin = _thinned(gradient, angle)
    return torch.stack([_linked(edge, low, high) for edge in thin[:, 0]])


def _smoothed(x: Tensor) -> Tensor:
    """`x` blurred by a 5×5 Gaussian of one pixel's width."""
    axis = torch.arange(-2.0, 3.0)
    weights = torch.exp(-(axis**2) / 2)
    weights = weights / weights.sum()
    return convolve(x, weights[:, None] * weights[None, :])


def _gradients(x: Tensor) -> tuple[Tensor, Tensor]:
    """Length and direction (in eighths of a turn, 0…7) of the Sobel gradient of `x` (B×1×H×W)."""
    sobel = torch.tensor([[-1.0, 0.0, 1.0], [-2.0, 0.0, 2.0], [-1.0, 0.0, 1.0]], device=x.device)
    kernels = torch.stack([sobel, sobel.T])[:, None]
    gradient = F.conv2d(F.pad(x, (1, 1, 1, 1), mode="replicate"), kernels)
    across, down = gradient[:, :1], gradient[:, 1:]
    length = torch.sqrt(across**2 + down**2 + 1e-6)
    turn = torch.round(torch.atan2(down, across) / (math.pi / 4)).long() % 8
    return length, turn


def _thinned(length: Tensor, turn: Tensor) -> Tensor:
    """`length` where it beats both neighbours along the gradient, else 0."""
    height, width = length.shape[-2:]
    around = F.pad(length, (1, 1, 1, 1))
    shifted = [around[..., 1 + dy : 1 + dy + height, 1 + dx : 1 + dx + width] for dy, dx in _NEIGHBOURS]
    neighbours = torch.cat(shifted, dim=1)
    ahead, behind = neighbours.gather(1, turn), neighbours.gather(1, (turn + 4) % 8)
    return length * ((length > ahead) & (length > behind))


def _linked(length: Tensor, low: float, high: float) -> Tensor:
    """The connected regions of `length` (H×W) above `low` that reach above `high` somewhere."""
    candidate = (length > low).cpu().numpy()
    strong = (length > high).cpu().numpy()
    labels, _ = ndimage.label(candidate, structure=np.ones((3, 3)))
    kept = np.isin(labels, np.unique(labels[strong & candidate]))
    return torch.from_numpy((kept & candidate).astype(np.float32)).to(length.device)
