"""HunyuanImage's autoencoder: its sizes, its folds, and shortcuts as diffusers has them."""

from pathlib import Path

import pytest
import torch
from diffusers.models.autoencoders.autoencoder_kl_hunyuanimage import AutoencoderKLHunyuanImage

from diffusion.latents.hunyuan_vae import (
    SIGN,
    Fold,
    HunyuanVAE,
    HunyuanVAESizes,
    Unfold,
    averaged,
    folded,
    hunyuan_vae_sizes,
    repeated,
    unfolded,
)
from diffusion.weights.entries import Entry, Weights
from diffusion.weights.shapes import Unlike

SIZES = HunyuanVAESizes(latent_channels=16, down=(32, 64), up=(64, 32), blocks=1)


def made() -> HunyuanVAE:
    """A small one with random weights."""
    torch.manual_seed(0)
    return HunyuanVAE(SIZES).eval()


def test_sizes_are_read_off_a_file_and_what_is_missing_is_said() -> None:
    state = made().state_dict()
    assert SIGN in state
    entries = {n: Entry(tuple(t.shape), t.dtype, lambda t=t: t) for n, t in state.items()}
    assert hunyuan_vae_sizes(Weights(Path("vae.safetensors"), entries)) == SIZES
    assert SIZES.downscale == 2
    with pytest.raises(Unlike, match="missing"):
        hunyuan_vae_sizes(Weights(Path("vae.safetensors"), {}))


@torch.no_grad()
def test_a_picture_goes_in_and_comes_out_at_its_size() -> None:
    vae = made()
    latent = vae.encode(torch.randn(1, 3, 8, 12))
    assert latent.shape == (1, 16, 4, 6)
    assert vae.decode(latent).shape == (1, 3, 8, 12)


def test_folding_keeps_every_number_and_channels_beside_each_other() -> None:
    x = torch.arange(32.0).reshape(1, 2, 4, 4)
    assert torch.equal(unfolded(folded(x)), x)
    assert folded(x)[0, :, 0, 0].tolist() == [0, 16, 1, 17, 4, 20, 5, 21]
    assert torch.equal(averaged(repeated(x, 6), 2), x)


@torch.no_grad()
def test_both_changes_of_resolution_and_the_ends_are_those_of_diffusers() -> None:
    theirs = AutoencoderKLHunyuanImage(
        in_channels=3,
        out_channels=3,
        latent_channels=16,
        block_out_channels=(32, 64),
        layers_per_block=1,
        spatial_compression_ratio=2,
        sample_size=8,
    ).eval()
    down = next(m for m in theirs.encoder.down_blocks if "Downsample" in type(m).__name__)
    up = next(m for m in theirs.decoder.up_blocks if "Upsample" in type(m).__name__)
    fold, unfold = Fold(32, 64), Unfold(64, 32)
    fold.load_state_dict(down.state_dict())
    unfold.load_state_dict(up.state_dict())
    x, z = torch.randn(1, 32, 6, 4), torch.randn(1, 64, 3, 2)
    assert torch.allclose(fold(x), down(x), atol=1e-5)
    assert torch.allclose(unfold(z), up(z), atol=1e-5)
