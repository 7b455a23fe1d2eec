"""Pasting and the Porter-Duff operators."""

import pytest
import torch

from nodes.image.composites import OPERATORS, paste, paste_feathered, porter_duff

BLACK, WHITE = torch.zeros(1, 3, 6, 8), torch.ones(1, 3, 2, 3)


@pytest.mark.parametrize(
    ("x", "y", "covered"), [(0, 0, 6), (7, 5, 1), (8, 0, 0), (100, 100, 0), (-1, 0, 4), (-50, 0, 0)]
)
def test_what_sticks_out_is_cut(x: int, y: int, covered: int) -> None:
    assert paste(BLACK, WHITE, x, y)[0, 0].sum() == covered


def test_the_destination_itself_is_left_alone() -> None:
    before = BLACK.clone()
    paste(BLACK, WHITE, 1, 1)
    paste_feathered(BLACK, WHITE, 1, 1, 2)
    assert torch.equal(BLACK, before)


def test_a_mask_of_another_size_is_stretched_over_the_source() -> None:
    half = torch.tensor([[[1.0, 0.0]]])
    row = paste(BLACK, torch.ones(1, 3, 2, 4), 0, 0, mask=half)[0, 0, 0]
    assert row[0] == 1
    assert row[3] == 0


def test_a_short_source_is_repeated_over_the_batch() -> None:
    assert paste(BLACK.repeat(3, 1, 1, 1), WHITE, 0, 0)[:, 0, 0, 0].tolist() == [1, 1, 1]


def test_stretching_covers_everything() -> None:
    torch.testing.assert_close(paste(BLACK, WHITE, 0, 0, stretch=True), torch.ones_like(BLACK))


def test_places_are_counted_in_units() -> None:
    out = paste(torch.zeros(1, 4, 8, 8), torch.ones(1, 4, 1, 1), 16, 31, unit=8)
    assert out[0, 0].nonzero().tolist() == [[3, 2]]


def test_a_feathered_edge_fades_inside_and_stays_hard_at_the_border() -> None:
    line = paste_feathered(torch.zeros(1, 1, 1, 8), torch.ones(1, 1, 1, 4), 4, 0, 2)[0, 0, 0]
    assert line.tolist() == [0, 0, 0, 0, 0.5, 1, 1, 1]
    line = paste_feathered(torch.zeros(1, 1, 1, 8), torch.ones(1, 1, 1, 4), 2, 0, 2)[0, 0, 0]
    assert line.tolist() == [0, 0, 0.5, 1, 1, 0.5, 0, 0]


COLOURS = {  # red (half covering) on opaque blue
    "CLEAR": ([0, 0, 0], 0),
    "SRC": ([1, 0, 0], 0.5),
    "DST": ([0, 0, 1], 1),
    "SRC_OVER": ([0.5, 0, 0.5], 1),
    "DST_OVER": ([0, 0, 1], 1),
    "SRC_IN": ([1, 0, 0], 0.5),
    "DST_IN": ([0, 0, 1], 0.5),
    "SRC_OUT": ([0, 0, 0], 0),
    "DST_OUT": ([0, 0, 1], 0.5),
    "SRC_ATOP": ([0.5, 0, 0.5], 1),
    "DST_ATOP": ([0, 0, 1], 0.5),
    "XOR": ([0, 0, 1], 0.5),
    "ADD": ([0.5, 0, 1], 1),
    "SCREEN": ([0.5, 0, 1], 1),
    "MULTIPLY": ([0, 0, 0], 0.5),
    "DARKEN": ([0, 0, 0.5], 1),
    "LIGHTEN": ([0.5, 0, 1], 1),
    "OVERLAY": ([0, 0, 1], 1),
}


@pytest.mark.parametrize("mode", OPERATORS)
def test_each_operator_gives_the_colour_of_its_definition(mode: str) -> None:
    red = torch.tensor([1.0, 0, 0]).expand(1, 1, 1, 3)
    blue = torch.tensor([0.0, 0, 1]).expand(1, 1, 1, 3)
    half, whole = torch.full((1, 1, 1), 0.5), torch.ones(1, 1, 1)
    colour, alpha = porter_duff(red, half, blue, whole, mode)
    expected_colour, expected_alpha = COLOURS[mode]
    assert alpha.item() == expected_alpha
    assert colour.flatten().tolist() == pytest.approx(expected_colour)
