"""What objects stand on: twelve colours and eight painted scenes, the same pixels every time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from training.sprites import Pixels

SIDE = 128
VARIANTS = 3
"""How many versions of each scene are painted; a colour has one."""

Colour = tuple[int, int, int]


@dataclass(frozen=True)
class Background:
    """A background: its name, the words that place an object on it, whether it has a ground for shadows."""

    name: str
    phrases: tuple[str, ...]
    ground: bool = True
    colour: Colour | None = None


def _colour(name: str, rgb: Colour) -> Background:
    article = "an" if name[0] in "aeiou" else "a"
    return Background(
        name, (f"on {article} {name} background", f"on {name}", f"{name} background"), True, rgb
    )


COLOURS: tuple[Background, ...] = (
    _colour("red", (226, 72, 72)),
    _colour("orange", (247, 152, 62)),
    _colour("yellow", (252, 214, 82)),
    _colour("green", (92, 190, 104)),
    _colour("teal", (54, 178, 176)),
    _colour("blue", (74, 134, 236)),
    _colour("purple", (150, 98, 214)),
    _colour("pink", (248, 152, 190)),
    _colour("brown", (146, 104, 76)),
    _colour("gray", (148, 154, 164)),
    _colour("white", (244, 244, 246)),
    _colour("black", (36, 36, 44)),
)

SCENES: tuple[Background, ...] = (
    Background("meadow", ("in a meadow", "on the grass", "in a green field")),
    Background("beach", ("on the beach", "at the beach")),
    Background("desert", ("in the desert", "on sand dunes")),
    Background("snow", ("in the snow", "in winter")),
    Background("sunset", ("at sunset", "in front of a sunset")),
    Background("night", ("at night", "under the moon")),
    Background("space", ("in space", "in outer space"), ground=False),
    Background("ocean", ("under the sea", "underwater", "in the ocean"), ground=False),
)

BACKGROUNDS = COLOURS + SCENES


@cache
def painted(name: str, variant: int = 0) -> Pixels:
    """The background as pixels of 128×128×3. Do not write into it: it is shared."""
    background = next(b for b in BACKGROUNDS if b.name == name)
    if background.colour is not None:
        picture = _plain(background.colour)
    else:
        picture = _scene(PAINTERS[name], np.random.default_rng([variant, SCENES.index(background)]))
    picture.setflags(write=False)
    return picture


def variants(background: Background) -> int:
    """How many versions of it `painted` knows."""
    return 1 if background.colour is not None else VARIANTS


def _plain(colour: Colour) -> Pixels:
    """One colour, a little lighter around the middle and darker at the foot."""
    y, x = np.mgrid[0:SIDE, 0:SIDE].astype(np.float32) / (SIDE - 1)
    glow = np.exp(-(((x - 0.5) ** 2) + (y - 0.42) ** 2) / 0.18)
    light = 0.93 + 0.09 * glow - 0.05 * y
    lit: Pixels = np.clip(np.array(colour, np.float32) / 255 * light[..., None], 0, 1).astype(np.float32)
    return lit


Painter = Callable[[ImageDraw.ImageDraw, np.random.Generator, int], None]


def _scene(painter: Painter, random: np.random.Generator) -> Pixels:
    """Paint at four times the size, then reduce: smooth edges without any care in the painters."""
    large = SIDE * 4
    picture = Image.new("RGB", (large, large))
    painter(ImageDraw.Draw(picture), random, large)
    small = picture.filter(ImageFilter.GaussianBlur(3)).resize((SIDE, SIDE), Image.Resampling.BOX)
    return np.asarray(small, np.float32) / np.float32(255)


def _sky(draw: ImageDraw.ImageDraw, side: int, top: Colour, foot: Colour, share: float = 1.0) -> None:
    rows = int(side * share)
    for row in range(rows):
        mix = row / max(rows - 1, 1)
        draw.line(
            (0, row, side, row), fill=tuple(round(a + (b - a) * mix) for a, b in zip(top, foot, strict=True))
        )


def _hill(
    draw: ImageDraw.ImageDraw, side: int, centre: float, top: float, width: float, fill: Colour
) -> None:
    draw.ellipse(
        ((centre - width) * side, top * side, (centre + width) * side, (top + 1.2) * side), fill=fill
    )


def _disc(draw: ImageDraw.ImageDraw, side: int, x: float, y: float, radius: float, fill: Colour) -> None:
    draw.ellipse(
        ((x - radius) * side, (y - radius) * side, (x + radius) * side, (y + radius) * side), fill=fill
    )


def _cloud(draw: ImageDraw.ImageDraw, side: int, x: float, y: float, fill: Colour) -> None:
    for dx, dy, radius in ((-0.07, 0.012, 0.035), (0, 0, 0.05), (0.07, 0.012, 0.04)):
        _disc(draw, side, x + dx, y + dy, radius, fill)


def _meadow(draw: ImageDraw.ImageDraw, random: np.random.Generator, side: int) -> None:
    _sky(draw, side, (116, 190, 246), (214, 238, 252))
    _cloud(draw, side, random.uniform(0.12, 0.3), 0.13, (255, 255, 255))
    _cloud(draw, side, random.uniform(0.7, 0.9), 0.2, (250, 253, 255))
    _hill(draw, side, random.uniform(0.0, 0.3), 0.56, 0.8, (126, 200, 96))
    _hill(draw, side, random.uniform(0.7, 1.0), 0.62, 0.9, (104, 184, 80))
    _hill(draw, side, 0.5, 0.72, 1.4, (90, 170, 68))


def _beach(draw: ImageDraw.ImageDraw, random: np.random.Generator, side: int) -> None:
    _sky(draw, side, (104, 196, 248), (206, 240, 252), 0.5)
    _disc(draw, side, random.choice([0.15, 0.85]), 0.14, 0.075, (255, 232, 120))
    draw.rectangle((0, 0.48 * side, side, side), fill=(40, 160, 204))
    draw.rectangle((0, 0.56 * side, side, side), fill=(84, 196, 216))
    _hill(draw, side, random.uniform(0.3, 0.7), 0.63, 1.6, (228, 246, 246))
    _hill(draw, side, random.uniform(0.3, 0.7), 0.66, 1.6, (244, 216, 152))


def _desert(draw: ImageDraw.ImageDraw, random: np.random.Generator, side: int) -> None:
    _sky(draw, side, (250, 190, 116), (255, 232, 184))
    _disc(draw, side, random.choice([0.18, 0.82]), 0.17, 0.085, (255, 246, 206))
    _hill(draw, side, random.uniform(0.0, 0.3), 0.56, 0.7, (228, 162, 88))
    _hill(draw, side, random.uniform(0.7, 1.0), 0.6, 0.8, (214, 144, 72))
    _hill(draw, side, 0.5, 0.74, 1.5, (236, 176, 100))


def _snow(draw: ImageDraw.ImageDraw, random: np.random.Generator, side: int) -> None:
    _sky(draw, side, (150, 184, 222), (222, 234, 246))
    for x in (0.08, random.uniform(0.2, 0.26), random.uniform(0.76, 0.82), 0.93):
        for level, width in ((0.40, 0.05), (0.47, 0.075), (0.54, 0.1)):
            triangle = ((x, level - 0.1), (x - width, level + 0.07), (x + width, level + 0.07))
            draw.polygon([(a * side, b * side) for a, b in triangle], fill=(92, 136, 134))
    _hill(draw, side, random.uniform(0.1, 0.3), 0.58, 0.9, (234, 241, 250))
    _hill(draw, side, random.uniform(0.7, 0.9), 0.66, 1.1, (246, 249, 254))


def _sunset(draw: ImageDraw.ImageDraw, random: np.random.Generator, side: int) -> None:
    _sky(draw, side, (92, 62, 138), (255, 150, 92), 0.66)
    _disc(draw, side, random.choice([0.25, 0.5, 0.75]), 0.56, 0.15, (255, 218, 120))
    draw.rectangle((0, 0.64 * side, side, side), fill=(104, 58, 104))
    _hill(draw, side, random.uniform(0.2, 0.8), 0.72, 1.4, (74, 42, 84))


def _night(draw: ImageDraw.ImageDraw, random: np.random.Generator, side: int) -> None:
    _sky(draw, side, (16, 22, 60), (50, 66, 128))
    for x, y in random.uniform((0, 0), (1, 0.55), (14, 2)):
        _disc(draw, side, x, y, 0.009, (236, 240, 255))
    moon = random.choice([0.16, 0.84])
    _disc(draw, side, moon, 0.16, 0.085, (250, 244, 208))
    _hill(draw, side, random.uniform(0.1, 0.4), 0.66, 0.9, (34, 52, 84))
    _hill(draw, side, random.uniform(0.6, 0.9), 0.74, 1.2, (26, 40, 66))


def _space(draw: ImageDraw.ImageDraw, random: np.random.Generator, side: int) -> None:
    _sky(draw, side, (18, 8, 40), (54, 22, 84))
    for x, y in random.uniform(0, 1, (34, 2)):
        _disc(draw, side, x, y, random.uniform(0.006, 0.011), (244, 240, 255))
    x = random.choice([0.14, 0.86])
    _disc(draw, side, x, 0.15, 0.095, (232, 140, 96))
    _disc(draw, side, x - 0.02, 0.13, 0.06, (244, 168, 122))


def _ocean(draw: ImageDraw.ImageDraw, random: np.random.Generator, side: int) -> None:
    _sky(draw, side, (66, 190, 232), (10, 66, 138))
    for x, y in random.uniform((0, 0.05), (1, 0.75), (12, 2)):
        radius = random.uniform(0.012, 0.024)
        _disc(draw, side, x, y, radius, (150, 222, 244))
        _disc(draw, side, x, y, radius * 0.6, (92, 196, 232))
    _hill(draw, side, random.uniform(0.2, 0.8), 0.86, 1.2, (206, 188, 138))


PAINTERS: dict[str, Painter] = {
    "meadow": _meadow,
    "beach": _beach,
    "desert": _desert,
    "snow": _snow,
    "sunset": _sunset,
    "night": _night,
    "space": _space,
    "ocean": _ocean,
}
