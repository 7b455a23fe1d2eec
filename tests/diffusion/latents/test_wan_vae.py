"""Wan's autoencoder: the class's numbers under Wan's names, pictures one by one, clips as frames."""

from pathlib import Path

import pytest
import torch
from diffusers import AutoencoderKLWan
from torch import Tensor

from diffusion.latents.vae_files import vae_from, vae_part
from diffusion.latents.wan_vae import LAYOUT, SIGN, WanSizes, WanVAE, native, wan_sizes
from diffusion.residency.budget import Residency
from diffusion.residency.precision import Precision
from diffusion.weights.entries import Weights
from diffusion.weights.shapes import Unlike
from tests.diffusion.small_models import seeded, weights_of

SIZES = WanSizes(width=8, channels=16)


@pytest.fixture(scope="module")
def theirs() -> AutoencoderKLWan:
    return seeded(lambda: AutoencoderKLWan(base_dim=8, z_dim=16))


@pytest.fixture(scope="module")
def file(theirs: AutoencoderKLWan) -> Weights:
    """A file of it under Wan's names."""
    return Weights(Path(__file__), LAYOUT.written(weights_of(theirs)))


def test_a_file_is_told_with_its_sizes_and_nothing_is_left_over(file: Weights) -> None:
    assert SIGN in file
    assert wan_sizes(file) == SIZES
    shapes = {name: tuple(each.shape) for name, each in WanVAE(SIZES).state_dict().items()}
    assert LAYOUT.left_over(file, shapes) == []
    assert LAYOUT.read(file, shapes).keys() == shapes.keys()


def test_names_are_those_of_wans_own_files() -> None:
    pairs = {
        "encoder.downsamples.3.residual.2.weight": "encoder.down_blocks.3.conv1.weight",
        "encoder.downsamples.5.time_conv.bias": "encoder.down_blocks.5.time_conv.bias",
        "decoder.upsamples.5.residual.6.weight": "decoder.up_blocks.1.resnets.1.conv2.weight",
        "decoder.upsamples.7.resample.1.weight": "decoder.up_blocks.1.upsamplers.0.resample.1.weight",
        "decoder.middle.1.to_qkv.weight": "decoder.mid_block.attentions.0.to_qkv.weight",
        "decoder.head.2.weight": "decoder.conv_out.weight",
        "conv1.weight": "quant_conv.weight",
    }
    for name, ours in pairs.items():
        assert LAYOUT.names(name) == (ours,)
        assert LAYOUT.file_name(ours) == name


@pytest.mark.parametrize("layout", ["wan", "diffusers"])
@torch.no_grad()
def test_pictures_become_latents_of_their_own_and_clips_frames(
    theirs: AutoencoderKLWan, file: Weights, layout: str
) -> None:
    weights = vae_part(file if layout == "wan" else Weights(Path(__file__), weights_of(theirs).entries))
    assert weights is not None
    vae = vae_from(weights, Residency(Precision("fp32"), "cpu"))
    pictures = torch.rand(2, 18, 16, 3)
    latents = vae.encode(pictures)
    assert latents.shape == (2, 16, 1, 2, 2)
    second = (pictures[1:, 1:17].movedim(-1, 1) * 2 - 1)[:, :, None]
    assert torch.allclose(latents[1:], theirs.encode(second).latent_dist.mode(), atol=1e-5)
    assert vae.decode(latents).shape == (2, 16, 16, 3)
    clip = torch.randn(1, 16, 2, 2, 2)
    frames: Tensor = theirs.decode(clip).sample[0].movedim(1, 0)
    wanted = ((frames + 1) / 2).clamp(0, 1).movedim(1, -1)
    assert torch.allclose(vae.decode(clip), wanted, atol=1e-5)


@torch.no_grad()
def test_large_pictures_are_blended_once_from_tiles(file: Weights) -> None:
    weights = vae_part(file)
    assert weights is not None
    vae = vae_from(weights, Residency(Precision("fp32"), "cpu"))
    latent = torch.randn(1, 16, 1, 4, 6)
    assert vae.decode_tiled(latent, 8, 2).equal(vae.decode(latent))
    assert vae.decode_tiled(latent, 4, 2).shape == (1, 32, 48, 3)
    assert vae.encode_tiled(torch.rand(1, 32, 48, 3), 32, 8).shape == (1, 16, 1, 4, 6)


def test_what_is_laid_out_otherwise_is_left_alone_or_refused(file: Weights) -> None:
    assert native(file) is file
    later = {name: each for name, each in file.items() if not name.startswith("encoder.downsamples.0.")}
    with pytest.raises(Unlike, match=r"encoder\.downsamples\.0\.residual\.2\.weight is missing"):
        wan_sizes(file.having(later))
