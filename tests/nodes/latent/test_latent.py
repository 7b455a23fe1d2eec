"""The latent nodes, called as functions."""

from typing import Any

import pytest
import torch

from diffusion.latents import arithmetic as arithmetic
from nodes.latent import latent, latent_batch, latent_mix


def value(batch: int = 1, rows: int = 8, columns: int = 8, **more: Any) -> Any:
    """A latent of random samples with further keys."""
    generator = torch.Generator().manual_seed(batch * rows)
    return {"samples": torch.randn(batch, 4, rows, columns, generator=generator), **more}


def test_an_empty_latent_is_an_eighth_of_the_picture() -> None:
    assert latent.empty(72, 64, 3)["samples"].shape == (3, 4, 8, 9)


@pytest.mark.parametrize(
    ("width", "height", "expected"),
    [(96, 64, (8, 12)), (128, 0, (16, 16)), (0, 128, (16, 16)), (0, 0, (8, 8)), (8, 8, (8, 8))],
)
def test_upscaling_keeps_proportions_and_at_least_64_pixels(
    width: int, height: int, expected: tuple[int, int]
) -> None:
    scaled = latent.upscale(value(), "bislerp", width, height, crop="disabled")
    assert tuple(scaled["samples"].shape[-2:]) == expected


@pytest.mark.parametrize("method", ["nearest-exact", "bilinear", "area", "bicubic", "bislerp"])
def test_upscaling_by_a_factor_works_with_every_method(method: str) -> None:
    assert latent.upscale_by(value(), method, 1.5)["samples"].shape == (1, 4, 12, 12)


EVERY_CHANGE = {
    "upscale": lambda x: latent.upscale(x, "bilinear", 64, 96, crop="center"),
    "rotate": lambda x: latent.rotate(x, "90 degrees"),
    "flip": lambda x: latent.flip(x, "x-axis: vertically"),
    "crop": lambda x: latent.crop(x, 64, 64, 8, 8),
    "composite": lambda x: latent.composite(x, value(1, 4, 4), 8, 8, 8),
    "composite_masked": lambda x: latent.composite_masked(x, value(1, 4, 4), 8, 8),
    "add": lambda x: latent_mix.add(x, value(1, 6, 6)),
    "multiply": lambda x: latent_mix.multiply(x, 2.0),
    "blend": lambda x: latent_mix.blend(x, value(1, 6, 6)),
    "repeat": lambda x: latent_batch.repeat(x, 2),
}


@pytest.mark.parametrize("change", EVERY_CHANGE)
def test_a_change_makes_a_new_latent_and_keeps_unknown_keys(change: str) -> None:
    original = value(extra="kept")
    before = original["samples"].clone()
    changed = EVERY_CHANGE[change](original)
    assert changed["extra"] == "kept"
    assert changed is not original
    assert torch.equal(original["samples"], before)


def test_cropping_leaves_at_least_64_pixels() -> None:
    assert latent.crop(value(1, 16, 16), 64, 64, 999, 999)["samples"].shape == (1, 4, 8, 8)


def test_pasting_counts_in_pixels_of_the_picture() -> None:
    blank: Any = {"samples": torch.zeros(1, 4, 8, 8)}
    patch: Any = {"samples": torch.ones(1, 4, 2, 2)}
    pasted = latent.composite(blank, patch, 16, 40)["samples"]
    assert pasted[0, 0].nonzero()[0].tolist() == [5, 2]
    masked = latent.composite_masked(blank, patch, 16, 40, mask=torch.zeros(1, 9, 9))["samples"]
    assert masked.abs().sum() == 0


def test_sums_and_differences_bring_the_second_to_size_and_batch_of_the_first() -> None:
    a, b = value(3), value(1, 4, 4)
    assert latent_mix.add(a, b)["samples"].shape == (3, 4, 8, 8)
    same = latent_mix.subtract(a, a)["samples"]
    assert same.abs().max() == 0


def test_interpolating_all_the_way_gives_either_latent() -> None:
    a, b = value(1), value(2, 8, 8)
    torch.testing.assert_close(latent_mix.interpolate(a, b, 1.0)["samples"], a["samples"])
    torch.testing.assert_close(latent_mix.interpolate(b, a, 0.0)["samples"][:1], a["samples"])
    lengths = arithmetic.length(latent_mix.interpolate(a, b, 0.25)["samples"])
    expected = 0.25 * arithmetic.length(a["samples"]) + 0.75 * arithmetic.length(b["samples"][:1])
    torch.testing.assert_close(lengths, expected)


