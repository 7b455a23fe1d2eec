"""Families of real size, as diffusers describes them: recognised, and every tensor has its place.

Only names and shapes are compared, on the meta device; `benchmarks/real_size.py` loads files of real size.
"""

from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import AutoencoderKL as TheirVAE
from diffusers import (
    AutoencoderKLTemporalDecoder,
    UNet2DConditionModel,
    UNetSpatioTemporalConditionModel,
)

from diffusion.control.control_files import control_weights, hint_sizes
from diffusion.control.control_union import union_sizes
from diffusion.control.controlnet import ControlUNet
from diffusion.families.detect import require
from diffusion.latents.vae import AutoencoderKL
from diffusion.latents.vae_files import ldm_vae, vae_sizes
from diffusion.networks.unet import UNet
from diffusion.networks.unet_sizes import unet_sizes
from diffusion.weights.entries import Entry, Weights
from diffusion.weights.loading import Uninitialised, build_empty
from tests.diffusion.small_models import as_weights
from tests.golden.weights import manifests

XL: dict[str, Any] = {
    "block_out_channels": (320, 640, 1280),
    "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
    "up_block_types": ("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
    "attention_head_dim": (5, 10, 20),
    "cross_attention_dim": 2048,
    "use_linear_projection": True,
    "addition_embed_type": "text_time",
    "addition_time_embed_dim": 256,
    "projection_class_embeddings_input_dim": 2816,
}
UNETS: dict[str, dict[str, Any]] = {
    "segmind, SSD-1B": {
        **XL,
        "transformer_layers_per_block": (1, 2, 4),
        "reverse_transformer_layers_per_block": ((4, 4, 10), (2, 1, 1), 1),
        "mid_block_type": "UNetMidBlock2D",
    },
    "segmind, Vega": {
        **XL,
        "transformer_layers_per_block": (1, 1, 2),
        "mid_block_type": "UNetMidBlock2D",
    },
    "koala, 700M": {
        **XL,
        "layers_per_block": 1,
        "transformer_layers_per_block": (0, 2, 5),
        "mid_block_type": None,
    },
    "koala, 1B": {**XL, "layers_per_block": 1, "transformer_layers_per_block": (0, 2, 6)},
    "upscaler_x4": {
        "in_channels": 7,
        "block_out_channels": (256, 512, 512, 1024),
        "down_block_types": ("DownBlock2D", *("CrossAttnDownBlock2D",) * 3),
        "up_block_types": (*("CrossAttnUpBlock2D",) * 3, "UpBlock2D"),
        "attention_head_dim": 8,
        "cross_attention_dim": 1024,
        "use_linear_projection": True,
        "only_cross_attention": (True, True, True, False),
        "num_class_embeds": 1000,
    },
}
VAES: dict[str, Any] = {
    "upscaler_x4": lambda: TheirVAE(
        down_block_types=("DownEncoderBlock2D",) * 3,
        up_block_types=("UpDecoderBlock2D",) * 3,
        block_out_channels=(128, 256, 512),
        layers_per_block=2,
    ),
    "svd": lambda: AutoencoderKLTemporalDecoder(
        down_block_types=("DownEncoderBlock2D",) * 4,
        block_out_channels=(128, 256, 512, 512),
        layers_per_block=2,
    ),
}


def shapes_of(build: Any) -> Weights:
    """The tensors of a module that takes no memory."""
    with torch.device("meta"), Uninitialised():
        return as_weights(build().state_dict())


@pytest.mark.parametrize("name", UNETS)
def test_a_unet_of_real_size_is_recognised_and_has_all_its_tensors(name: str) -> None:
    family, weights, sizes = require(shapes_of(lambda: UNet2DConditionModel(**UNETS[name])))
    assert family.name == name.split(",")[0]
    assert (sizes.heads, sizes.head_channels) == ((8, None) if "x4" in name else (None, 64))
    ours = build_empty(lambda: UNet(sizes), weights)
    assert set(ours.state_dict()) == set(weights)


def test_stable_video_diffusion_of_real_size_is_recognised_and_has_all_its_tensors() -> None:
    family, weights, sizes = require(shapes_of(UNetSpatioTemporalConditionModel))
    assert (family.name, sizes.head_channels, sizes.context) == ("svd", 64, 1024)
    ours = build_empty(lambda: UNet(sizes), weights)
    assert set(ours.state_dict()) == set(weights)
    assert sum(tensor.numel() for tensor in ours.parameters()) == 1_524_623_082


@pytest.mark.parametrize("name", VAES)
def test_an_autoencoder_of_real_size_has_all_its_tensors(name: str) -> None:
    weights = ldm_vae(shapes_of(VAES[name]))
    sizes = vae_sizes(weights)
    assert (sizes.downscale, sizes.video) == {"upscaler_x4": (4, False), "svd": (8, True)}[name]
    assert set(build_empty(lambda: AutoencoderKL(sizes), weights).state_dict()) == set(weights)


def test_a_control_network_of_real_size_has_all_its_tensors() -> None:
    entries = {
        name: Entry(tuple(shape), torch.float16, lambda shape=shape: torch.zeros(shape))
        for name, shape in manifests()["controlnet_sd15"].items()
    }
    weights = control_weights(Weights(Path("control.safetensors"), entries))
    sizes, hints = unet_sizes(weights, downward_only=True), hint_sizes(weights)
    ours = build_empty(lambda: ControlUNet(sizes, hints, union_sizes(weights)), weights)
    assert set(ours.state_dict()) == set(weights)
    assert len(weights) == len(entries)
