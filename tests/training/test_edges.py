"""Objects stand where their spots say, edges lie where they stand, the same seed gives the same."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from training import vae
from training.backgrounds import SIDE
from training.compositions import captions, coverage
from training.edges import Placed, caption, edges, read, scenes, thickened, write
from training.sprites import Sprites


def test_scenes_are_the_same_for_the_same_seed_and_hardly_cut_off() -> None:
    shown = list(scenes(400, 1))
    assert shown == list(scenes(400, 1))
    assert shown != list(scenes(400, 2))
    assert {len(scene.things) for scene in shown} == {1, 2}
    for scene in shown:
        for side, left, top in scene.spots:
            assert 40 <= side < 116
            for start in (left, top):
                assert -side / 8 <= start <= SIDE - side + side / 8
        if len(scene.things) == 2:
            (side, left, _), (other, right, _) = scene.spots
            assert left + side / 2 < right + other / 2


def test_captions_name_the_objects_but_no_size() -> None:
    random = np.random.default_rng(0)
    for scene in scenes(200, 3):
        text = caption(scene, random)
        assert "large" not in text
        assert text in set(captions(scene))
        assert all(any(name in text for name in thing.names) for thing in scene.things)


def test_outlines_lie_around_the_object(sprites: Sprites) -> None:
    scene = next(each for each in scenes(50, 4) if len(each.things) == 1)
    plain = Placed(scene.layout, scene.things, scene.background, spots=((64, 8, 48),))
    for seed in range(6):
        lines = edges(plain, sprites, np.random.default_rng(seed)).numpy() > 0
        assert lines.shape == (SIDE, SIDE)
        covered = coverage(plain, sprites) > 0.05
        near = np.pad(covered, 3).max() and lines[covered].sum()
        assert near > 20


def test_thick_lines_hold_the_thin_ones() -> None:
    hints = (torch.rand(40, 16, 16) > 0.95).float()
    thick = thickened(hints, np.random.default_rng(0))
    grown = [bool((a != b).any()) for a, b in zip(thick, hints, strict=True)]
    assert (thick >= hints).all()
    assert 0 < sum(grown) < 40


def test_what_is_written_is_read_again(sprites: Sprites, tmp_path: Path) -> None:
    write(tmp_path / "pictures.safetensors", vae.build(), sprites, 5, 7)
    latents, hints, shown = read(tmp_path / "pictures.safetensors", 7)
    assert latents.shape == (5, 4, 16, 16)
    assert hints.shape == (5, SIDE, SIDE)
    assert hints.dtype == torch.uint8
    assert shown == list(scenes(5, 7))
    assert set(hints.unique().tolist()) <= {0, 1}
