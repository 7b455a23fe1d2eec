"""The unCLIP nodes: a checkpoint with its picture encoder, and pictures that steer."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

from diffusion.networks.unet import UNet, UNetSizes
from tests.nodes.conftest import METADATA, small

Call = Callable[..., Any]
SIZES = UNetSizes.even(
    (1, 2), (1, 1), blocks=1, channels=64, context=32, heads=None, head_channels=32,
    linear_projections=True, vector=1536,
)  # fmt: skip


def write_checkpoint(path: Path) -> None:
    """A small unCLIP checkpoint with a VAE and a picture encoder."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        unet, config = UNet(SIZES), CLIPVisionConfig(
            hidden_size=64, intermediate_size=64, projection_dim=768, num_hidden_layers=2,
            num_attention_heads=1, patch_size=14, image_size=28,
        )  # fmt: skip
        vision = CLIPVisionModelWithProjection(config)
    seeing = {name: each for name, each in vision.state_dict().items() if "position_ids" not in name}
    tensors = {f"model.diffusion_model.{name}": each for name, each in unet.state_dict().items()}
    tensors |= small("first_stage_model.")
    tensors |= {f"embedder.model.visual.{name}": each.contiguous() for name, each in seeing.items()}
    save_file(tensors, path, METADATA)


def test_a_picture_steers_a_checkpoint_that_brings_its_own_eyes(call: Call, models: Path) -> None:
    write_checkpoint(models / "checkpoints" / "unclip.safetensors")
    model, clip, vae, vision = call("unCLIPCheckpointLoader", ckpt_name="unclip.safetensors")
    assert clip is None
    assert vae is not None
    (seen,) = call("CLIPVisionEncode", clip_vision=vision, image=torch.rand(1, 28, 28, 3), crop="center")
    words = [[torch.randn(1, 7, 32), {}]]
    (once,) = call("unCLIPConditioning", conditioning=words, clip_vision_output=seen, strength=1.0)
    (twice,) = call("unCLIPConditioning", conditioning=once, clip_vision_output=seen, noise_augmentation=0.5)
    (same,) = call("unCLIPConditioning", conditioning=words, clip_vision_output=seen, strength=0.0)
    assert [len(each[0][1].get("unclip_conditioning", ())) for each in (same, once, twice)] == [0, 1, 2]
    results = []
    for positive in (words, once, twice):
        (out,) = call(
            "KSampler", model=model, seed=1, steps=2, cfg=1.0, sampler_name="euler", scheduler="normal",
            positive=positive, negative=words, latent_image={"samples": torch.zeros(1, 4, 8, 8)}, denoise=1.0,
        )  # fmt: skip
        results.append(out["samples"])
    assert not torch.allclose(results[0], results[1], atol=1e-4)
    assert not torch.allclose(results[1], results[2], atol=1e-4)
