"""Does a picture show what was asked? It does if no rendering of anything else is nearer to it.

Distances are mean absolute differences at 32×32. Every rendering that training could have shown takes part:
all objects, all backgrounds and their variants, all layouts and shifts.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from training.backgrounds import BACKGROUNDS, Background, variants
from training.compositions import LAYOUTS, SHIFTS, Composition, captions, held_out, render
from training.sprites import THINGS, Pixels, Sprites, Thing

SMALL = 32
Bank = NDArray[np.float32]
"""Classes × renderings of each × values."""


class Verdict(NamedTuple):
    """What came out as asked."""

    thing: bool
    background: bool
    place: bool


class Request(NamedTuple):
    """What is asked, in words and as a composition."""

    text: str
    wanted: Composition


def requests(number: int, seen: bool, layouts: Iterable[str] = ("large",), seed: int = 77) -> list[Request]:
    """A fixed list of different requests whose pair was seen in training, or held out from it.

    ValueError when there are not that many pairs, which bounds the search.
    """
    pairs = sum(held_out(thing, background) != seen for thing in THINGS for background in BACKGROUNDS)
    if number > pairs:
        raise ValueError(
            f"There are {pairs} {'seen' if seen else 'held-out'} pairs; {number} were asked for."
        )
    random = np.random.default_rng([seed, number, seen])
    found: dict[str, Request] = {}
    names = list(layouts)
    while len(found) < number:
        layout = names[random.integers(len(names))]
        chosen = random.choice(len(THINGS), 2 if layout == "pair" else 1, replace=False)
        background = BACKGROUNDS[random.integers(len(BACKGROUNDS))]
        wanted = Composition(layout, tuple(THINGS[i] for i in chosen), background)
        text = next(captions(wanted))
        if wanted.is_held_out != seen:
            found.setdefault(text, Request(text, wanted))
    return list(found.values())


def small(picture: Pixels) -> NDArray[np.float32]:
    """The picture at 32×32."""
    step = picture.shape[0] // SMALL
    squares = picture[..., :3].reshape(SMALL, step, SMALL, step, 3)
    reduced: NDArray[np.float32] = squares.mean(axis=(1, 3), dtype=np.float32)
    return reduced


@dataclass(frozen=True)
class Judge:
    """Compares pictures with renderings, each made once."""

    sprites: Sprites
    _rendered: dict[tuple[str, tuple[Thing, ...], Background], NDArray[np.float32]] = field(
        default_factory=dict
    )

    def __call__(self, wanted: Composition, picture: Pixels) -> Verdict:
        """What of the request is in the picture."""
        return Verdict(
            self.thing(wanted, picture), self.background(wanted, picture), self.place(wanted, picture)
        )

    def renderings(
        self, layout: str, things: tuple[Thing, ...], background: Background
    ) -> NDArray[np.float32]:
        """Every rendering of it, at 32×32: [R, 32, 32, 3]."""
        key = layout, things, background
        if key not in self._rendered:
            self._rendered[key] = np.stack(
                [
                    small(render(Composition(layout, things, background, variant, shift), self.sprites))
                    for variant in range(variants(background))
                    for shift in SHIFTS[layout]
                ]
            )
        return self._rendered[key]

    def thing(self, wanted: Composition, picture: Pixels) -> bool:
        """The object (of a pair: each half) is the nearest of all objects there on that background."""
        if wanted.layout != "pair":
            candidates = [self.renderings(wanted.layout, (t,), wanted.background) for t in THINGS]
            return nearest(candidates, small(picture)) == THINGS.index(wanted.things[0])
        doubles = [self.renderings("two", (t,), wanted.background) for t in THINGS]
        halves = (slice(0, SMALL // 2), slice(SMALL // 2, SMALL))
        return all(
            nearest([d[:, :, half] for d in doubles], small(picture)[:, half]) == THINGS.index(thing)
            for half, thing in zip(halves, wanted.things, strict=True)
        )

    def background(self, wanted: Composition, picture: Pixels) -> bool:
        """The background is the nearest of all backgrounds behind that object."""
        candidates = [self.renderings(wanted.layout, wanted.things, b) for b in BACKGROUNDS]
        return nearest(candidates, small(picture)) == BACKGROUNDS.index(wanted.background)

    def place(self, wanted: Composition, picture: Pixels) -> bool:
        """Size, side and number are the nearest of all layouts of that object on that background."""
        layouts = [name for name in LAYOUTS if name != "pair"] if wanted.layout != "pair" else ["pair"]
        if wanted.layout == "pair":
            swapped = wanted.things[::-1]
            pairs = [
                self.renderings("pair", things, wanted.background) for things in (wanted.things, swapped)
            ]
            return nearest(pairs, small(picture)) == 0
        candidates = [self.renderings(name, wanted.things, wanted.background) for name in layouts]
        return nearest(candidates, small(picture)) == layouts.index(wanted.layout)


def nearest(candidates: Sequence[NDArray[np.float32]], picture: NDArray[np.float32]) -> int:
    """Which class has the rendering nearest to the picture."""
    return int(np.argmin([np.abs(c - picture).mean(axis=(1, 2, 3)).min() for c in candidates]))


def sharpness(picture: Pixels) -> float:
    """Mean absolute slope: blur lowers it."""
    return float(np.abs(np.diff(picture, axis=0)).mean() + np.abs(np.diff(picture, axis=1)).mean())
