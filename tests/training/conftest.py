"""Stand-in sprites: one coloured shape for each object, drawn here, so that no download is needed."""

from __future__ import annotations

import colorsys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from training.sprites import THINGS, Sprites


@pytest.fixture(scope="session")
def sprites(tmp_path_factory: pytest.TempPathFactory) -> Sprites:
    """A folder like the package's: WebP of 256×256 RGBA, named by code point."""
    folder: Path = tmp_path_factory.mktemp("assets")
    random = np.random.default_rng(0)
    for index, thing in enumerate(THINGS):
        picture = Image.new("RGBA", (256, 256))
        draw = ImageDraw.Draw(picture)
        red, green, blue = (round(255 * v) for v in colorsys.hsv_to_rgb(index / len(THINGS), 0.9, 0.9))
        corners = [tuple(map(float, p)) for p in random.uniform(20, 236, (5, 2))]
        draw.polygon(corners, fill=(red, green, blue, 255))
        draw.ellipse((60, 90, 60 + 2 * index + 20, 200), fill=(blue, red, green, 255))
        picture.save(folder / f"{thing.code}.webp", lossless=True)
    return Sprites(folder)
