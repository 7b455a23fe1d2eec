"""Blur, sharpening, morphology and edges."""

import pytest
import torch

from nodes.image.filters import MORPHOLOGY, blurred, canny, sharpened


def speckle(height: int = 12, width: int = 10) -> torch.Tensor:
    """Random pixels, 1×height×width×3."""
    return torch.rand(1, height, width, 3, generator=torch.Generator().manual_seed(3))


@pytest.mark.parametrize("radius", [1, 5, 31])
def test_blurring_keeps_size_and_a_flat_picture_and_lowers_the_contrast(radius: int) -> None:
    image = speckle()
    out = blurred(image, radius, 1.0)
    assert out.shape == image.shape
    assert out.std() < image.std()
    flat = torch.full_like(image, 0.3)
    torch.testing.assert_close(blurred(flat, radius, 1.0), flat)


def test_sharpening_raises_the_contrast_and_stays_in_range() -> None:
    image = 0.25 + speckle() / 2
    out = sharpened(image, 2, 1.0, 0.5)
    assert out.std() > image.std()
    assert out.min() >= 0
    assert out.max() <= 1
    torch.testing.assert_close(sharpened(image, 2, 1.0, 0.0), image)


@pytest.mark.parametrize("size", [3, 4, 7])
def test_dilation_and_erosion_take_the_extremes_of_the_square(size: int) -> None:
    x = speckle()[..., 0][None]
    before = size // 2
    for row in range(x.shape[-2]):
        window = slice(max(0, row - before), row - before + size)
        for column in (0, 4, x.shape[-1] - 1):
            columns = slice(max(0, column - before), column - before + size)
            seen = x[0, 0, window, columns]
            assert MORPHOLOGY["dilate"](x, size)[0, 0, row, column] == seen.max()
            assert MORPHOLOGY["erode"](x, size)[0, 0, row, column] == seen.min()


def test_morphology_operators_are_built_from_the_two() -> None:
    x = speckle()[..., 0][None]
    dilate, erode = MORPHOLOGY["dilate"], MORPHOLOGY["erode"]
    assert torch.equal(MORPHOLOGY["open"](x, 3), dilate(erode(x, 3), 3))
    assert torch.equal(MORPHOLOGY["close"](x, 3), erode(dilate(x, 3), 3))
    assert torch.equal(MORPHOLOGY["gradient"](x, 3), dilate(x, 3) - erode(x, 3))
    assert MORPHOLOGY["top_hat"](x, 3).min() >= 0
    assert MORPHOLOGY["bottom_hat"](x, 3).min() >= 0


def test_a_kernel_larger_than_the_picture_works() -> None:
    assert MORPHOLOGY["dilate"](torch.zeros(1, 1, 4, 4), 999).shape == (1, 1, 4, 4)


def square() -> torch.Tensor:
    """A white square on black, 1×24×24×3."""
    image = torch.zeros(1, 24, 24, 3)
    image[:, 7:17, 7:17] = 1.0
    return image


def test_the_edges_of_a_square_lie_along_its_sides() -> None:
    edge = canny(square(), 0.3, 0.7)[0]
    assert edge.unique().tolist() == [0, 1]
    assert edge.sum() >= 30
    rows, columns = edge.nonzero().unbind(-1)
    outside = torch.maximum((rows - 11.5).abs(), (columns - 11.5).abs())
    assert (outside - 5).abs().max() <= 1.5


def test_a_flat_picture_has_no_edges() -> None:
    assert canny(torch.full((2, 8, 8, 3), 0.5), 0.01, 0.02).sum() == 0


def test_weak_edges_count_only_where_they_touch_a_strong_one() -> None:
    image = square() * 0.1
    assert canny(image, 0.01, 0.02).sum() > 0
    assert canny(image, 0.01, 0.99).sum() == 0
