"""The arithmetic of masks."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from nodes.mask.masking import combine, feather, flat, grow, resized


def speckle(seed: int, height: int, width: int) -> torch.Tensor:
    """A mask of random values, 1×height×width."""
    return torch.rand(1, height, width, generator=torch.Generator().manual_seed(seed))


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 99), st.integers(1, 9), st.integers(1, 9), st.integers(-4, 4), st.booleans())
def test_growing_equals_grey_morphology_step_by_step(
    seed: int, height: int, width: int, steps: int, tapered: bool
) -> None:
    mask = speckle(seed, height, width)
    corner = 0 if tapered else 1
    footprint = np.array([[corner, 1, corner], [1, 1, 1], [corner, 1, corner]])
    expected = mask[0].numpy()
    for _ in range(abs(steps)):
        step = ndimage.grey_dilation if steps > 0 else ndimage.grey_erosion
        expected = step(expected, footprint=footprint)
    np.testing.assert_array_equal(grow(mask, steps, tapered)[0].numpy(), expected)


def test_growing_far_beyond_the_picture_fills_it_at_once() -> None:
    mask = torch.zeros(1, 5, 7)
    mask[0, 2, 3] = 1
    for tapered in (True, False):
        assert grow(mask, 16384, tapered).min() == 1


@pytest.mark.parametrize(
    ("operation", "expected"),
    [("multiply", 0.28), ("add", 1.0), ("subtract", 0.3), ("and", 0.0), ("or", 1.0), ("xor", 1.0)],
)
def test_masks_combine_only_where_they_overlap(operation: str, expected: float) -> None:
    destination, source = torch.full((1, 6, 8), 0.7), torch.full((1, 3, 3), 0.4)
    result = combine(destination, source, x=2, y=1, operation=operation)
    assert result[0, 1:4, 2:5].unique().tolist() == pytest.approx([expected])
    result[0, 1:4, 2:5] = 0.7
    torch.testing.assert_close(result, destination)


def test_a_source_outside_the_destination_changes_nothing() -> None:
    destination = speckle(0, 4, 4)
    torch.testing.assert_close(combine(destination, torch.ones(1, 2, 2), 9, 9, "subtract"), destination)


def test_one_mask_combines_with_each_of_a_batch() -> None:
    batch = torch.stack([torch.full((4, 4), 0.25), torch.full((4, 4), 0.5)])
    assert combine(torch.ones(1, 4, 4), batch, 0, 0, "multiply")[:, 0, 0].tolist() == [0.25, 0.5]


def test_feathering_fades_towards_each_side_over_its_own_length() -> None:
    faded = feather(torch.ones(1, 8, 10), left=4, top=2, right=0, bottom=0)[0]
    assert faded[7].tolist()[:5] == [0.25, 0.5, 0.75, 1.0, 1.0]
    assert faded[:3, 9].tolist() == [0.5, 1.0, 1.0]


def test_feathering_right_counts_as_the_reference_does() -> None:
    faded = feather(torch.ones(1, 1, 6), left=0, top=0, right=4, bottom=0)[0, 0]
    assert faded.tolist() == [0.25, 1.0, 1.0, 1.0, 0.75, 0.5]


def test_feathers_longer_than_the_mask_are_cut() -> None:
    assert feather(torch.ones(1, 3, 3), 99, 99, 99, 99).isfinite().all()


def test_leading_axes_become_the_batch() -> None:
    assert flat(torch.zeros(4, 5)).shape == (1, 4, 5)
    assert flat(torch.zeros(2, 1, 4, 5)).shape == (2, 4, 5)
    assert resized(torch.zeros(2, 1, 4, 5), 8, 6).shape == (2, 8, 6)
