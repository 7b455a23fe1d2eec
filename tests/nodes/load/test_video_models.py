"""A video checkpoint from its file to frames, and guidance that changes over the frames."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

from diffusion.latents.vae import AutoencoderKL, VAESizes
from diffusion.networks.unet import UNet, UNetSizes
from tests.diffusion.small_models import prefixed, seeded
from tests.nodes.conftest import METADATA

Call = Callable[..., Any]
VIDEO = UNetSizes.even(
    (1, 2),
    (1, 1),
    blocks=1,
    channels=32,
    context=24,
    heads=2,
    in_channels=8,
    norm_groups=8,
    linear_projections=True,
    vector=768,
    video=True,
)
VISION = CLIPVisionConfig(
    hidden_size=64,
    intermediate_size=96,
    projection_dim=24,
    num_hidden_layers=2,
    num_attention_heads=1,
    image_size=28,
    patch_size=14,
    hidden_act="gelu",
)


@pytest.fixture(scope="module")
def name(models: Path) -> str:
    """A small checkpoint of a video model."""
    vae = VAESizes(
        channels=16,
        multipliers=(1, 1, 1, 1),
        blocks=1,
        norm_groups=8,
        quantised=False,
        video=True,
    )
    vision = {
        name: each
        for name, each in seeded(lambda: CLIPVisionModelWithProjection(VISION)).state_dict().items()
        if "position_ids" not in name
    }
    tensors = {
        **prefixed("model.diffusion_model.", seeded(lambda: UNet(VIDEO))),
        **prefixed("first_stage_model.", seeded(lambda: AutoencoderKL(vae))),
        **vision,
    }
    save_file(tensors, models / "checkpoints" / "video.safetensors", METADATA)
    return "video.safetensors"


def frames(call: Call, name: str, patch: Callable[[Any], Any] = lambda model: model, cfg: float = 2.5) -> Any:
    """A latent of four frames from a picture, and the VAE."""
    model, seeing, vae = call("ImageOnlyCheckpointLoader", ckpt_name=name)
    picture = torch.rand(1, 64, 64, 3, generator=torch.Generator().manual_seed(1))
    positive, negative, latent = call(
        "SVD_img2vid_Conditioning",
        clip_vision=seeing,
        init_image=picture,
        vae=vae,
        width=64,
        height=64,
        video_frames=4,
    )
    (sampled,) = call(
        "KSampler",
        model=patch(model),
        seed=3,
        steps=2,
        cfg=cfg,
        sampler_name="euler",
        scheduler="karras",
        positive=positive,
        negative=negative,
        latent_image=latent,
        denoise=1.0,
    )
    return sampled, vae


def test_a_picture_becomes_a_clip(call: Call, name: str) -> None:
    sampled, vae = frames(call, name)
    assert sampled["samples"].shape == (4, 4, 8, 8)
    (clip,) = call("VAEDecode", samples=sampled, vae=vae)
    assert clip.shape == (4, 64, 64, 3)
    assert clip.isfinite().all()
    (first,) = call("VAEDecode", samples={"samples": sampled["samples"][:1]}, vae=vae)
    assert not torch.allclose(clip[:1], first, atol=1e-4), "the decoder joins frames"
    (tiled,) = call("VAEDecodeTiled", samples=sampled, vae=vae)
    torch.testing.assert_close(tiled, clip, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("kind", ["self_structural", "self_temporal", "cross_structural", "cross_temporal"])
def test_attention_of_places_and_of_frames_is_multiplied_apart(call: Call, name: str, kind: str) -> None:
    model, _, _ = call("ImageOnlyCheckpointLoader", ckpt_name=name)
    factors = dict.fromkeys(("self_structural", "self_temporal", "cross_structural", "cross_temporal"), 1.0)
    (patched,) = call("UNetTemporalAttentionMultiply", model=model, **{**factors, kind: 2.0})
    which, direction = ("attn1" if "self" in kind else "attn2"), "temporal" in kind
    for parameter in (each for each in model.backbone.weights if ".to_out.0." in each):
        weight = torch.ones(2)
        for patch in patched.weight_patches[parameter]:
            weight = patch(weight)
        changed = which in parameter and (".time_stack." in parameter) is direction
        assert weight.tolist() == ([2, 2] if changed else [1, 1]), parameter


@pytest.mark.parametrize("node", ["VideoLinearCFGGuidance", "VideoTriangleCFGGuidance"])
def test_a_course_that_begins_at_the_scale_is_plain_guidance(call: Call, name: str, node: str) -> None:
    plain, _ = frames(call, name)
    same, _ = frames(call, name, lambda model: call(node, model=model, min_cfg=2.5)[0])
    other, _ = frames(call, name, lambda model: call(node, model=model, min_cfg=1.0)[0])
    torch.testing.assert_close(same["samples"], plain["samples"], rtol=1e-3, atol=1e-3)
    assert not torch.allclose(other["samples"], plain["samples"], rtol=1e-2)


@pytest.mark.parametrize("schedule", ["standard_static", "standard_uniform", "looped_uniform", "batched"])
def test_a_clip_is_made_in_windows_of_frames(call: Call, name: str, schedule: str) -> None:
    def windows(model: Any, length: int) -> Any:
        inputs = {"context_length": length, "context_overlap": 1, "context_schedule": schedule}
        return call("ContextWindowsManual", model=model, **inputs)[0]

    plain, _ = frames(call, name)
    short, _ = frames(call, name, lambda model: windows(model, 2))
    long, _ = frames(call, name, lambda model: windows(model, 4))
    assert short["samples"].shape == plain["samples"].shape
    assert short["samples"].isfinite().all()
    assert not torch.allclose(short["samples"], plain["samples"], rtol=1e-2)
    torch.testing.assert_close(long["samples"], plain["samples"], rtol=1e-3, atol=1e-3)
