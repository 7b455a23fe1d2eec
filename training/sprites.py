"""The objects the default checkpoint can draw, and the sprites they are drawn with.

Sprites are Microsoft's Fluent Emoji in 3D (MIT), taken from the npm package `@lobehub/fluent-emoji-3d`:
WebP files of 256×256 RGBA named by code point. `training/README.md` says how to get them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Pixels = NDArray[np.float32]
"""Height × width × channels, 0…1; sprites have four channels, colour premultiplied by alpha."""

DEFAULT_FOLDER = Path.home() / ".cache" / "nodeloom-training" / "lobehub-fluent-emoji" / "assets"


@dataclass(frozen=True)
class Thing:
    """An object: its code point, its name, its plural, other words for it."""

    code: str
    name: str
    plural: str
    synonyms: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """The name first, then its synonyms."""
        return (self.name, *self.synonyms)


THINGS: tuple[Thing, ...] = (
    Thing("1f436", "dog", "dogs", ("puppy",)),
    Thing("1f431", "cat", "cats", ("kitten",)),
    Thing("1f98a", "fox", "foxes"),
    Thing("1f43c", "panda", "pandas"),
    Thing("1f981", "lion", "lions"),
    Thing("1f42f", "tiger", "tigers"),
    Thing("1f430", "rabbit", "rabbits", ("bunny",)),
    Thing("1f438", "frog", "frogs"),
    Thing("1f437", "pig", "pigs"),
    Thing("1f435", "monkey", "monkeys"),
    Thing("1f427", "penguin", "penguins"),
    Thing("1f989", "owl", "owls"),
    Thing("1f425", "chick", "chicks"),
    Thing("1f984", "unicorn", "unicorns"),
    Thing("1f419", "octopus", "octopuses"),
    Thing("1f98b", "butterfly", "butterflies"),
    Thing("1f422", "turtle", "turtles"),
    Thing("1f433", "whale", "whales"),
    Thing("1f41e", "ladybug", "ladybugs", ("ladybird",)),
    Thing("1f34e", "apple", "apples", ("red apple",)),
    Thing("1f353", "strawberry", "strawberries"),
    Thing("1f349", "watermelon", "watermelons"),
    Thing("1f34c", "banana", "bananas"),
    Thing("1f34d", "pineapple", "pineapples"),
    Thing("1f34b", "lemon", "lemons"),
    Thing("1f352", "cherry", "cherries", ("cherries",)),
    Thing("1f951", "avocado", "avocados"),
    Thing("1f344", "mushroom", "mushrooms"),
    Thing("1f354", "hamburger", "hamburgers", ("burger",)),
    Thing("1f355", "pizza", "pizzas"),
    Thing("1f369", "donut", "donuts", ("doughnut",)),
    Thing("1f9c1", "cupcake", "cupcakes"),
    Thing("1f680", "rocket", "rockets"),
    Thing("1f916", "robot", "robots"),
    Thing("1f47b", "ghost", "ghosts"),
    Thing("1f383", "pumpkin", "pumpkins"),
    Thing("26c4", "snowman", "snowmen"),
    Thing("1f33b", "sunflower", "sunflowers"),
    Thing("1f335", "cactus", "cacti"),
    Thing("2764-fe0f", "heart", "hearts", ("red heart",)),
    Thing("2b50", "star", "stars"),
    Thing("1f451", "crown", "crowns"),
    Thing("1f388", "balloon", "balloons"),
    Thing("1f381", "gift", "gifts", ("present",)),
    Thing("1f697", "car", "cars"),
    Thing("1f3e0", "house", "houses"),
    Thing("26bd", "soccer ball", "soccer balls", ("football",)),
    Thing("1f9f8", "teddy bear", "teddy bears"),
)


def by_name(name: str) -> Thing:
    """The object with that name or synonym; `KeyError` names what was asked for."""
    for thing in THINGS:
        if name in thing.names:
            return thing
    raise KeyError(f"there is no object called {name!r}")


@dataclass(frozen=True)
class Sprites(Mapping[str, Image.Image]):
    """The folder of sprites, read once each: code point → RGBA picture of 256×256."""

    folder: Path
    _read: dict[str, Image.Image] = field(default_factory=dict, repr=False)
    _scaled: dict[tuple[str, int], Pixels] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        if not self.folder.is_dir():
            raise FileNotFoundError(
                f"no sprites in {self.folder}: see training/README.md for the one command that gets them"
            )

    def __getitem__(self, code: str) -> Image.Image:
        if code not in self._read:
            self._read[code] = Image.open(self.folder / f"{code}.webp").convert("RGBA")
        return self._read[code]

    def __iter__(self) -> Iterator[str]:
        return (path.stem for path in sorted(self.folder.glob("*.webp")))

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def scaled(self, code: str, side: int) -> Pixels:
        """The sprite trimmed to what is visible, fitted into `side` × `side` pixels, on the bottom edge."""
        if (code, side) not in self._scaled:
            self._scaled[code, side] = fit(self[code], side)
        return self._scaled[code, side]


def fit(sprite: Image.Image, side: int) -> Pixels:
    """Trim, scale to a square of `side` pixels keeping proportions, stand on the bottom edge, premultiply."""
    visible = sprite.getchannel("A").point(lambda alpha: 255 if alpha > 12 else 0).getbbox()
    trimmed = premultiplied(np.asarray(sprite.crop(visible), np.float32) / np.float32(255))
    height, width = trimmed.shape[:2]
    scale = side / max(height, width)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    bands = [
        Image.fromarray(trimmed[..., band]).resize(size, Image.Resampling.LANCZOS, reducing_gap=None)
        for band in range(4)
    ]
    small = np.clip(np.stack([np.asarray(band) for band in bands], axis=-1), 0, 1)
    small[..., :3] = np.minimum(small[..., :3], small[..., 3:])  # where the filter overshoots
    canvas = np.zeros((side, side, 4), np.float32)
    left = (side - size[0]) // 2
    canvas[side - size[1] :, left : left + size[0]] = small
    return canvas


def premultiplied(rgba: Pixels) -> Pixels:
    """Colour times alpha, so that scaling and pasting need no division."""
    return np.concatenate([rgba[..., :3] * rgba[..., 3:], rgba[..., 3:]], axis=-1)


def paste(canvas: Pixels, sprite: Pixels, left: int, top: int) -> None:
    """Lay a premultiplied sprite over the canvas, in place; what falls outside is cut off."""
    height, width = canvas.shape[:2]
    x0, y0 = max(left, 0), max(top, 0)
    x1, y1 = min(left + sprite.shape[1], width), min(top + sprite.shape[0], height)
    if x0 >= x1 or y0 >= y1:
        return
    piece = sprite[y0 - top : y1 - top, x0 - left : x1 - left]
    canvas[y0:y1, x0:x1] = canvas[y0:y1, x0:x1] * (1 - piece[..., 3:]) + piece[..., :3]


def contact_sheet(pictures: Iterable[Pixels], columns: int, gap: int = 4) -> Image.Image:
    """Pictures of one size in rows, on white."""
    rows = [np.clip(picture[..., :3], 0, 1) for picture in pictures]
    height, width = rows[0].shape[:2]
    lines = -(-len(rows) // columns)
    sheet = np.ones((lines * (height + gap) + gap, columns * (width + gap) + gap, 3), np.float32)
    for index, picture in enumerate(rows):
        top = gap + index // columns * (height + gap)
        left = gap + index % columns * (width + gap)
        sheet[top : top + height, left : left + width] = picture
    return Image.fromarray((sheet * 255).round().astype(np.uint8))
