"""Autoencoders from files: those of other programs, and of any size."""

import pytest
import torch
from diffusers import AutoencoderKL as TheirVAE
from diffusers import (
    AutoencoderKLTemporalDecoder,
)

from diffusion.latents.vae import AutoencoderKL, VAESizes
from diffusion.latents.vae_files import ldm_vae, vae_sizes
from diffusion.weights.shapes import Unlike
from tests.diffusion.small_models import VAE, as_weights, seeded, weights_of


def test_a_diffusers_autoencoder_gives_the_same_pictures_and_latents() -> None:
    theirs = seeded(
        lambda: TheirVAE(
            down_block_types=("DownEncoderBlock2D",) * 3,
            up_block_types=("UpDecoderBlock2D",) * 3,
            block_out_channels=(16, 16, 32),
            layers_per_block=2,
            latent_channels=4,
            norm_num_groups=8,
        )
    )
    weights = ldm_vae(as_weights(theirs.state_dict(), {"nodeloom.vae.norm_groups": "8"}))
    ours = AutoencoderKL(vae_sizes(weights)).eval()
    assert set(weights) == set(ours.state_dict())
    ours.load_state_dict({name: weights.tensor(name) for name in weights})
    x, z, noise = torch.randn(2, 3, 24, 16), torch.randn(2, 4, 6, 4), torch.randn(2, 4, 6, 4)
    with torch.no_grad():
        their_latent = theirs.encode(x).latent_dist
        mean, logvar = ours.moments(x)
        assert torch.allclose(mean, their_latent.mean, atol=1e-5)
        assert torch.allclose(logvar, their_latent.logvar, atol=1e-5)
        assert torch.allclose(ours.encode(x, noise), their_latent.mean + their_latent.std * noise, atol=1e-5)
        assert torch.allclose(ours.decode(z), theirs.decode(z).sample, atol=1e-5)


def test_a_diffusers_video_autoencoder_gives_the_same_pictures_and_latents() -> None:
    theirs = seeded(
        lambda: AutoencoderKLTemporalDecoder(
            down_block_types=("DownEncoderBlock2D",) * 2, block_out_channels=(32, 64), layers_per_block=2
        )
    )
    weights = ldm_vae(as_weights(theirs.state_dict()))
    sizes = vae_sizes(weights)
    ours = AutoencoderKL(sizes).eval()
    assert (sizes.video, sizes.quantised, sizes.dequantised) == (True, True, False)
    assert set(weights) == set(ours.state_dict())
    ours.load_state_dict({name: weights.tensor(name) for name in weights})
    x, z = torch.randn(2, 3, 24, 16), torch.randn(5, 4, 6, 4)
    with torch.no_grad():
        torch.testing.assert_close(ours.encode(x), theirs.encode(x).latent_dist.mean, rtol=1e-4, atol=1e-5)
        expected = theirs.decode(z, num_frames=5).sample
        torch.testing.assert_close(ours.decode(z), expected, rtol=1e-4, atol=1e-4)


def test_our_own_layout_passes_unchanged() -> None:
    vae = weights_of(seeded(lambda: AutoencoderKL(VAE)))
    assert ldm_vae(vae) is vae


VAES = (
    VAESizes(),
    VAESizes(channels=32, multipliers=(1, 1, 2, 4), blocks=1),
    VAESizes(channels=64, quantised=False),
)


@pytest.mark.parametrize("sizes", VAES)
def test_any_autoencoder_of_the_family_is_recognised(sizes: VAESizes) -> None:
    with torch.device("meta"):
        assert vae_sizes(as_weights(AutoencoderKL(sizes).state_dict())) == sizes


def test_what_is_missing_is_named() -> None:
    with pytest.raises(Unlike, match=r"encoder\.conv_in"):
        vae_sizes(as_weights({}))
