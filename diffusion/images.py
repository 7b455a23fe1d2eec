"""Pictures as tensors: resizing, cropping and smoothing of channel-first batches.

Everything here takes `B×C×H×W` (images, masks with one channel, latents alike) and changes nothing in place.
Resizing takes clips `B×C×T×H×W` too, frame by frame.
"""

import math
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

Method = Literal["nearest-exact", "bilinear", "area", "bicubic", "bislerp", "lanczos"]


def resize(x: Tensor, width: int, height: int, method: str, crop: str = "disabled") -> Tensor:
    """`x` at `width`×`height`; `crop="center"` first cuts the sides so that the proportions stay.

    `bislerp` turns vectors of channels from pixel to pixel (for latents); `lanczos` filters in 8 bits by PIL.
    """
    if x.ndim == 5:
        frames = resize(x.movedim(2, 1).flatten(0, 1), width, height, method, crop)
        return frames.reshape(x.shape[0], x.shape[2], *frames.shape[1:]).movedim(1, 2)
    if crop == "center":
        x = centre_cut(x, width, height)
    if method == "bislerp":
        return bislerp(x, width, height)
    if method == "lanczos":
        return lanczos(x, width, height)
    return F.interpolate(x, size=(height, width), mode=method)


def centre_cut(x: Tensor, width: int, height: int) -> Tensor:
    """The largest centred part of `x` with the proportions of `width`×`height`."""
    old_height, old_width = x.shape[-2:]
    old_aspect, aspect = old_width / old_height, width / height
    left = top = 0
    if old_aspect > aspect:
        left = round((old_width - old_width * (aspect / old_aspect)) / 2)
    elif old_aspect < aspect:
        top = round((old_height - old_height * (old_aspect / aspect)) / 2)
    return x[..., top : old_height - top, left : old_width - left]


def bislerp(x: Tensor, width: int, height: int) -> Tensor:
    """Bilinear resizing that turns each pixel's vector of channels on the sphere; lengths change linearly."""
    vectors = x.float().movedim(1, -1)  # B×H×W×C
    vectors = _slerp_along(vectors, 2, width)
    vectors = _slerp_along(vectors, 1, height)
    return vectors.movedim(-1, 1).to(x.dtype).contiguous()


def _slerp_along(vectors: Tensor, dim: int, size: int) -> Tensor:
    """`vectors` (channels last) resampled to `size` places along `dim`, half-pixel centres."""
    old = vectors.shape[dim]
    places = torch.arange(size, device=vectors.device, dtype=torch.float32)
    places = ((places + 0.5) * (old / size) - 0.5).clamp(0, old - 1)
    before = places.long()
    after = (before + 1).clamp(max=old - 1)
    shape = [1] * vectors.ndim
    shape[dim] = size
    ratio = (places - before).reshape(shape)
    return slerp(vectors.index_select(dim, before), vectors.index_select(dim, after), ratio)


def slerp(a: Tensor, b: Tensor, ratio: Tensor) -> Tensor:
    """From `a` to `b` (`…×C`) by `ratio` along the great circle; lengths change linearly (Shoemake 1985).

    Nearly parallel vectors give `a`; nearly opposite ones are interpolated linearly.
    """
    a_length, b_length = a.norm(dim=-1, keepdim=True), b.norm(dim=-1, keepdim=True)
    a_unit = torch.where(a_length == 0, torch.zeros_like(a), a / a_length)
    b_unit = torch.where(b_length == 0, torch.zeros_like(b), b / b_length)
    cosine = (a_unit * b_unit).sum(-1, keepdim=True)
    omega = torch.acos(cosine.clamp(-1, 1))
    sine = torch.sin(omega)
    turned = (torch.sin((1 - ratio) * omega) * a_unit + torch.sin(ratio * omega) * b_unit) / sine
    turned = turned * (a_length * (1 - ratio) + b_length * ratio)
    turned = torch.where(cosine > 1 - 1e-5, a, turned)
    return torch.where(cosine < 1e-5 - 1, a * (1 - ratio) + b * ratio, turned)


