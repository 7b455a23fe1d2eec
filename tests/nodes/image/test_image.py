"""The image nodes, called as functions."""

import pytest
import torch

from execution.declare.node import Run
from nodes.image import image, image_filters, image_size


def picture(height: int = 6, width: int = 8, channels: int = 3, batch: int = 1) -> torch.Tensor:
    """Random pixels, batch×height×width×channels."""
    return torch.rand(batch, height, width, channels, generator=torch.Generator().manual_seed(width))


def test_an_empty_image_has_one_colour() -> None:
    made = image.empty_image(4, 3, 2, 0xFF8000)
    assert made.shape == (2, 3, 4, 3)
    torch.testing.assert_close(made[1, 2, 3], torch.tensor([1.0, 128 / 255, 0.0]))


@pytest.mark.parametrize(
    ("width", "height", "expected"), [(4, 0, (3, 4)), (0, 3, (3, 4)), (5, 7, (7, 5)), (0, 0, (6, 8))]
)
def test_a_side_of_zero_keeps_the_proportions(width: int, height: int, expected: tuple[int, int]) -> None:
    scaled = image_size.scale(picture(), "area", width, height, crop="disabled")
    assert tuple(scaled.shape[1:3]) == expected


@pytest.mark.parametrize(("factor", "expected"), [(0.5, (3, 4)), (1.7, (10, 14)), (0.01, (1, 1))])
def test_scaling_by_a_factor_leaves_at_least_a_pixel(factor: float, expected: tuple[int, int]) -> None:
    assert tuple(image_size.scale_by(picture(), "bilinear", factor).shape[1:3]) == expected


def test_scaling_to_pixels_gives_about_as_many_and_keeps_the_proportions() -> None:
    scaled = image_size.scale_to_total_pixels(picture(30, 40), "area", 0.01)
    height, width = scaled.shape[1:3]
    assert height * width == pytest.approx(10486, rel=0.02)
    assert width / height == pytest.approx(4 / 3, rel=0.02)


def test_the_longer_side_is_brought_to_a_length() -> None:
    assert image_size.scale_to_max_dimension(picture(6, 8), "area", 16).shape[1:3] == (12, 16)
    assert image_size.scale_to_max_dimension(picture(8, 6), "area", 16).shape[1:3] == (16, 12)


def test_fitting_into_a_frame_leaves_even_margins() -> None:
    framed = image_size.resize_and_pad(
        torch.full((1, 4, 8, 3), 0.5), 8, 8, padding_color="white", interpolation="area"
    )
    assert framed.shape == (1, 8, 8, 3)
    assert framed[0, :, 0, 0].tolist() == [1, 1, 0.5, 0.5, 0.5, 0.5, 1, 1]


def test_cropping_stops_at_the_border() -> None:
    whole = picture()
    assert torch.equal(image_size.crop(whole, 3, 2, 4, 1), whole[:, 1:3, 4:7])
    assert image_size.crop(whole, 100, 100, 100, 100).shape == (1, 1, 1, 3)


def test_turning_goes_clockwise_and_flipping_mirrors() -> None:
    whole = picture()
    assert torch.equal(image_size.rotate(whole, "90 degrees")[0, 0, -1], whole[0, 0, 0])
    assert torch.equal(image_size.rotate(whole, "none"), whole)
    assert torch.equal(image_size.flip(whole, "x-axis: vertically")[0, -1], whole[0, 0])
    assert torch.equal(image_size.flip(whole, "y-axis: horizontally")[0, :, -1], whole[0, :, 0])


@pytest.mark.parametrize(
    ("direction", "match", "expected"),
    [("right", True, (6, 8 + 2 + 12)), ("down", True, (6 + 2 + 4, 8)), ("left", False, (6, 8 + 2 + 4))],
)
def test_a_stitched_image_fits_at_the_edge_that_meets(
    direction: str, match: bool, expected: tuple[int, int]
) -> None:
    joined = image_size.stitch(picture(6, 8), direction, match, 2, "red", image2=picture(2, 4))
    assert tuple(joined.shape[1:3]) == expected


