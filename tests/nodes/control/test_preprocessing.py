"""Hints for ControlNets: what is drawn where."""

import math

import pytest
import torch
from torch import Tensor

from nodes.control import preprocessing as hint


def page(size: int = 48) -> Tensor:
    """A white page with a dark line of three pixels down its middle."""
    image = torch.ones(1, size, size, 3)
    image[:, :, size // 2 - 1 : size // 2 + 2] = 0.1
    return image


@pytest.mark.parametrize("draw", [hint.scribble, hint.line_art])
def test_lines_are_drawn_white_on_black(draw: object) -> None:
    drawn = draw(page())  # type: ignore[operator]  # a node function
    assert drawn.shape == (1, 48, 48, 3)
    assert drawn[0, :, 24].min() > 0.4
    assert drawn[0, :, :12].max() == 0
    assert draw(torch.full((1, 16, 16, 3), 0.3)).max() < 1e-3  # type: ignore[operator]  # as above


def test_strokes_are_as_wide_as_asked_for() -> None:
    widths = [float(hint.scribble(page(), thickness=wide)[0, 20, :, 0].sum()) for wide in (1, 3, 7)]
    assert widths == [widths[0], widths[0] + 2, widths[0] + 6]


def test_faint_lines_are_drawn_as_bright_as_bold_ones() -> None:
    faint = 1 - (1 - page()) / 4
    bold, pale = (hint.line_art(each)[0, 20, 24, 0] for each in (page(), faint))
    torch.testing.assert_close(bold, pale, atol=0.02, rtol=0)


def test_lines_of_each_picture_stand_for_themselves() -> None:
    both = hint.line_art(torch.cat([page(), torch.ones(1, 48, 48, 3)]))
    assert torch.equal(both[:1], hint.line_art(page()))
    assert both[1].max() == 0


def test_tiles_keep_what_is_large_and_lose_what_is_small() -> None:
    board = (torch.arange(64)[:, None] + torch.arange(64)) % 2
    image = board.float()[None, :, :, None].repeat(1, 1, 1, 3)
    assert (hint.tile(image) - 0.5).abs().max() < 0.01
    ramp = torch.linspace(0, 1, 64).reshape(1, 1, 64, 1).repeat(1, 64, 1, 3)
    assert (hint.tile(ramp)[:, :, 8:56] - ramp[:, :, 8:56]).abs().max() < 0.02
    assert hint.tile(image[:, :37, :5], halvings=8).shape == (1, 37, 5, 3)


def test_blur_spreads_a_point_evenly() -> None:
    image = torch.zeros(1, 41, 41, 3)
    image[:, 20, 20] = 1
    blurred = hint.blur(image, sigma=3.0)
    assert float(blurred.sum()) == pytest.approx(3, rel=1e-4)
    assert float(blurred[0, 20, 23, 0] / blurred[0, 20, 20, 0]) == pytest.approx(math.exp(-0.5), rel=1e-3)
    torch.testing.assert_close(blurred, blurred.transpose(1, 2))
    torch.testing.assert_close(
        hint.blur(torch.full((1, 9, 9, 3), 0.4), sigma=50.0), torch.full((1, 9, 9, 3), 0.4)
    )


def test_light_is_kept_without_colour() -> None:
    image = torch.tensor([1.0, 0.5, 0.0]).expand(1, 2, 2, 3)
    assert float(hint.recolour(image)[0, 0, 0, 0]) == pytest.approx(0.299 + 0.2935)
    assert float(hint.recolour(image, measure="intensity", gamma=2.0)[0, 0, 0, 1]) == 1.0
    assert float(hint.recolour(image, gamma=2.0)[0, 0, 0, 2]) == pytest.approx(0.5925**2)


def test_depth_fills_all_greys_with_near_things_white() -> None:
    far_to_near = torch.linspace(0.4, 0.6, 11).reshape(1, 1, 11, 1).expand(1, 3, 11, 3)
    found = hint.depth(far_to_near)
    torch.testing.assert_close(found[0, 0, :, 0], torch.linspace(0, 1, 11))
    torch.testing.assert_close(hint.depth(far_to_near, near="black"), 1 - found)
    assert float((hint.depth(far_to_near, cut=0.2)[0, 0, :, 0] == 1).sum()) >= 2
    assert float(hint.depth(torch.full((1, 4, 4, 3), 0.7))[0, 0, 0, 0]) == pytest.approx(0.7)


def test_normals_face_where_slopes_fall() -> None:
    flat = hint.normal(torch.full((1, 16, 16, 3), 0.5))
    torch.testing.assert_close(flat[0, 8, 8], torch.tensor([0.5, 0.5, 1.0]))
    falls_right = torch.linspace(1, 0, 33).reshape(1, 1, 33, 1).expand(1, 33, 33, 3)
    red = hint.normal(falls_right, strength=1.0)[0, 16, 16]
    torch.testing.assert_close(
        red, torch.tensor([0.5 + math.sqrt(0.5) / 2, 0.5, 0.5 + math.sqrt(0.5) / 2]), atol=0.02, rtol=0
    )
    falls_up = falls_right.transpose(1, 2).flip(1)
    assert hint.normal(falls_up)[0, 16, 16, 1] > 0.6
    assert hint.normal(falls_up, green="down")[0, 16, 16, 1] < 0.4
    lengths = (hint.normal(torch.rand(1, 9, 9, 3)) * 2 - 1).norm(dim=-1)
    torch.testing.assert_close(lengths, torch.ones_like(lengths))
