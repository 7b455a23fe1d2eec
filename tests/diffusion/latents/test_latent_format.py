"""Latents are scaled into a network's range and back, and shown as rough colours."""

import pytest
import torch

from diffusion.latents.latent_format import FORMATS, SD1, SDXL, LatentFormat


@pytest.mark.parametrize(
    "latent_format", [*FORMATS.values(), LatentFormat("shifted", scale=0.36, shift=0.11)]
)
def test_scaling_there_and_back_is_nothing(latent_format: LatentFormat) -> None:
    latent = torch.randn(2, latent_format.channels, *(1,) * (latent_format.axes - 2), 3, 5)
    assert torch.allclose(latent_format.out_of(latent_format.into(latent)), latent, atol=1e-6)


def test_the_published_scales() -> None:
    assert torch.allclose(SD1.into(torch.ones(1)), torch.tensor(0.18215))
    assert torch.allclose(SDXL.into(torch.ones(1)), torch.tensor(0.13025))


@pytest.mark.parametrize("latent_format", [each for each in FORMATS.values() if each.rgb])
def test_colours_are_a_picture_and_brighter_latents_are_brighter(latent_format: LatentFormat) -> None:
    latent = torch.randn(2, latent_format.channels, 3, 5)
    picture = latent_format.colours(latent)
    assert picture.shape == (2, 3, 5, 3)
    assert picture.min() >= 0
    assert picture.max() <= 1
    grey = latent_format.colours(torch.zeros(1, latent_format.channels, 1, 1))
    assert torch.allclose(grey, torch.tensor(0.5), atol=0.05)
    lit = torch.tensor(latent_format.rgb).sum(dim=1).reshape(1, -1, 1, 1) / 2
    assert (latent_format.colours(lit) > grey).all()