def lanczos(x: Tensor, width: int, height: int) -> Tensor:
    """Lanczos resizing in 8 bits by PIL, picture by picture; values outside 0…1 are cut off."""
    pixels = (255.0 * x.float().movedim(1, -1)).clamp(0, 255).to(torch.uint8).cpu().numpy()
    if pixels.shape[-1] in (3, 4):
        resized = [_lanczos_bytes(picture, width, height) for picture in pixels]
    else:
        planes = [
            [_lanczos_bytes(p, width, height) for p in np.moveaxis(picture, -1, 0)] for picture in pixels
        ]
        resized = [np.stack(picture, axis=-1) for picture in planes]
    scaled = torch.from_numpy(np.stack(resized).astype(np.float32) / 255.0)
    return scaled.movedim(-1, 1).to(x.device, x.dtype)


def _lanczos_bytes(pixels: NDArray[np.uint8], width: int, height: int) -> NDArray[np.uint8]:
    return np.asarray(Image.fromarray(pixels).resize((width, height), Image.Resampling.LANCZOS))


def to_batch(x: Tensor, size: int) -> Tensor:
    """`x` with exactly `size` rows: cut, or repeated from the start."""
    if x.shape[0] == size:
        return x
    if x.shape[0] > size:
        return x[:size]
    repeats = math.ceil(size / x.shape[0])
    return x.repeat(repeats, *[1] * (x.ndim - 1))[:size]


def like(x: Tensor, other: Tensor, repeat: bool = True) -> Tensor:
    """`x` brought to the height and width of `other` (bilinear, centre cut) and, if asked, to its batch."""
    if x.shape[1:] != other.shape[1:]:
        x = resize(x, other.shape[-1], other.shape[-2], "bilinear", "center")
    return to_batch(x, other.shape[0]) if repeat else x


def mask_like(mask: Tensor, latent: Tensor) -> Tensor:
    """A mask [h, w], [n, h, w] or [B, 1, (T,) h, w] of any size at that of a latent: [B or 1, 1, (T,) H, W].

    Of a clip [B, C, T, H, W] the pictures of a mask are frames, and are stretched over all of them. Latents
    of one axis [B, C, N] take masks of one axis.
    """
    mask, size = mask.to(latent), latent.shape[2:]
    if len(size) == 2:
        mask = mask.reshape(-1, 1, *mask.shape[-2:])
        return mask if mask.shape[2:] == size else resize(mask, size[1], size[0], "bilinear")
    if len(size) == 3:
        mask = mask if mask.ndim == 5 else mask.reshape(1, 1, -1, *mask.shape[-2:])
        return F.interpolate(mask, size=size, mode="trilinear")
    return F.interpolate(mask.reshape(-1, 1, mask.shape[-1]), size=size, mode="linear")


def gaussian_kernel(size: int, sigma: float, device: torch.device | None = None) -> Tensor:
    """`size`×`size` Gaussian weights of sum 1 on the square −1…1; `sigma` is in that unit, not in pixels."""
    axis = torch.linspace(-1, 1, size, device=device)
    square = axis[:, None] ** 2 + axis[None, :] ** 2
    weights = torch.exp(-square / (2.0 * sigma * sigma))
    return weights / weights.sum()


def sharpening_kernel(size: int, sigma: float, strength: float, device: torch.device | None = None) -> Tensor:
    """An unsharp mask as one `size`×`size` kernel of sum 1: the picture minus `strength` times its blur."""
    kernel = -strength * gaussian_kernel(size, sigma, device)
    kernel[size // 2, size // 2] += 1.0 - kernel.sum()
    return kernel


def convolve(x: Tensor, kernel: Tensor) -> Tensor:
    """Each channel of `x` filtered with one odd-sized 2-D `kernel`; the edges are mirrored."""
    pad_height, pad_width = kernel.shape[0] // 2, kernel.shape[1] // 2
    channels = x.shape[1]
    weights = kernel.to(x)[None, None].expand(channels, 1, *kernel.shape)
    return F.conv2d(mirror_pad(x, pad_width, pad_height), weights, groups=channels)


def mirror_pad(x: Tensor, width: int, height: int) -> Tensor:
    """`x` with mirrored margins of any size, also wider than the picture; the edge itself is not doubled."""
    rows = _mirrored(x.shape[-2], height, x.device)
    columns = _mirrored(x.shape[-1], width, x.device)
    return x.index_select(-2, rows).index_select(-1, columns)


def _mirrored(size: int, margin: int, device: torch.device) -> Tensor:
    """Indices 0…size−1 running back and forth, from −margin to size−1+margin."""
    index = torch.arange(-margin, size + margin, device=device)
    if size == 1:
        return torch.zeros_like(index)
    period = 2 * (size - 1)
    index = index.remainder(period)
    return torch.minimum(index, period - index)
