"""Pictures and captions belong together, and what is held out stays out."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from training.backgrounds import BACKGROUNDS, COLOURS, painted, variants
from training.compositions import (
    CORNERS,
    LAYOUTS,
    SHIFTS,
    Composition,
    caption,
    captions,
    draw,
    held_out,
    render,
    subjects,
)
from training.sprites import THINGS, Sprites, by_name


def test_the_same_composition_gives_the_same_bytes(sprites: Sprites) -> None:
    random = np.random.default_rng(0)
    for composition in (draw(random) for _ in range(20)):
        again = render(composition, Sprites(sprites.folder))
        assert np.array_equal(render(composition, sprites), again)
        assert again.shape == (128, 128, 3)
        assert 0 <= again.min() <= again.max() <= 1.001


def test_the_same_seed_draws_the_same_compositions() -> None:
    one, other = (np.random.default_rng(4) for _ in range(2))
    assert [draw(one) for _ in range(30)] == [draw(other) for _ in range(30)]


def test_one_pair_in_twelve_is_held_out_and_never_drawn() -> None:
    pairs = [(t, b) for t in THINGS for b in BACKGROUNDS]
    assert sum(held_out(t, b) for t, b in pairs) / len(pairs) == pytest.approx(1 / 12, abs=0.01)
    assert all(any(held_out(t, b) for t in THINGS) for b in BACKGROUNDS)
    random = np.random.default_rng(1)
    drawn = [draw(random) for _ in range(2000)]
    assert not any(held_out(t, c.background) for c in drawn for t in c.things)


def test_layouts_come_as_often_as_planned() -> None:
    random = np.random.default_rng(2)
    counts = Counter(draw(random).layout for _ in range(4000))
    for layout, share in LAYOUTS.items():
        assert counts[layout] / 4000 == pytest.approx(share, abs=0.03), layout


def test_objects_stand_inside_the_picture_and_on_the_grid_of_latents() -> None:
    for layout in LAYOUTS:
        things = THINGS[:2] if layout == "pair" else THINGS[:1]
        for shift in SHIFTS[layout]:
            places = Composition(layout, things, COLOURS[0], shift=shift).places()
            assert len(places) == len(CORNERS[layout][1])
            for _, side, left, top in places:
                assert left % 8 == top % 8 == side % 8 == 0
                assert min(left, top) >= 0, (layout, shift)
                assert max(left, top) + side <= 128, (layout, shift)


CAPTIONS = (
    ("large", ("fox",), "blue", "a fox on a blue background"),
    ("large", ("apple",), "orange", "an apple on an orange background"),
    ("small", ("cat",), "snow", "a small cat in the snow"),
    ("left", ("robot",), "space", "a robot on the left in space"),
    ("pair", ("dog", "owl"), "red", "a dog and an owl on a red background"),
    ("three", ("cherry",), "white", "three cherries on a white background"),
)


def test_the_first_caption_says_what_the_picture_shows() -> None:
    backgrounds = {b.name: b for b in BACKGROUNDS}
    for layout, names, background, words in CAPTIONS:
        composition = Composition(layout, tuple(by_name(n) for n in names), backgrounds[background])
        assert next(captions(composition)) == words


def test_every_caption_names_each_object_and_only_now_and_then_leaves_out_the_background() -> None:
    random = np.random.default_rng(3)
    bare = 0
    for composition in (draw(random) for _ in range(600)):
        text = caption(composition, random)
        for thing in composition.things:
            assert any(name in text for name in (*thing.names, thing.plural)), text
        bare += text in set(subjects(composition))
    assert 0.04 < bare / 600 < 0.14


def test_backgrounds_differ_from_each_other_and_cannot_be_written_into() -> None:
    pictures = [painted(b.name, v) for b in BACKGROUNDS for v in range(variants(b))]
    for index, picture in enumerate(pictures):
        assert not picture.flags.writeable
        for other in pictures[:index]:
            assert np.abs(picture - other).mean() > 0.001
