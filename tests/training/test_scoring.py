"""The judge accepts what was asked and nothing else."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageFilter

from training.backgrounds import BACKGROUNDS
from training.compositions import LAYOUTS, Composition, draw, render
from training.scoring import Judge, requests, sharpness
from training.sprites import THINGS, Sprites


@pytest.fixture(scope="module")
def judge(sprites: Sprites) -> Judge:
    return Judge(sprites)


def test_a_rendering_of_the_request_is_right_in_every_layout(judge: Judge) -> None:
    for layout in LAYOUTS:
        things = (THINGS[3], THINGS[20]) if layout == "pair" else (THINGS[3],)
        wanted = Composition(layout, things, BACKGROUNDS[4])
        assert all(judge(wanted, render(wanted, judge.sprites))), layout


def test_another_object_background_or_place_is_wrong_in_just_that(judge: Judge) -> None:
    wanted = Composition("large", (THINGS[5],), BACKGROUNDS[5])
    cases = (
        (Composition("large", (THINGS[30],), BACKGROUNDS[5]), "thing"),
        (Composition("large", (THINGS[5],), BACKGROUNDS[0]), "background"),
        (Composition("two", (THINGS[5],), BACKGROUNDS[5]), "place"),
    )
    for shown, wrong in cases:
        assert not getattr(judge(wanted, render(shown, judge.sprites)), wrong), wrong


def test_requests_are_different_fixed_and_seen_or_held_out_as_asked() -> None:
    for seen in (True, False):
        asked = requests(50, seen, LAYOUTS)
        assert asked == requests(50, seen, LAYOUTS)
        assert len({request.text for request in asked}) == 50
        assert all(request.wanted.is_held_out != seen for request in asked)


def test_blur_lowers_sharpness(sprites: Sprites) -> None:
    picture = render(draw(np.random.default_rng(0)), sprites)
    image = Image.fromarray((picture * 255).astype(np.uint8)).filter(ImageFilter.GaussianBlur(2))
    assert sharpness(np.asarray(image, np.float32) / 255) < 0.8 * sharpness(picture)


def test_more_requests_than_there_are_pairs_are_refused() -> None:
    assert len(requests(80, seen=False)) == 80
    with pytest.raises(ValueError, match="There are 80 held-out pairs; 81 were asked"):
        requests(81, seen=False)
