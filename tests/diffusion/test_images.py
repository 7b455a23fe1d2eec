"""Resizing, cropping and smoothing of channel-first pictures."""

import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from diffusion.images import (
    bislerp,
    centre_cut,
    convolve,
    gaussian_kernel,
    like,
    mirror_pad,
    resize,
    sharpening_kernel,
    slerp,
    to_batch,
)

METHODS = ["nearest-exact", "bilinear", "area", "bicubic", "bislerp", "lanczos"]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_every_method_gives_the_size_and_keeps_a_flat_picture_flat(method: str, channels: int) -> None:
    x = torch.full((2, channels, 7, 5), 0.4)
    y = resize(x, 11, 3, method)
    assert y.shape == (2, channels, 3, 11)
    torch.testing.assert_close(y, torch.full_like(y, 0.4), atol=1 / 255, rtol=0)


@settings(max_examples=60, deadline=None)
@given(*(st.integers(2, 40) for _ in range(4)))
def test_a_centre_cut_is_inside_and_has_the_proportions_within_a_pixel(
    width: int, height: int, new_width: int, new_height: int
) -> None:
    cut = centre_cut(torch.zeros(1, 1, height, width), new_width, new_height)
    rows, columns = cut.shape[-2:]
    assert rows == height or columns == width
    exact = height * new_width / new_height if columns < width else width * new_height / new_width
    assert abs((columns if columns < width else rows) - exact) <= 2 or min(rows, columns) <= 2


def test_slerp_keeps_the_length_halfway_between_unit_vectors() -> None:
    a, b = torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 1.0]])
    middle = slerp(a, b, torch.tensor([[0.5]]))
    torch.testing.assert_close(middle, torch.tensor([[math.sqrt(0.5), math.sqrt(0.5)]]))


def test_slerp_of_parallel_opposite_and_zero_vectors_is_finite() -> None:
    a = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 0.0]])
    b = torch.tensor([[2.0, 0.0], [-1.0, 0.0], [0.0, 0.0]])
    out = slerp(a, b, torch.full((3, 1), 0.25))
    torch.testing.assert_close(out, torch.tensor([[1.0, 0.0], [0.5, 0.0], [0.0, 0.0]]))


def test_bislerp_to_the_same_size_changes_nothing() -> None:
    x = torch.randn(2, 4, 6, 5, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(bislerp(x, 5, 6), x)


@pytest.mark.parametrize(("rows", "size", "expected"), [(2, 5, [0, 1, 0, 1, 0]), (3, 2, [0, 1]), (1, 1, [0])])
def test_a_batch_is_cut_or_repeated_from_the_start(rows: int, size: int, expected: list[int]) -> None:
    x = torch.arange(rows)[:, None].float()
    assert to_batch(x, size)[:, 0].tolist() == expected


def test_like_takes_height_width_and_batch_of_the_other() -> None:
    assert like(torch.zeros(1, 4, 8, 8), torch.zeros(3, 4, 6, 10)).shape == (3, 4, 6, 10)
    assert like(torch.zeros(2, 4, 8, 8), torch.zeros(3, 4, 6, 10), repeat=False).shape == (2, 4, 6, 10)


@pytest.mark.parametrize("size", [1, 3, 9])
def test_kernels_have_sum_one(size: int) -> None:
    assert gaussian_kernel(size, 0.7).sum().item() == pytest.approx(1.0)
    assert sharpening_kernel(size, 0.7, 3.0).sum().item() == pytest.approx(1.0, abs=1e-5)


def test_mirrored_margins_equal_torchs_reflection_where_that_is_defined() -> None:
    x = torch.randn(1, 2, 6, 7, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(mirror_pad(x, 3, 2), F.pad(x, (3, 3, 2, 2), mode="reflect"))


def test_a_margin_wider_than_the_picture_keeps_mirroring() -> None:
    x = torch.tensor([[[[0.0, 1.0, 2.0]]]])
    assert mirror_pad(x, 4, 0)[0, 0, 0].tolist() == [0, 1, 2, 1, 0, 1, 2, 1, 0, 1, 2]
    assert mirror_pad(x[..., :1], 2, 1).shape == (1, 1, 3, 5)


def test_convolving_with_a_peak_changes_nothing_and_keeps_the_size() -> None:
    x = torch.rand(2, 3, 5, 4, generator=torch.Generator().manual_seed(2))
    peak = torch.zeros(5, 5)
    peak[2, 2] = 1
    torch.testing.assert_close(convolve(x, peak), x)
