"""The arithmetic of images."""

import math

import numpy as np
import pytest
import torch
from PIL import Image as PIL

from nodes.image.pictures import (
    BLENDS,
    bayer,
    blend,
    from_pil,
    padded_for_outpaint,
    quantized,
    same_channels,
    scaled,
    stitched,
    to_bytes,
    to_pil,
)


def picture(height: int = 6, width: int = 8, channels: int = 3, batch: int = 1) -> torch.Tensor:
    """Random pixels, batch×height×width×channels."""
    return torch.rand(batch, height, width, channels, generator=torch.Generator().manual_seed(height * width))


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L"])
def test_eight_bit_pictures_survive_the_way_to_pil_and_back(mode: str) -> None:
    bands = {"RGB": (5, 4, 3), "RGBA": (5, 4, 4), "L": (5, 4)}[mode]
    pixels = np.random.default_rng(0).integers(0, 256, bands, dtype=np.uint8)
    image = from_pil(PIL.fromarray(pixels))
    back = to_pil(image if image.ndim == 3 else image[..., None])
    assert back.mode == mode
    np.testing.assert_array_equal(np.asarray(back), pixels)


def test_values_that_are_no_colours_are_cut_off() -> None:
    row = torch.tensor([-1.0, 2.0, math.nan, math.inf, -math.inf, 0.5])
    assert to_bytes(row).tolist() == [0, 255, 0, 255, 0, 127]


@pytest.mark.parametrize(("channels", "expected"), [(3, [0.5, 0.5, 0.5]), (4, [0.5, 0.5, 0.5, 1.0])])
def test_alpha_is_cut_off_or_added_as_opaque(channels: int, expected: list[float]) -> None:
    other = torch.zeros(1, 1, 1, channels)
    for own in (3, 4):
        image = torch.full((1, 1, 1, own), 0.5)
        image[..., 3:] = 1.0
        assert same_channels(image, other).flatten().tolist() == expected


@pytest.mark.parametrize(
    ("mode", "expected"),
    [("normal", 0.4), ("multiply", 0.08), ("screen", 0.52), ("overlay", 0.16), ("soft_light", 0.168)],
)
def test_each_blend_is_its_formula(mode: str, expected: float) -> None:
    a, b = torch.full((1, 1, 1, 3), 0.2), torch.full((1, 1, 1, 3), 0.4)
    assert blend(a, b, 1.0, mode)[0, 0, 0].tolist() == pytest.approx([expected] * 3)


@pytest.mark.parametrize("mode", BLENDS)
def test_no_blend_at_all_is_the_first_image(mode: str) -> None:
    image = picture()
    torch.testing.assert_close(blend(image, picture(3, 3, 4), 0.0, mode), image)


def test_the_outpainting_mask_is_one_outside_and_falls_as_a_square_inside() -> None:
    canvas, mask = padded_for_outpaint(picture(20, 30), left=4, top=0, right=0, bottom=2, feathering=5)
    assert canvas.shape == (1, 22, 34, 3)
    assert mask.shape == (1, 22, 34)
    assert (canvas[0, :, :4] == 0.5).all()
    assert mask[0, :, :4].min() == 1
    assert mask[0, 3, 4:10].tolist() == pytest.approx([1, 0.64, 0.36, 0.16, 0.04, 0])
    assert mask[0, 0, 20] == 0  # that side does not grow


def test_a_feather_too_wide_for_the_picture_leaves_a_hard_edge() -> None:
    _, mask = padded_for_outpaint(picture(20, 30), 4, 0, 0, 0, feathering=10)
    assert mask.unique().tolist() == [0, 1]


@pytest.mark.parametrize(
    ("direction", "shape", "first_at"),
    [
        ("right", (1, 6, 13, 3), (0, 0)),
        ("left", (1, 6, 13, 3), (0, 5)),
        ("down", (1, 10, 8, 3), (0, 0)),
        ("up", (1, 10, 8, 3), (4, 0)),
    ],
)
def test_images_are_stitched_with_a_gap_in_the_direction(
    direction: str, shape: tuple[int, ...], first_at: tuple[int, int]
) -> None:
    first, second = torch.full((1, 6, 8, 3), 0.25), torch.full((1, 3, 4, 3), 0.75)
    joined = stitched(first, second, direction, 1, torch.tensor([1.0, 0.0, 0.0]))
    assert joined.shape == shape
    row, column = first_at
    assert (joined[0, row : row + 6, column : column + 8] == 0.25).all()
    assert ((joined == torch.tensor([1.0, 0.0, 0.0])).all(-1)).any()


@pytest.mark.parametrize("dither", ["none", "floyd-steinberg", "bayer-2", "bayer-4", "bayer-8", "bayer-16"])
def test_quantizing_leaves_no_more_colours_than_asked_for(dither: str) -> None:
    out = quantized(picture(24, 24)[0], 5, dither)
    assert out.shape == (24, 24, 3)
    assert len(out.reshape(-1, 3).unique(dim=0)) <= 5


def test_bayers_matrix_holds_every_threshold_once_around_zero() -> None:
    for order in (2, 4, 8, 16):
        values = np.sort(bayer(order).ravel())
        np.testing.assert_allclose(np.diff(values), 1 / order**2, atol=1e-6)
        assert abs(values.sum()) < 1e-3


def test_scaling_keeps_channels_last() -> None:
    assert scaled(picture(6, 8, 4, 2), 5, 7, "bicubic").shape == (2, 7, 5, 4)
