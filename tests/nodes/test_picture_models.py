"""Whole workflows of models that go on from a picture: from the file to the result."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

from diffusion.latents.vae import AutoencoderKL, VAESizes
from diffusion.networks.unet import UNet, UNetSizes
from tests.diffusion.networks.test_vision import open_clip
from tests.diffusion.small_models import prefixed, seeded
from tests.nodes.conftest import METADATA, small

Call = Callable[..., Any]
SAMPLED = {"seed": 3, "steps": 2, "cfg": 4.0, "sampler_name": "euler", "scheduler": "normal", "denoise": 1.0}
PICTURE = torch.rand(1, 32, 16, 3, generator=torch.Generator().manual_seed(1))
UNETS = {
    "upscaler": UNetSizes.even(
        (1, 2),
        (1, 1),
        blocks=1,
        channels=32,
        context=32,
        heads=2,
        in_channels=7,
        classes=1000,
        norm_groups=8,
        linear_projections=True,
        self_attention=(False, True),
    ),
    "turner": UNetSizes.even(
        (1, 2), (1, 1), blocks=1, channels=32, context=24, heads=2, in_channels=8, norm_groups=8
    ),
}


def written(models: Path, name: str, levels: int, **more: torch.Tensor) -> str:
    """A checkpoint of a UNet, a VAE of so many levels, and other tensors."""
    vae = VAESizes(channels=16, multipliers=(1,) * levels, blocks=1, norm_groups=8)
    tensors = {
        **prefixed("model.diffusion_model.", seeded(lambda: UNet(UNETS[name]))),
        **prefixed("first_stage_model.", seeded(lambda: AutoencoderKL(vae))),
        **more,
    }
    save_file(tensors, models / "checkpoints" / f"{name}.safetensors", METADATA)
    return f"{name}.safetensors"


def test_the_x4_upscaler_makes_a_picture_four_times_as_large(call: Call, models: Path) -> None:
    name = written(models, "upscaler", 3, **small("cond_stage_model.transformer."))
    model, clip, vae = call("CheckpointLoaderSimple", ckpt_name=name)
    words = [call("CLIPTextEncode", text=text, clip=clip)[0] for text in ("a fox", "")]
    positive, negative, latent = call(
        "SD_4XUpscale_Conditioning",
        images=PICTURE,
        positive=words[0],
        negative=words[1],
        scale_ratio=4.0,
        noise_augmentation=0.1,
    )
    inputs = {"model": model, "positive": positive, "negative": negative, "latent_image": latent, **SAMPLED}
    (sampled,) = call("KSampler", **inputs)
    (picture,) = call("VAEDecode", samples=sampled, vae=vae)
    assert picture.shape == (1, 128, 64, 3)
    assert picture.isfinite().all()


def turner(models: Path) -> str:
    """A checkpoint of a model that turns things, as published: with remains of a text tower."""
    config = CLIPVisionConfig(
        hidden_size=64,
        intermediate_size=96,
        projection_dim=24,
        num_hidden_layers=2,
        num_attention_heads=1,
        image_size=28,
        patch_size=14,
        hidden_act="gelu",
    )
    seeing = seeded(lambda: CLIPVisionModelWithProjection(config)).state_dict()
    tower = open_clip({key: each for key, each in seeing.items() if "position_ids" not in key})
    more = {f"cond_stage_model.model.visual.{key}": tensor for key, tensor in tower.items()}
    more |= {  # what a text tower leaves behind when its layers are taken out
        "cond_stage_model.model.token_embedding.weight": torch.zeros(8, 64),
        "cond_stage_model.model.text_projection": torch.zeros(64, 24),
        "cc_projection.weight": torch.randn(24, 28, generator=torch.Generator().manual_seed(2)),
        "cc_projection.bias": torch.zeros(24),
    }
    return written(models, "turner", 4, **more)


def views(call: Call, name: str) -> torch.Tensor:
    """Two views of a thing."""
    model, clip_vision, vae = call("ImageOnlyCheckpointLoader", ckpt_name=name)
    given = {"clip_vision": clip_vision, "vae": vae, "width": 64, "height": 64, "init_image": PICTURE}
    positive, negative, latent = call(
        "StableZero123_Conditioning_Batched", batch_size=2, azimuth_batch_increment=120.0, **given
    )
    inputs = {"model": model, "positive": positive, "negative": negative, "latent_image": latent, **SAMPLED}
    (sampled,) = call("KSampler", **inputs)
    (pictures,) = call("VAEDecode", samples=sampled, vae=vae)
    assert isinstance(pictures, torch.Tensor)
    return pictures


def test_zero123_shows_a_thing_from_several_sides(call: Call, models: Path) -> None:
    pictures = views(call, turner(models))
    assert pictures.shape == (2, 64, 64, 3)
    assert not torch.allclose(pictures[0], pictures[1], atol=1e-4), "from the same noise, seen from elsewhere"


def test_what_was_saved_anew_shows_the_same(call: Call, models: Path, tmp_path: Path) -> None:
    name = turner(models)
    model, clip_vision, vae = call("ImageOnlyCheckpointLoader", ckpt_name=name)
    parts = {"model": model, "clip_vision": clip_vision, "vae": vae}
    call("ImageOnlyCheckpointSave", filename_prefix="checkpoints/anew", **parts)
    (path,) = tmp_path.glob("output/checkpoints/anew*.safetensors")
    assert "cc_projection.weight" in load_file(path)
    path.rename(models / "checkpoints" / "anew.safetensors")
    torch.testing.assert_close(views(call, "anew.safetensors"), views(call, name))
