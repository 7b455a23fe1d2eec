"""Self-attention guidance: away from an estimate of what is blurred where the network looks.

Hong et al. 2022, https://arxiv.org/abs/2210.00939. The middle block's self-attention in the pass without the
text says which places matter; there the clean estimate is blurred, noised again and asked about once more.
As ComfyUI computes it: latents too small for the blur stay as they are, and the noise is what the plain
estimate left, x - D⁻, whatever the kind of noise.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from diffusion.denoising import NUMBERS
from diffusion.guidance.estimates import Predictions
from diffusion.guidance.guidance import Call
from diffusion.hooks import Hook, Place
from diffusion.model import Model
from diffusion.networks.attention import attention_weights
from diffusion.remembering import methods

KERNEL = 9
TOO_SMALL = KERNEL // 2  # a side of the latent that cannot be reflected at its edges
MATTERS = 1.0  # the attention a place gets from all places together, on average over the heads


@dataclass
class Watching:
    """One run: the attention that was seen last, and the guidance that follows from it."""

    scale: float
    blur: float
    attention: Tensor | None = None
    asking: bool = False

    def attend(self, place: Place, q: Tensor, k: Tensor, v: Tensor, attend: Hook) -> Tensor:
        """Attention as usual, noted for the negative's rows."""
        numbers = place.call.get("parts", ())
        if not self.asking and matters(place, q, k) and NUMBERS["negative"] in numbers:
            rows = len(q) // len(numbers)
            first = numbers.index(NUMBERS["negative"]) * rows
            mine = slice(first, first + rows)
            self.attention = attention_weights(q[mine], k[mine], place.heads)
        out: Tensor = attend(q, k, v)
        return out

    def after(self, call: Call, denoised: Tensor, predictions: Predictions, scale: float) -> Tensor:
        """Guided away from the blurred estimate's own."""
        if self.attention is None or min(call.x.shape[2:]) <= TOO_SMALL:
            return denoised
        negative = predictions["negative"]
        degraded = blurred_where_seen(negative, self.attention, self.blur)
        self.asking = True
        weak = call.estimate("negative", x=call.x + degraded - negative)
        self.asking = False
        return denoised + self.scale * (degraded - weak)

    after.needs_negative = True  # type: ignore[attr-defined]  # read by `guidance.wants_negative`


def matters(place: Place, q: Tensor, k: Tensor) -> bool:
    """Whether this is the first self-attention in the middle, over all places."""
    whole = place.size[0] * place.size[1]
    return (place.block, place.transformer) == ("middle", 0) and q.shape[1] == k.shape[1] == whole


def self_attention_guidance(model: Model, scale: float, blur: float) -> Model:
    """The model guided away from estimates blurred by a Gaussian of width `blur`, at a scale."""
    if scale == 0:
        return model
    attend, after = methods(lambda: Watching(scale, blur), "attend", "after")
    return model.with_hook("attention.self.attend", attend).with_hook("guidance.after", after)


def blurred_where_seen(clean: Tensor, attention: Tensor, sigma: float) -> Tensor:
    """`clean` [B, C, H, W], blurred where attention [B, heads, N, N] goes."""
    seen = attention.mean(dim=1).sum(dim=1) > MATTERS
    mask = seen.reshape(-1, 1, *grid(seen.shape[1], (clean.shape[2], clean.shape[3]))).to(clean)
    mask = F.interpolate(mask, clean.shape[2:])
    return gaussian_blurred(clean, sigma) * mask + clean * (1 - mask)


def grid(count: int, latent: tuple[int, int]) -> tuple[int, int]:
    """Rows × columns that hold `count` places, as near to the latent's proportions as can be."""
    near = max(1, round(math.sqrt(latent[0] / latent[1] * count)))
    tried = (rows for step in itertools.count() for rows in (near + step, max(1, near - step)))
    rows = next(rows for rows in tried if count % rows == 0)
    return rows, count // rows


def gaussian_blurred(x: Tensor, sigma: float, kernel: int = KERNEL) -> Tensor:
    """x [B, C, H, W] under a Gaussian window, reflected at the edges; a sigma of 0 changes nothing."""
    if sigma <= 0:
        return x
    reach = min(kernel // 2, min(x.shape[2:]) - 1)
    places = torch.arange(-reach, reach + 1, device=x.device, dtype=x.dtype)
    weights = torch.exp(-0.5 * (places / sigma) ** 2)
    weights = weights / weights.sum()
    channels = x.shape[1]
    window = (weights[:, None] * weights[None]).expand(channels, 1, -1, -1)
    return F.conv2d(F.pad(x, (reach,) * 4, mode="reflect"), window, groups=channels)
