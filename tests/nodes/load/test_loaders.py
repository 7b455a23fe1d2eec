"""Loading models from files, through the nodes."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from diffusion.errors import DiffusionError, Mismatch
from diffusion.noise.prediction import V
from execution.declare.registry import Registry
from execution.errors import FileMissing, OutsideRoot
from execution.files.folders import Folders
from nodes.latent import vae
from nodes.sample import sampling
from nodes.text import text
from tests.nodes.conftest import METADATA

Call = Callable[..., Any]


def test_a_checkpoint_gives_model_text_encoder_and_vae(call: Call) -> None:
    model, clip, autoencoder = call("CheckpointLoaderSimple", ckpt_name="small.safetensors")
    assert model.latent_format.channels == 4
    assert clip.text("a cat").cond.shape == (1, 77, 32)
    assert autoencoder.decode(torch.zeros(1, 4, 2, 3)).shape == (1, 16, 24, 3)


def test_parts_that_a_checkpoint_lacks_are_said_where_they_are_needed(call: Call) -> None:
    model, clip, autoencoder = call("CheckpointLoaderSimple", ckpt_name="only_unet.safetensors")
    assert sampling.present(model) is model
    with pytest.raises(ValueError, match=r"input 'clip' is empty.*CLIPLoader"):
        text.present(clip)
    with pytest.raises(ValueError, match=r"input 'vae' is empty.*VAELoader"):
        vae.present(autoencoder)
    with pytest.raises(ValueError, match=r"input 'model' is empty.*UNETLoader"):
        sampling.present(None)


def test_parts_can_be_loaded_from_files_of_their_own(call: Call) -> None:
    (model,) = call("UNETLoader", unet_name="unet.safetensors", weight_dtype="default")
    (clip,) = call("CLIPLoader", clip_name="text.safetensors", type="stable_diffusion")
    (autoencoder,) = call("VAELoader", vae_name="vae.safetensors")
    whole = call("CheckpointLoaderSimple", ckpt_name="small.safetensors")
    assert set(model.backbone.weights) == set(whole[0].backbone.weights)
    assert torch.equal(clip.text("cat").cond, whole[1].text("cat").cond)
    latent = torch.randn(1, 4, 2, 2)
    assert torch.equal(autoencoder.decode(latent), whole[2].decode(latent))


@pytest.mark.parametrize("dtype", ["fp8_e4m3fn", "fp8_e5m2"])
def test_weights_can_be_rounded_to_eight_bits(call: Call, dtype: str) -> None:
    (model,) = call("UNETLoader", unet_name="unet.safetensors", weight_dtype=dtype)
    with model.backbone.use(patches=model.weight_patches) as unet:
        weight = unet.get_parameter("out.2.weight").clone()
    kind = torch.float8_e4m3fn if "e4m3" in dtype else torch.float8_e5m2
    assert torch.equal(weight.to(kind).float(), weight)


def test_the_configuration_says_clip_skip_and_prediction(call: Call) -> None:
    file = {"ckpt_name": "small.safetensors"}
    model, clip, _ = call("CheckpointLoader", config_name="v1-inference_clip_skip_2.yaml", **file)
    assert clip.towers[0].rule.layer == -2
    model, clip, _ = call("CheckpointLoader", config_name="v2-inference-v.yaml", **file)
    assert model.prediction.target is V
    assert clip.towers[0].rule.layer == -1


def test_a_folder_in_diffusers_layout_is_opened(call: Call, registry: Registry, models: Path) -> None:
    root = models / "diffusers" / "some" / "model"
    files = {"unet": "diffusion_models/unet", "vae": "vae/vae", "text_encoder": "text_encoders/text"}
    for part, source in files.items():
        (root / part).mkdir(parents=True, exist_ok=True)
        (root / part / "model.fp16.safetensors").write_bytes(b"not this one")
        save_file(load_file(models / f"{source}.safetensors"), root / part / "model.safetensors", METADATA)
    (root / "model_index.json").write_text("{}")
    (root / "scheduler").mkdir(exist_ok=True)
    (root / "scheduler" / "scheduler_config.json").write_text(json.dumps({"prediction_type": "v_prediction"}))
    spec = registry.spec("DiffusersLoader")
    assert spec is not None
    assert spec.by_name["model_path"].choices == ("some/model",)
    model, clip, autoencoder = call("DiffusersLoader", model_path="some/model")
    assert model.prediction.target is V
    assert clip is not None
    assert autoencoder is not None


@pytest.mark.parametrize("loader", ["CheckpointLoaderSimple", "UNETLoader", "VAELoader"])
def test_a_missing_file_is_named_with_the_nearest(call: Call, loader: str) -> None:
    inputs = {
        "CheckpointLoaderSimple": {"ckpt_name": "smal.safetensors"},
        "UNETLoader": {"unet_name": "unet2.safetensors", "weight_dtype": "default"},
        "VAELoader": {"vae_name": "vea.safetensors"},
    }[loader]
    with pytest.raises(FileMissing, match=r"did you mean '(small|unet|vae)\.safetensors'"):
        call(loader, **inputs)


def test_a_name_outside_the_folder_is_refused(call: Call) -> None:
    with pytest.raises(OutsideRoot):
        call("CheckpointLoaderSimple", ckpt_name="../x.safetensors")


def test_a_file_that_is_no_model_is_named(call: Call, models: Path) -> None:
    (models / "checkpoints" / "page.safetensors").write_text("<html>gone</html>")
    with pytest.raises(DiffusionError, match=r"page.safetensors"):
        call("CheckpointLoaderSimple", ckpt_name="page.safetensors")


def test_what_a_family_reads_with_is_said(call: Call) -> None:
    with pytest.raises(
        Mismatch, match=r"Flux reads texts with CLIP L, T5-XXL, but text\.safetensors is CLIP L"
    ):
        call("DualCLIPLoader", clip_name1="text.safetensors", clip_name2="text.safetensors", type="flux")
    with pytest.raises(Mismatch, match=r"PixArt reads texts with T5-XXL"):
        call("CLIPLoader", clip_name="text.safetensors", type="pixart")


def test_pixels_are_no_latents_here(call: Call) -> None:
    with pytest.raises(ValueError, match=r"'vae_name': no model here works on pixels"):
        call("VAELoader", vae_name="pixel_space")


def test_the_vae_loader_offers_files_then_whole_tiny_ones(registry: Registry, models: Path) -> None:
    def offered() -> list[str]:
        spec = registry.spec("VAELoader")
        assert spec is not None
        listed: list[str] = spec.object_info(folders.list)["input"]["required"]["vae_name"][0]
        return listed

    folders = registry.provide[Folders]
    assert offered() == ["vae.safetensors", "pixel_space"]
    approx = models / "vae_approx"
    approx.mkdir()
    (approx / "taesd_decoder.safetensors").write_bytes(b"")
    assert offered() == ["vae.safetensors", "pixel_space"]
    (approx / "taesd_encoder.safetensors").write_bytes(b"")
    try:
        assert offered() == ["vae.safetensors", "taesd", "pixel_space"]
    finally:
        for each in approx.iterdir():
            each.unlink()
        approx.rmdir()


def test_a_text_may_name_an_embedding(call: Call) -> None:
    _, clip, _ = call("CheckpointLoaderSimple", ckpt_name="small.safetensors")
    plain, styled, unknown = (
        call("CLIPTextEncode", text=f"in the style of{name}", clip=clip)[0][0][0]
        for name in ("", " embedding:style", " embedding:nothing")
    )
    assert not torch.equal(plain, styled)
    assert torch.equal(plain, unknown)
