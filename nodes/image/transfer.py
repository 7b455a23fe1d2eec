"""The arithmetic of taking over colours. Images are …×H×W×3 tensors of sRGB between 0 and 1."""

import torch
from torch import Tensor

# CIE 1931 under D65, from IEC 61966-2-1 (sRGB)
XYZ = torch.tensor(
    [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
)
WHITE = torch.tensor([0.95047, 1.0, 1.08883])
EDGE = 6 / 29
LEAST = 1e-6


def colours_moved(image: Tensor, measured: Tensor, like: Tensor, method: str) -> Tensor:
    """`image` H×W×3, changed as would bring the colours of `measured` to those of `like` (both B×H×W×3).

    `reinhard_lab`: mean and spread of each channel of CIELAB (Reinhard et al. 2001, Color Transfer between
    Images). `mkl_lab`: the linear map of least change between the two covariances (Pitié & Kokaram 2007, The
    linear Monge-Kantorovitch linear colour mapping). `histogram`: each channel of RGB by its distribution.
    """
    if method == "histogram":
        channels = [_by_rank(image[..., c], measured[..., c], like[..., c]) for c in range(3)]
        return torch.stack(channels, dim=-1)
    x, source, target = (lab_of(each).reshape(-1, 3).double() for each in (image, measured, like))
    mean, wanted = source.mean(0), target.mean(0)
    if method == "reinhard_lab":
        change = torch.diag(target.std(0, unbiased=False) / source.std(0, unbiased=False).clamp_min(LEAST))
    else:
        change = _monge_kantorovich(_covariance(source), _covariance(target))
    moved = (x - mean) @ change.T + wanted
    return rgb_of_lab(moved.float().reshape(image.shape)).clamp(0, 1)


def _covariance(x: Tensor) -> Tensor:
    centred = x - x.mean(0)
    return centred.T @ centred / len(x) + LEAST * torch.eye(3, dtype=x.dtype)


def _monge_kantorovich(source: Tensor, target: Tensor) -> Tensor:
    """A⁻½ (A½ B A½)½ A⁻½ for covariances A and B."""
    root, inverse = _root(source), torch.linalg.inv(_root(source))
    change: Tensor = inverse @ _root(root @ target @ root) @ inverse
    return change


def _root(matrix: Tensor) -> Tensor:
    values, vectors = torch.linalg.eigh(matrix)
    root: Tensor = vectors @ torch.diag(values.clamp_min(0).sqrt()) @ vectors.T
    return root


def _by_rank(x: Tensor, measured: Tensor, like: Tensor) -> Tensor:
    """Values moved to where the same share of `like` lies below them as of `measured`."""
    ordered = measured.flatten().sort().values
    below = torch.searchsorted(ordered, x.flatten().contiguous(), right=False)
    upto = torch.searchsorted(ordered, x.flatten().contiguous(), right=True)
    share = (below + upto).double() / (2 * len(ordered))
    wanted = like.flatten().sort().values
    place = (share * len(wanted) - 0.5).clamp(0, len(wanted) - 1)
    low, high = wanted[place.floor().long()], wanted[place.ceil().long()]
    return torch.lerp(low, high, (place - place.floor()).to(low)).reshape(x.shape)


def linear_of(rgb: Tensor) -> Tensor:
    """Light of sRGB values (IEC 61966-2-1)."""
    return torch.where(rgb <= 0.04045, rgb / 12.92, ((rgb.clamp_min(0) + 0.055) / 1.055) ** 2.4)


def srgb_of(light: Tensor) -> Tensor:
    """sRGB values of light (IEC 61966-2-1)."""
    return torch.where(light <= 0.0031308, light * 12.92, 1.055 * light.clamp_min(0) ** (1 / 2.4) - 0.055)


def lab_of(rgb: Tensor) -> Tensor:
    """CIELAB of sRGB, under D65: L 0…100, a and b about −128…127."""
    ratio = linear_of(rgb) @ XYZ.to(rgb).T / WHITE.to(rgb)
    f = torch.where(ratio > EDGE**3, ratio.clamp_min(0) ** (1 / 3), ratio / (3 * EDGE**2) + 4 / 29)
    x, y, z = f.unbind(-1)
    return torch.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], dim=-1)


def rgb_of_lab(lab: Tensor) -> Tensor:
    """sRGB of CIELAB, not clamped."""
    lightness, a, b = lab.unbind(-1)
    y = (lightness + 16) / 116
    f = torch.stack([y + a / 500, y, y - b / 200], dim=-1)
    ratio = torch.where(f > EDGE, f**3, 3 * EDGE**2 * (f - 4 / 29))
    return srgb_of(ratio * WHITE.to(lab) @ torch.linalg.inv(XYZ).to(lab).T)
