"""Conditioning nodes for models that go on from a picture."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

from diffusion.networks.vision import VisionEncoder, load_vision
from diffusion.residency.budget import Residency
from diffusion.residency.precision import Precision
from tests.diffusion.small_models import seeded

Call = Callable[..., Any]
WORDS = [[torch.ones(1, 7, 32), {"pooled_output": torch.ones(1, 8)}]]


def test_the_upscaler_gets_the_picture_at_a_quarter_of_the_result(call: Call) -> None:
    picture = torch.rand(2, 16, 24, 3)
    inputs = {"images": picture, "positive": WORDS, "negative": WORDS}
    positive, negative, latent = call("SD_4XUpscale_Conditioning", noise_augmentation=0.3, **inputs)
    assert latent["samples"].shape == (2, 4, 16, 24)
    for ((embedding, options),) in (positive, negative):
        assert torch.equal(embedding, WORDS[0][0])
        assert options["noise_augmentation"] == 0.3
        torch.testing.assert_close(options["concat_image"], picture.movedim(-1, 1) * 2 - 1)
        assert "pooled_output" in options
    *_, latent = call("SD_4XUpscale_Conditioning", scale_ratio=2.0, **inputs)
    assert latent["samples"].shape == (2, 4, 8, 12)
    *_, latent = call("SD_4XUpscale_Conditioning", scale_ratio=0.0, **inputs)
    assert latent["samples"].shape == (2, 4, 1, 1)


@pytest.fixture(scope="module")
def seeing(tmp_path_factory: pytest.TempPathFactory) -> VisionEncoder:
    """A small picture encoder."""
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
    tensors = seeded(lambda: CLIPVisionModelWithProjection(config)).state_dict()
    path = tmp_path_factory.mktemp("vision") / "vision.safetensors"
    save_file({name: each for name, each in tensors.items() if "position_ids" not in name}, path)
    return load_vision(path, Residency(Precision("fp32"), "cpu"))


@pytest.fixture
def given(call: Call, seeing: VisionEncoder) -> dict[str, Any]:
    """What all the nodes take."""
    (vae,) = call("VAELoader", vae_name="vae.safetensors")
    return {
        "clip_vision": seeing,
        "init_image": torch.rand(1, 48, 40, 4, generator=torch.Generator().manual_seed(1)),
        "vae": vae,
    }


def test_a_video_model_sees_the_picture_twice(call: Call, given: dict[str, Any]) -> None:
    sizes = {"width": 64, "height": 32, "video_frames": 5}
    positive, negative, latent = call("SVD_img2vid_Conditioning", fps=9, **sizes, **given)
    assert latent["samples"].shape == (5, 4, 4, 8)
    ((seen, options),), ((nothing, without),) = positive, negative
    embedded = given["clip_vision"].encode(given["init_image"])["image_embeds"]
    assert torch.equal(seen, embedded[None])
    assert not nothing.any()
    assert options["concat_latent_image"].shape == (1, 4, 4, 8)
    assert not without["concat_latent_image"].any()
    for each in (options, without):
        assert (each["fps"], each["motion_bucket_id"], each["augmentation_level"]) == (9, 127, 0.0)
    noised, again = (
        call("SVD_img2vid_Conditioning", augmentation_level=0.5, **sizes, **given)[0][0][1] for _ in range(2)
    )
    assert not torch.allclose(noised["concat_latent_image"], options["concat_latent_image"])
    assert torch.equal(noised["concat_latent_image"], again["concat_latent_image"])


def test_an_orbit_goes_once_around(call: Call, given: dict[str, Any]) -> None:
    positive, _, latent = call(
        "SV3D_Conditioning", width=64, height=64, video_frames=5, elevation=12.0, **given
    )
    assert positive[0][1]["azimuth"] == [0.0, 90.0, 180.0, 270.0, 360.0]
    assert positive[0][1]["elevation"] == [12.0] * 5
    assert latent["samples"].shape == (5, 4, 8, 8)


def test_a_view_is_the_picture_beside_a_camera(call: Call, given: dict[str, Any]) -> None:
    inputs = {"width": 64, "height": 64, "azimuth": 90.0, **given}
    positive, negative, latent = call("StableZero123_Conditioning", batch_size=2, **inputs)
    assert positive[0][0].shape == (1, 1, 28)
    assert positive[0][0][0, 0, 24:].tolist() == pytest.approx([0, 1, 0, 1.5708], abs=1e-4)
    assert negative[0][0].shape == (1, 1, 24)
    assert latent["samples"].shape == (2, 4, 8, 8)
    positive, negative, latent = call(
        "StableZero123_Conditioning_Batched", batch_size=3, azimuth_batch_increment=90.0, **inputs
    )
    assert positive[0][0].shape == (3, 1, 28)
    assert positive[0][0][1, 0, 25:27].tolist() == pytest.approx([0, -1], abs=1e-6)
    assert negative[0][0].shape == (1, 1, 24)
    assert latent["batch_index"] == [0, 0, 0]


def test_a_missing_picture_encoder_is_named(call: Call, given: dict[str, Any]) -> None:
    with pytest.raises(Exception, match=r"'clip_vision' is empty.*CLIPVisionLoader"):
        call("SVD_img2vid_Conditioning", **{**given, "clip_vision": None})
