"""The arithmetic of latents, B×C×H×W: at each place a vector of channels with a length and a direction."""

from torch import Tensor

from diffusion.images import convolve, sharpening_kernel


def length(x: Tensor) -> Tensor:
    """The lengths of the vectors, B×1×H×W."""
    return x.square().sum(dim=1, keepdim=True).sqrt()


def interpolate(a: Tensor, b: Tensor, ratio: float) -> Tensor:
    """`ratio` of `a` and the rest of `b`: directions are mixed and brought to the mixed length."""
    a_length, b_length = length(a), length(b)
    mixed = (a / a_length).nan_to_num() * ratio + (b / b_length).nan_to_num() * (1.0 - ratio)
    direction = (mixed / length(mixed)).nan_to_num()
    return direction * (a_length * ratio + b_length * (1.0 - ratio))


def tonemapped(x: Tensor, multiplier: float) -> Tensor:
    """`x` with its lengths compressed by Reinhard et al.'s operator (2002).

    White is `multiplier` times what lies five standard deviations above the mean length.
    """
    size = length(x) + 1e-10
    mean = size.mean(dim=(1, 2, 3), keepdim=True)
    deviation = size.std(dim=(1, 2, 3), keepdim=True)
    white = (deviation * 5 + mean) * multiplier
    compressed = size / white
    return x / size * (compressed / (compressed + 1.0) * white)


def sharpened(x: Tensor, radius: int, sigma: float, strength: float) -> Tensor:
    """`x` with its directions sharpened by an unsharp mask of 2 `radius` + 1 places; lengths are kept."""
    size = length(x) + 1e-6
    kernel = sharpening_kernel(2 * radius + 1, sigma, strength, x.device)
    return convolve(x / size, kernel) * size
