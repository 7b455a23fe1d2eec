"""Images and masks are brought to the size that is said, whichever way it is said."""

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from nodes.image.resizing import RATIOS, sides_for
from nodes.library import native_types

NODES = {each.spec.name: each for each in native_types("image.resizing")}


def call(name: str, **inputs: Any) -> Any:
    """The first output of a node; names are written with __ for dots."""
    given = {key.replace("__", "."): value for key, value in inputs.items()}
    return NODES[name](given, None).outputs[0]  # type: ignore[arg-type, union-attr]


WAYS = {
    "scale dimensions": ({"width": 30, "height": 10}, (30, 10)),
    "scale by multiplier": ({"multiplier": 0.5}, (20, 10)),
    "scale longer dimension": ({"longer_size": 80}, (80, 40)),
    "scale shorter dimension": ({"shorter_size": 10}, (20, 10)),
    "scale width": ({"width": 10}, (10, 5)),
    "scale height": ({"height": 40}, (80, 40)),
    "scale total pixels": ({"megapixels": 0.01}, (145, 72)),
    "match size": ({"match": torch.zeros(1, 7, 9)}, (9, 7)),
    "scale to multiple": ({"multiple": 16}, (32, 16)),
}


@pytest.mark.parametrize("way", WAYS)
def test_each_way_of_saying_a_size(way: str) -> None:
    parts, (width, height) = WAYS[way]
    inputs = {f"resize_type__{name}": value for name, value in parts.items()}
    for image, wanted in (
        (torch.rand(2, 20, 40, 3), (2, height, width, 3)),
        (torch.rand(2, 20, 40), (2, height, width)),
    ):
        found = call("ResizeImageMaskNode", input=image, resize_type=way, scale_method="area", **inputs)
        assert found.shape == wanted


def test_proportions_are_kept_where_a_side_is_0_and_cut_evenly_where_they_change() -> None:
    image = torch.zeros(1, 20, 40, 3)
    image[:, :, 10:30] = 1
    half = {"resize_type": "scale dimensions", "resize_type__width": 20}
    found = call("ResizeImageMaskNode", input=image, scale_method="area", resize_type__height=0, **half)
    assert found.shape == (1, 10, 20, 3)
    cut = call("ResizeImageMaskNode", input=image, scale_method="area", resize_type__height=20, **half)
    assert torch.equal(cut, torch.ones(1, 20, 20, 3))


@given(st.sampled_from(list(RATIOS)), st.floats(0.1, 16), st.integers(2, 32))
def test_sides_are_multiples_near_to_the_pixels_wanted(ratio: str, megapixels: float, step: int) -> None:
    multiple = 4 * step
    width, height = sides_for(RATIOS[ratio], megapixels, multiple)
    assert width % multiple == height % multiple == 0
    across, down = RATIOS[ratio]
    unit = (megapixels * 1024 * 1024 / (across * down)) ** 0.5
    assert abs(width - max(multiple, across * unit)) <= multiple / 2 + 1e-6
    assert abs(height - max(multiple, down * unit)) <= multiple / 2 + 1e-6


def test_a_square_megapixel_has_sides_of_1024() -> None:
    assert sides_for((1, 1), 1.0, 8) == (1024, 1024)
    assert sides_for((16, 9), 0.9, 32) == (1280, 736)


def test_batches_take_the_size_of_the_first_and_the_channels_of_the_richest() -> None:
    row = {"images__image0": torch.zeros(1, 8, 8, 3), "images__image10": torch.ones(2, 16, 8, 4)}
    found = call("BatchImagesNode", **row, images__image2=torch.full((1, 8, 8, 3), 0.5))
    assert found.shape == (4, 8, 8, 4)
    assert found[:, 0, 0, 0].tolist() == [0, 0.5, 1, 1]
    masks = call("BatchMasksNode", masks__mask0=torch.zeros(4, 4), masks__mask1=torch.ones(1, 8, 8))
    assert masks.shape == (2, 4, 4)


def test_latents_are_joined_with_their_noise_numbers() -> None:
    first = {"samples": torch.zeros(1, 4, 8, 8), "noise_mask": torch.ones(1, 64, 64)}
    second = {"samples": torch.ones(1, 4, 4, 4), "batch_index": [7]}
    found = call("BatchLatentsNode", latents__latent0=first, latents__latent1=second)
    assert found["samples"].shape == (2, 4, 8, 8)
    assert found["samples"][1].unique().tolist() == [1]
    assert found["batch_index"] == [0, 7]
    assert "noise_mask" not in found
    other = {"samples": torch.zeros(1, 16, 8, 8)}
    with pytest.raises(ValueError, match="16 channels"):
        call("BatchLatentsNode", latents__latent0=first, latents__latent1=other)
