"""Latents to images and back, and painting into pictures."""

from collections.abc import Callable
from typing import Any

import pytest
import torch

from nodes.latent.vae import blanked, cut_to_multiple, widened

Call = Callable[..., Any]


@pytest.fixture
def vae(call: Call) -> Any:
    """A small VAE."""
    return call("VAELoader", vae_name="vae.safetensors")[0]


def test_an_image_becomes_a_latent_of_an_eighth_and_back(call: Call, vae: Any) -> None:
    (latent,) = call("VAEEncode", pixels=torch.rand(2, 16, 24, 4), vae=vae)
    assert latent["samples"].shape == (2, 4, 2, 3)
    (image,) = call("VAEDecode", samples=latent, vae=vae)
    assert image.shape == (2, 16, 24, 3)
    assert image.min() >= 0
    assert image.max() <= 1


def test_one_tile_that_holds_everything_equals_the_whole(call: Call, vae: Any) -> None:
    pixels = torch.rand(1, 64, 64, 3)
    (whole,) = call("VAEEncode", pixels=pixels, vae=vae)
    (tiled,) = call("VAEEncodeTiled", pixels=pixels, vae=vae)
    torch.testing.assert_close(tiled["samples"], whole["samples"], rtol=1e-4, atol=1e-4)
    (image,) = call("VAEDecode", samples=whole, vae=vae)
    (pieces,) = call("VAEDecodeTiled", samples=whole, vae=vae)
    torch.testing.assert_close(pieces, image, rtol=1e-4, atol=1e-4)


def test_tiles_give_the_size_of_the_whole(call: Call, vae: Any) -> None:
    (image,) = call(
        "VAEDecodeTiled", samples={"samples": torch.randn(1, 4, 20, 12)}, vae=vae, tile_size=64, overlap=64
    )
    assert image.shape == (1, 160, 96, 3)
    (latent,) = call("VAEEncodeTiled", pixels=torch.rand(1, 160, 96, 3), vae=vae, tile_size=64, overlap=32)
    assert latent["samples"].shape == (1, 4, 20, 12)


@pytest.mark.parametrize(("height", "width"), [(16, 24), (21, 31)])
def test_what_is_painted_anew_is_blank_in_the_latent(call: Call, vae: Any, height: int, width: int) -> None:
    pixels, mask = torch.ones(1, height, width, 3), torch.ones(1, 5, 7)
    (latent,) = call("VAEEncodeForInpaint", pixels=pixels, vae=vae, mask=mask, grow_mask_by=3)
    (grey,) = call("VAEEncode", pixels=torch.full((1, 16, 24, 3), 0.5), vae=vae)
    torch.testing.assert_close(latent["samples"], grey["samples"])
    assert latent["noise_mask"].shape == (1, 1, 16, 24)
    assert latent["noise_mask"].unique().tolist() == [1]


@pytest.mark.parametrize("keep", [True, False])
def test_an_inpainting_model_is_shown_what_is_around(call: Call, vae: Any, keep: bool) -> None:
    entry = [[torch.zeros(1, 77, 32), {"kept": 1}]]
    positive, negative, latent = call(
        "InpaintModelConditioning",
        positive=entry,
        negative=entry,
        vae=vae,
        pixels=torch.rand(1, 16, 16, 3),
        mask=torch.ones(1, 16, 16),
        noise_mask=keep,
    )
    for ((_, options),) in (positive, negative):
        assert options["kept"] == 1
        assert options["concat_latent_image"].shape == (1, 4, 2, 2)
        assert options["concat_mask"].shape == (1, 1, 16, 16)
    assert ("noise_mask" in latent) is keep


def test_pictures_and_masks_are_cut_evenly() -> None:
    pixels, mask = cut_to_multiple(torch.rand(1, 21, 31, 4), torch.rand(1, 5, 5), 8)
    assert pixels.shape == (1, 16, 24, 3)
    assert mask.shape == (1, 1, 16, 24)


def test_blanking_makes_masked_pixels_grey() -> None:
    mask = torch.tensor([[[[0.4, 0.6]]]])
    assert blanked(torch.ones(1, 1, 2, 3), mask)[0, 0].tolist() == [[1, 1, 1], [0.5, 0.5, 0.5]]


@pytest.mark.parametrize(("size", "expected"), [(0, 1), (1, 1), (2, 4), (3, 9), (6, 36)])
def test_widening_reaches_every_pixel_of_the_square(size: int, expected: int) -> None:
    mask = torch.zeros(1, 1, 16, 16)
    mask[..., 8, 8] = 1
    out = widened(mask, size)
    assert out.shape == mask.shape
    assert out.sum() == expected
