"""The autoencoder's names are those of published checkpoints, and its latent is Gaussian."""

import pytest
import torch

from diffusion.latents.vae import AutoencoderKL, VAESizes
from tests.diffusion.small_models import VAE, seeded
from tests.golden.weights import manifests


@pytest.mark.parametrize("name", ["sd15", "sd21v", "sdxl_base"])
def test_names_and_shapes_equal_the_published_checkpoints(name: str) -> None:
    manifest = manifests()[name]
    prefix = "first_stage_model."
    published = {
        key[len(prefix) :]: tuple(shape) for key, shape in manifest.items() if key.startswith(prefix)
    }
    with torch.device("meta"):
        ours = AutoencoderKL(VAESizes()).state_dict()
    assert {key: tuple(tensor.shape) for key, tensor in ours.items()} == published


def test_a_picture_becomes_an_eighth_and_comes_back() -> None:
    vae = seeded(lambda: AutoencoderKL(VAE))
    assert VAE.downscale == 8
    latent = vae.encode(torch.randn(2, 3, 32, 48))
    assert latent.shape == (2, 4, 4, 6)
    assert vae.decode(latent).shape == (2, 3, 32, 48)
    assert vae(torch.randn(1, 3, 16, 16)).shape == (1, 3, 16, 16)


def test_noise_moves_the_latent_by_its_deviation() -> None:
    vae = seeded(lambda: AutoencoderKL(VAE))
    x = torch.randn(1, 3, 16, 16)
    mean, logvar = vae.moments(x)
    assert torch.equal(vae.encode(x), mean)
    assert torch.equal(vae.encode(x, torch.zeros_like(mean)), mean)
    ones = vae.encode(x, torch.ones_like(mean))
    assert torch.allclose(ones - mean, (0.5 * logvar).exp(), atol=1e-5)
    assert logvar.max() <= 20
    assert logvar.min() >= -30


def test_every_parameter_learns() -> None:
    vae = AutoencoderKL(VAE)
    x = torch.randn(1, 3, 16, 16)
    vae(x, torch.randn(1, 4, 2, 2)).square().sum().backward()
    assert all(parameter.grad is not None for parameter in vae.parameters())


def test_a_latent_without_quantising_convolutions_is_possible() -> None:
    vae = AutoencoderKL(VAESizes(channels=8, multipliers=(1, 1), blocks=1, norm_groups=4, quantised=False))
    assert not any("quant" in name for name in vae.state_dict())
    assert vae(torch.randn(1, 3, 8, 8)).shape == (1, 3, 8, 8)