def test_stitching_takes_the_longer_batch_and_more_channels() -> None:
    joined = image_size.stitch(picture(batch=3), image2=picture(channels=4))
    assert joined.shape == (3, 6, 16, 4)
    assert (joined[..., :8, 3] == 1).all()
    assert torch.equal(image_size.stitch(picture()), picture())


def test_a_batch_takes_size_of_the_first_and_channels_of_the_richer() -> None:
    joined = image.batch(picture(6, 8), picture(3, 3, channels=4))
    assert joined.shape == (2, 6, 8, 4)
    assert (joined[0, ..., 3] == 1).all()


def test_rebatching_deals_out_anew_and_keeps_sizes_apart() -> None:
    batches = image.rebatch([picture(batch=3), picture(batch=2), picture(4, 4)], 2)
    assert [tuple(each.shape[:3]) for each in batches] == [(2, 6, 8), (2, 6, 8), (1, 6, 8), (1, 4, 4)]


def test_taking_from_a_batch_stops_at_its_end() -> None:
    whole = picture(batch=4)
    assert torch.equal(image.from_batch(whole, 2, 9), whole[2:])
    assert torch.equal(image.from_batch(whole, 99, 1), whole[3:])
    assert image.repeat(whole, 3).shape[0] == 12


def test_size_is_width_height_and_number() -> None:
    assert image_size.image_size(picture(batch=5)) == (8, 6, 5)


def test_inverting_twice_changes_nothing() -> None:
    torch.testing.assert_close(image.invert(image.invert(picture())), picture())


def test_a_single_image_is_blended_with_each_of_a_batch() -> None:
    blended = image.blend(picture(), torch.ones(3, 6, 8, 3), 1.0, blend_mode="normal")
    assert torch.equal(blended, torch.ones(3, 6, 8, 3))


def test_a_composite_shows_the_source_where_the_mask_says() -> None:
    mask = torch.zeros(1, 2, 2)
    mask[0, 0, 0] = 1
    out = image.composite(torch.zeros(1, 6, 8, 4), torch.ones(1, 2, 2, 3), 3, 2, mask=mask)
    assert out[..., 0].nonzero().tolist() == [[0, 2, 3]]


def test_colours_survive_the_way_through_yuv() -> None:
    channels = image.rgb_to_yuv(picture())
    assert channels.Y.shape == (1, 6, 8, 3)
    torch.testing.assert_close(image.yuv_to_rgb(*channels), picture(), atol=2e-3, rtol=0)


def test_noise_is_the_same_for_the_same_seed() -> None:
    first, again, other = (image_filters.add_noise(picture(), seed, 0.3) for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert torch.equal(image_filters.add_noise(picture(), 1, 0.0), picture())


def test_filters_keep_shape_and_range() -> None:
    whole = picture(batch=2)
    for out in (
        image_filters.blur(whole, 2),
        image_filters.sharpen(whole, 2),
        image_filters.quantize(whole, 4, dither="bayer-2", run=Run()),
        image_filters.morphology(whole, "open"),
        image_filters.canny(whole),
    ):
        assert out.shape == whole.shape
        assert out.min() >= 0
        assert out.max() <= 1


def test_canny_thresholds_the_wrong_way_round_are_named() -> None:
    with pytest.raises(ValueError, match=r"'low_threshold' \(0.8\) is above 'high_threshold' \(0.2\)"):
        image_filters.canny(picture(), 0.8, 0.2)


@pytest.mark.parametrize(("colour", "value"), [("white", [1.0, 1.0, 1.0]), ("red", [1.0, 0.0, 0.0])])
@pytest.mark.parametrize("direction", ["right", "down", "left", "up"])
def test_the_margins_of_the_smaller_image_have_the_colour_of_the_gap(
    direction: str, colour: str, value: list[float]
) -> None:
    first, second = torch.full((1, 4, 4, 3), 0.5), torch.full((1, 8, 8, 3), 0.5)
    joined = image_size.stitch(first, direction, False, 2, colour, image2=second)  # type: ignore[arg-type]
    outside = joined[0][(joined[0] != 0.5).any(-1)]
    assert len(outside) == 8 * (4 + 2 + 8) - 4 * 4 - 8 * 8
    assert bool((outside == torch.tensor(value)).all())
