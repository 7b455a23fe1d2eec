"""The mask nodes, called as functions."""

import pytest
import torch

from nodes.mask import mask


def test_a_solid_mask_has_one_value_and_its_inverse_the_rest() -> None:
    made = mask.solid(0.25, 3, 2)
    assert made.shape == (1, 2, 3)
    assert mask.invert(made).unique().tolist() == [0.75]


@pytest.mark.parametrize(("channel", "index"), [("red", 0), ("green", 1), ("blue", 2), ("alpha", 3)])
def test_any_channel_becomes_a_mask(channel: str, index: int) -> None:
    image = torch.rand(2, 3, 4, 4)
    assert torch.equal(mask.from_image(image, channel), image[..., index])


def test_a_channel_that_is_not_there_is_named() -> None:
    with pytest.raises(ValueError, match=r"'image' has 3 channels and so no alpha one"):
        mask.from_image(torch.zeros(1, 2, 2, 3), "alpha")


def test_only_pixels_of_exactly_the_colour_are_marked() -> None:
    image = torch.tensor([[[[1.0, 0.5, 0.0], [1.0, 0.5, 0.01]]]])
    assert mask.from_colour(image, 0xFF8000).tolist() == [[[1, 0]]]


def test_a_mask_is_shown_as_grey() -> None:
    shown = mask.to_image(torch.full((2, 1, 3, 4), 0.5))
    assert shown.shape == (2, 3, 4, 3)


def test_alpha_is_joined_and_split_again() -> None:
    image, hole = torch.rand(2, 4, 4, 3), torch.zeros(1, 4, 4)
    hole[0, 0, 0] = 1
    joined = mask.join_alpha(image, hole)
    assert joined[:, 0, 0, 3].tolist() == [0, 0]
    colours, again = mask.split_alpha(joined)
    assert torch.equal(colours, image)
    assert torch.equal(again, hole.expand(2, -1, -1))


def test_an_image_without_alpha_is_nowhere_transparent() -> None:
    assert mask.split_alpha(torch.rand(1, 2, 2, 3)).MASK.sum() == 0


def test_porter_duff_takes_the_size_of_the_destination() -> None:
    image, alpha = mask.porter_duff(
        torch.ones(2, 8, 8, 3),
        torch.zeros(2, 8, 8),
        torch.zeros(1, 4, 6, 3),
        torch.zeros(1, 4, 6),
        "SRC_OVER",
    )
    assert image.shape == (1, 4, 6, 3)
    assert alpha.shape == (1, 4, 6)
    torch.testing.assert_close(image, torch.ones_like(image))


def test_crop_threshold_grow_and_feather_take_masks_of_any_rank() -> None:
    plain = torch.rand(5, 6)
    assert mask.crop(plain, 4, 4, 9, 9).shape == (1, 1, 2)
    assert set(mask.threshold(plain).unique().tolist()) <= {0, 1}
    assert mask.grow(plain, 1).shape == (1, 5, 6)
    assert mask.feather(plain, 1, 1, 1, 1).shape == (1, 5, 6)
    assert mask.composite(plain, plain, operation="add").shape == (1, 5, 6)


def test_porter_duff_takes_masks_as_load_image_gives_them() -> None:
    red, blue = torch.zeros(1, 4, 4, 3), torch.zeros(1, 4, 4, 3)
    red[..., 0], blue[..., 2] = 1, 1
    clear, opaque = torch.full((1, 4, 4), 0.25), torch.zeros(1, 4, 4)
    image, left = mask.porter_duff(red, clear, blue, opaque, "SRC_OVER")
    torch.testing.assert_close(image[0, 0, 0], torch.tensor([0.75, 0.0, 0.25]))
    assert not left.any()
    _, left = mask.porter_duff(red, clear, blue, opaque, "SRC")
    torch.testing.assert_close(left, clear)
    _, left = mask.porter_duff(red, clear, blue, opaque, "CLEAR")
    assert bool((left == 1).all())
