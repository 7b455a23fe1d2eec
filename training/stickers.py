"""Pictures as die-cut stickers, the style the LoRA learns: a white rim around the objects, and its shadow."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from training.backgrounds import painted
from training.compositions import Composition, coverage
from training.sprites import Pixels, Sprites, paste

RIM = 8.0
"""How wide the rim is, in pixels: a cell of the latent."""
SHADOW = {"soft": 2.5, "down": 3, "right": 2, "dark": 0.4}


def rim(covered: NDArray[np.float32]) -> NDArray[np.float32]:
    """How white each pixel is: the objects themselves and all that is nearer to them than `RIM`."""
    distance = ndimage.distance_transform_edt(covered < 0.5)
    white: NDArray[np.float32] = np.clip(RIM + 0.5 - distance, 0, 1).astype(np.float32)
    return white


def render_sticker(composition: Composition, sprites: Sprites) -> Pixels:
    """The picture of a composition as stickers, 128×128×3."""
    canvas = painted(composition.background.name, composition.variant).copy()
    white = rim(coverage(composition, sprites))
    shadow = ndimage.shift(ndimage.gaussian_filter(white, SHADOW["soft"]), (SHADOW["down"], SHADOW["right"]))
    canvas *= 1 - SHADOW["dark"] * shadow[..., None]
    canvas = canvas * (1 - white[..., None]) + white[..., None]
    for thing, side, left, top in composition.places():
        paste(canvas, sprites.scaled(thing.code, side), left, top)
    return canvas.astype(np.float32)
