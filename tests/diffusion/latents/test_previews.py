"""Previews of a step."""

import numpy as np
import torch
from torch import Tensor

from diffusion.latents.latent_format import SD1, LatentFormat
from diffusion.latents.previews import as_picture, decoded, rough
from tests.diffusion.small_runs import noise


def test_a_rough_preview_has_a_pixel_for_each_place_of_the_first_latent() -> None:
    previewer = rough(SD1)
    assert previewer is not None
    picture = previewer(noise(3, 4, 6, 9))
    assert (picture.shape, picture.dtype) == ((6, 9, 3), np.uint8)
    assert np.array_equal(picture, previewer(noise(3, 4, 6, 9)[:1]))


def test_a_blank_latent_looks_mid_grey() -> None:
    previewer = rough(SD1)
    assert previewer is not None
    assert (previewer(torch.zeros(1, 4, 2, 2)) == 127).all()


def test_a_format_without_colours_has_no_rough_preview() -> None:
    assert rough(LatentFormat("unknown")) is None


def test_a_decoder_gets_the_first_latent_unscaled() -> None:
    seen: list[Tensor] = []

    def decode(latent: Tensor) -> Tensor:
        seen.append(latent)
        return torch.full((1, 16, 16, 3), 0.5)

    latent = noise(2, 4, 2, 2)
    picture = decoded(SD1, decode)(SD1.into(latent))
    torch.testing.assert_close(seen[0], latent[:1])
    assert picture.shape == (16, 16, 3)


def test_colours_out_of_range_are_cut_off() -> None:
    image = torch.tensor([-1.0, 0.5, 2.0]).expand(1, 1, 1, 3)
    assert as_picture(image).tolist() == [[[0, 127, 255]]]
