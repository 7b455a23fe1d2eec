"""What a run looks like before it is done: the clean estimate of a step as a small picture.

A previewer takes a step's `denoised` [B, C, h, w], scaled as the model sees it, and shows the first of it.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from diffusion.latents.latent_format import LatentFormat

Picture = NDArray[np.uint8]  # [height, width, 3]
Previewer = Callable[[Tensor], Picture]
Decode = Callable[[Tensor], Tensor]  # unscaled latent [B, C, h, w] → image [B, H, W, 3] in 0…1


def rough(format: LatentFormat) -> Previewer | None:
    """A previewer that mixes the channels into colours, a pixel for each place; None if no mix is known."""
    return (lambda denoised: as_picture(format.colours(denoised[:1]))) if format.rgb else None


def decoded(format: LatentFormat, decode: Decode) -> Previewer:
    """A previewer through a decoder, such as a TAESD's `decode`."""

    def preview(denoised: Tensor) -> Picture:
        with torch.no_grad():
            return as_picture(decode(format.out_of(denoised[:1])))

    return preview


def as_picture(images: Tensor) -> Picture:
    """The first of images [B, H, W, 3] in 0…1, in bytes."""
    picture: Picture = (images[0].float() * 255).clamp(0, 255).to(torch.uint8).cpu().numpy()
    return picture
