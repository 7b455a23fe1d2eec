"""A composition is what a picture shows: objects in places on a background. It renders and captions itself.

Sizes and places are few and lie on the autoencoder's grid of 8 pixels: equal things have equal latents.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray

from training.backgrounds import BACKGROUNDS, COLOURS, SIDE, Background, painted, variants
from training.sprites import THINGS, Pixels, Sprites, Thing, paste

LAYOUTS = {
    "large": 0.60,
    "small": 0.08,
    "left": 0.06,
    "right": 0.06,
    "pair": 0.10,
    "two": 0.06,
    "three": 0.04,
}
"""How often each layout is drawn."""

HELD_OUT_EVERY = 12
"""One (object, background) in so many is never shown in training."""


@dataclass(frozen=True)
class Composition:
    """One picture: layout, objects from left to right, background and its variant, shift in latent cells."""

    layout: str
    things: tuple[Thing, ...]
    background: Background
    variant: int = 0
    shift: tuple[int, int] = (0, 0)

    @property
    def is_held_out(self) -> bool:
        """Whether any of its (object, background) pairs is kept for the test."""
        return any(held_out(thing, self.background) for thing in self.things)

    def places(self) -> list[tuple[Thing, int, int, int]]:
        """(object, side, left, top) of each, in pixels."""
        dx, dy = (8 * cells for cells in self.shift)
        side, corners = CORNERS[self.layout]
        things = self.things * (len(corners) // len(self.things))
        return [(thing, side, x + dx, y + dy) for thing, (x, y) in zip(things, corners, strict=True)]


CORNERS: dict[str, tuple[int, tuple[tuple[int, int], ...]]] = {
    "large": (96, ((16, 16),)),
    "small": (48, ((40, 56),)),
    "left": (64, ((0, 40),)),
    "right": (64, ((64, 40),)),
    "pair": (64, ((0, 40), (64, 40))),
    "two": (64, ((0, 40), (64, 40))),
    "three": (48, ((40, 8), (8, 64), (72, 64))),
}

SHIFTS: dict[str, tuple[tuple[int, int], ...]] = dict.fromkeys(LAYOUTS, ((0, 0),))
"""By how many latent cells each layout may be moved. One place each: six of them for the large objects, as
were tried first, made the denoiser learn several times slower, and what it drew blurred."""


def held_out(thing: Thing, background: Background) -> bool:
    """Whether the pair is kept out of training (spread evenly over objects and backgrounds)."""
    return (THINGS.index(thing) * 7 + BACKGROUNDS.index(background) * 5) % HELD_OUT_EVERY == 0


def draw(random: np.random.Generator, layouts: dict[str, float] = LAYOUTS) -> Composition:
    """A composition for training; never one that is held out."""
    names = list(layouts)
    weights = np.array([layouts[name] for name in names])
    while True:
        layout = names[random.choice(len(names), p=weights / weights.sum())]
        count = 2 if layout == "pair" else 1
        things = tuple(THINGS[i] for i in random.choice(len(THINGS), count, replace=False))
        pool = COLOURS if random.random() < 0.62 else BACKGROUNDS[len(COLOURS) :]
        background = pool[random.integers(len(pool))]
        shift = SHIFTS[layout][random.integers(len(SHIFTS[layout]))]
        found = Composition(layout, things, background, int(random.integers(variants(background))), shift)
        if not found.is_held_out:
            return found


def render(composition: Composition, sprites: Sprites) -> Pixels:
    """The picture, 128×128×3."""
    canvas = painted(composition.background.name, composition.variant).copy()
    placed = composition.places()
    if composition.background.ground:
        for thing, side, left, top in placed:
            shade(canvas, sprites.scaled(thing.code, side), left, top)
    for thing, side, left, top in placed:
        paste(canvas, sprites.scaled(thing.code, side), left, top)
    return canvas


def coverage(composition: Composition, sprites: Sprites) -> NDArray[np.float32]:
    """How far each pixel is covered by an object, H×W of 0…1."""
    canvas = np.zeros((SIDE, SIDE, 3), np.float32)
    for thing, side, left, top in composition.places():
        paste(canvas, np.repeat(sprites.scaled(thing.code, side)[..., 3:], 4, axis=-1), left, top)
    return canvas[..., 0]


def shade(canvas: Pixels, sprite: Pixels, left: int, top: int) -> None:
    """Darken the ground under a sprite by a soft ellipse, in place."""
    side = sprite.shape[0]
    foot = np.flatnonzero(sprite[int(side * 0.75) :, :, 3].max(axis=0) > 0.3)
    if not len(foot):
        return
    middle, half = left + (foot[0] + foot[-1]) / 2, max(foot[-1] - foot[0], side // 4) / 2
    y, x = np.mgrid[0:SIDE, 0:SIDE]
    distance = ((x - middle) / (half * 1.05)) ** 2 + ((y - (top + side - side * 0.02)) / (side * 0.075)) ** 2
    canvas *= 1 - 0.34 * np.exp(-1.2 * distance)[..., None].astype(np.float32)


def captions(composition: Composition) -> Iterator[str]:
    """Every caption of the picture that names its background; the plainest first."""
    for phrase in composition.background.phrases:
        for subject in subjects(composition):
            yield (
                f"{subject}, {phrase}"
                if phrase.endswith(" background") and phrase[:3] != "on "
                else (f"{subject} {phrase}")
            )


def subjects(composition: Composition) -> Iterator[str]:
    """The words for what stands in the picture, without the background."""
    first = composition.things[0]
    if composition.layout == "pair":
        for left, right in product(first.names, composition.things[1].names):
            yield f"{with_article(left)} and {with_article(right)}"
            yield f"{left} and {right}"
    elif composition.layout in ("two", "three"):
        yield f"{composition.layout} {first.plural}"
    elif composition.layout == "small":
        for name in first.names:
            yield from (f"a small {name}", f"a tiny {name}", f"small {name}")
    elif composition.layout in ("left", "right"):
        for name in first.names:
            yield f"{with_article(name)} on the {composition.layout}"
            yield f"{name} on the {composition.layout}"
    else:
        for name in first.names:
            yield from (with_article(name), name, f"a picture of {with_article(name)}", f"a cute {name}")
            yield f"a large {name}"


def with_article(name: str) -> str:
    """“a fox”, “an apple”; a plural stays as it is."""
    if name == "cherries":
        return name
    return f"{'an' if name[0] in 'aeio' else 'a'} {name}"


def caption(composition: Composition, random: np.random.Generator) -> str:
    """One caption: mostly plain, one in twelve without the background."""
    if random.random() < 1 / 12:
        choices = list(subjects(composition))
    else:
        choices = list(captions(composition))
        if random.random() < 0.4:
            return choices[0]
    return choices[random.integers(len(choices))]
