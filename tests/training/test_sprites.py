"""Sprites are trimmed, scaled and pasted without fringes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from training.sprites import THINGS, Sprites, by_name, contact_sheet, fit, paste


def test_a_missing_folder_tells_where_to_read_how_to_get_it(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="training/README"):
        Sprites(tmp_path / "nothing")


def test_a_fitted_sprite_keeps_its_proportions_and_stands_on_the_bottom_edge() -> None:
    picture = Image.new("RGBA", (256, 256))
    picture.paste((200, 100, 0, 255), (100, 40, 140, 120))
    small = fit(picture, 64)
    assert small.shape == (64, 64, 4)
    rows, columns = np.nonzero(small[..., 3] > 0.5)
    assert (rows.min(), rows.max()) == (0, 63)
    assert columns.max() - columns.min() + 1 == 32
    assert abs(columns.mean() - 31.5) <= 0.5


def test_pasting_cuts_off_what_lies_outside_and_leaves_the_rest_alone() -> None:
    canvas = np.full((32, 32, 3), 0.5, np.float32)
    sprite = np.ones((16, 16, 4), np.float32)
    paste(canvas, sprite, -8, 24)
    assert (canvas[24:, :8] == 1).all()
    assert (canvas[:24] == 0.5).all()
    paste(canvas, sprite, 100, 100)
    assert canvas.sum() == pytest.approx(0.5 * 32 * 32 * 3 + 0.5 * 8 * 8 * 3)


def test_objects_are_found_by_each_of_their_names_and_no_name_is_used_twice() -> None:
    names = [name for thing in THINGS for name in thing.names]
    assert len(names) == len(set(names))
    assert all(name in by_name(name).names for name in names)
    with pytest.raises(KeyError, match="sofa"):
        by_name("sofa")


def test_a_contact_sheet_has_a_row_for_each_so_many_pictures() -> None:
    sheet = contact_sheet([np.zeros((8, 8, 3), np.float32)] * 5, columns=2, gap=1)
    assert sheet.size == (2 * 9 + 1, 3 * 9 + 1)