@pytest.mark.parametrize(
    ("dim", "axis", "first"), [("x", 3, "a"), ("-x", 3, "b"), ("y", 2, "a"), ("-y", 2, "b")]
)
def test_latents_are_put_side_by_side(dim: str, axis: int, first: str) -> None:
    a, b = value(1), value(2)
    joined = latent_mix.concat(a, b, dim)["samples"]
    assert joined.shape[axis] == 16
    start = joined.narrow(axis, 0, 8)
    assert torch.equal(start, a["samples"] if first == "a" else b["samples"][:1])


@pytest.mark.parametrize(("index", "amount", "expected"), [(2, 3, [2, 3, 4]), (-2, 9, [6, 7]), (99, 1, [7])])
def test_a_stretch_is_cut_out(index: int, amount: int, expected: list[int]) -> None:
    x = value()
    out = latent_mix.cut(x, "x", index, amount)["samples"]
    assert torch.equal(out, x["samples"][..., expected])


def test_time_is_refused_for_still_pictures() -> None:
    with pytest.raises(ValueError, match=r"'dim' is 't'.*choose x or y"):
        latent_mix.cut(value(), "t")


def test_joined_batches_keep_their_noise_numbers() -> None:
    joined = latent_batch.batch(value(2, batch_index=[5, 7]), value(1, 4, 4))
    assert joined["samples"].shape == (3, 4, 8, 8)
    assert joined["batch_index"] == [5, 7, 0]


def test_repeating_gives_new_noise_numbers_and_repeats_masks() -> None:
    repeated = latent_batch.repeat(value(2, batch_index=[3, 5], noise_mask=torch.rand(2, 1, 8, 8)), 3)
    assert repeated["samples"].shape[0] == repeated["noise_mask"].shape[0] == 6
    assert repeated["batch_index"] == [3, 5, 6, 8, 9, 11]
    assert latent_batch.repeat(value(1, noise_mask=torch.rand(1, 1, 8, 8)), 3)["noise_mask"].shape[0] == 1


def test_what_is_taken_from_a_batch_keeps_its_noise_number_and_mask() -> None:
    masks = torch.rand(4, 1, 8, 8)
    taken = latent_batch.from_batch(value(4, noise_mask=masks), 2, 9)
    assert taken["batch_index"] == [2, 3]
    assert torch.equal(taken["noise_mask"], masks[2:])


def test_rebatching_keeps_rows_masks_and_numbers_together() -> None:
    mask = torch.zeros(1, 1, 64, 64)
    batches = latent_batch.rebatch([value(3, noise_mask=mask), value(2), value(1, 4, 4)], 2)
    assert [tuple(each["samples"].shape) for each in batches] == [
        (2, 4, 8, 8),
        (2, 4, 8, 8),
        (1, 4, 8, 8),
        (1, 4, 4, 4),
    ]
    assert [each["batch_index"] for each in batches] == [[0, 1], [2, 0], [1], [0]]
    assert batches[1]["noise_mask"].amax(dim=(1, 2, 3)).tolist() == [0, 1]
    assert "noise_mask" not in batches[2]


def test_the_seed_behaviour_sets_or_drops_the_noise_numbers() -> None:
    x = value(3, batch_index=[4, 5, 6])
    assert latent_batch.seed_behaviour(x, "fixed")["batch_index"] == [4, 4, 4]
    assert "batch_index" not in latent_batch.seed_behaviour(x, "random")
    assert x["batch_index"] == [4, 5, 6]


def test_operations_are_values_that_change_latents() -> None:
    x = value()
    for operation in (latent_mix.operation_tonemap(1.0), latent_mix.operation_sharpen()):
        changed = latent_mix.apply_operation(x, operation)["samples"]
        assert changed.shape == x["samples"].shape
        assert changed.isfinite().all()
        assert not torch.equal(changed, x["samples"])


def test_tonemapping_keeps_directions_and_shortens_the_longest() -> None:
    x = value()["samples"]
    mapped = arithmetic.tonemapped(x, 1.0)
    cosine = torch.nn.functional.cosine_similarity(x, mapped, dim=1)
    torch.testing.assert_close(cosine, torch.ones_like(cosine))
    assert arithmetic.length(mapped).max() < arithmetic.length(x).max()


def test_a_blank_latent_of_hunyuan_image_has_a_place_for_32_pixels() -> None:
    blank = latent.empty_of_hunyuan_image(128, 96, 2)["samples"]
    assert blank.shape == (2, 64, 3, 4)
    assert not blank.any()
