"""Models written into files, and loaded again with the same numbers."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from diffusion.families.checkpoints import load_taesd
from diffusion.noise.prediction import V
from execution.declare.node import Run
from tests.diffusion.latents.test_taesd import halves

Call = Callable[..., Any]
GRAPH = {"1": {"class_type": "CheckpointSave", "inputs": {}}}
EXTRA = {"extra_pnginfo": {"workflow": {"nodes": []}}}


@pytest.fixture
def parts(call: Call) -> Any:
    """A small checkpoint."""
    return call("CheckpointLoaderSimple", ckpt_name="small.safetensors")


@pytest.fixture
def moved(models: Path, tmp_path: Path) -> Callable[[str, str], str]:
    """Moves a file of the output folder into a models folder; gives its name there."""

    def moved(saved: str, kind: str) -> str:
        (models / kind).mkdir(exist_ok=True)
        path = tmp_path / "output" / saved
        shutil.move(path, models / kind / f"moved_{path.name}")
        return f"moved_{path.name}"

    return moved


def weight(model: Any, name: str) -> torch.Tensor:
    """A weight as the model uses it."""
    with model.backbone.use(patches=model.weight_patches) as unet:
        return unet.get_parameter(name).clone()  # type: ignore[no-any-return]


def doubled(model: Any, *names: str) -> Any:
    """The model with some weights doubled."""
    return model.with_patches({name: (lambda weight: weight * 2,) for name in names})


def test_a_checkpoint_is_saved_with_its_patches_and_loaded_again(
    call: Call, parts: Any, moved: Callable[[str, str], str]
) -> None:
    model, clip, vae = doubled(parts[0], "out.2.weight"), parts[1], parts[2]
    (clip,) = call("CLIPMergeSubtract", clip1=clip, clip2=clip, multiplier=0.5)
    call("CheckpointSave", model=model, clip=clip, vae=vae, filename_prefix="checkpoints/x")
    again = call("CheckpointLoaderSimple", ckpt_name=moved("checkpoints/x_00001_.safetensors", "checkpoints"))
    for name in ("out.2.weight", "input_blocks.0.0.weight", "middle_block.1.proj_in.weight"):
        assert torch.equal(weight(again[0], name), weight(model, name)), name
    assert set(again[0].backbone.weights) == set(parts[0].backbone.weights)
    assert torch.equal(again[1].text("a cat").cond, clip.text("a cat").cond)
    latent = torch.randn(1, 4, 2, 2)
    assert torch.equal(again[2].decode(latent), vae.decode(latent))


def test_a_saved_file_carries_its_workflow_and_what_shapes_do_not_say(
    call: Call, parts: Any, tmp_path: Path
) -> None:
    (model,) = call("ModelSamplingDiscrete", model=parts[0], sampling="v_prediction", zsnr=True)
    run = Run(prompt=GRAPH, extra_data=EXTRA)
    call("ModelSave", run, model=model, filename_prefix="diffusion_models/m")
    path = tmp_path / "output" / "diffusion_models" / "m_00001_.safetensors"
    with safe_open(path, "pt") as file:
        metadata = file.metadata()
    assert json.loads(metadata["prompt"]) == GRAPH
    assert json.loads(metadata["workflow"]) == {"nodes": []}
    assert metadata["nodeloom.unet.norm_groups"] == "8"
    assert metadata["modelspec.prediction_type"] == "v"
    assert not list(path.parent.glob(".*")), "no half-written file is left"


def test_how_a_model_was_trained_survives(call: Call, parts: Any, moved: Callable[[str, str], str]) -> None:
    (model,) = call("ModelSamplingDiscrete", model=parts[0], sampling="v_prediction", zsnr=True)
    call("ModelSave", model=model, filename_prefix="v")
    (again,) = call(
        "UNETLoader", unet_name=moved("v_00001_.safetensors", "diffusion_models"), weight_dtype="default"
    )
    assert again.prediction.target is V
    assert again.prediction.sigma_max == pytest.approx(model.prediction.sigma_max)


def test_text_encoder_and_vae_are_saved_alone(
    call: Call, parts: Any, moved: Callable[[str, str], str]
) -> None:
    _, clip, vae = parts
    call("CLIPSave", clip=clip, filename_prefix="clip/c")
    call("VAESave", vae=vae, filename_prefix="vae/v")
    name = moved("clip/c_clip_l_00001_.safetensors", "text_encoders")
    (again,) = call("CLIPLoader", clip_name=name, type="stable_diffusion")
    assert torch.equal(again.text("a cat").cond, clip.text("a cat").cond)
    (autoencoder,) = call("VAELoader", vae_name=moved("vae/v_00001_.safetensors", "vae"))
    latent = torch.randn(1, 4, 2, 2)
    assert torch.equal(autoencoder.decode(latent), vae.decode(latent))


def test_a_difference_becomes_a_lora_and_gives_the_second_model_back(
    call: Call, parts: Any, moved: Callable[[str, str], str]
) -> None:
    model, clip, _ = parts
    names = "middle_block.1.transformer_blocks.0.attn1.to_q.weight", "out.2.bias", "out.0.weight"
    conv = "input_blocks.1.0.in_layers.2.weight"
    generator = torch.Generator().manual_seed(1)

    def low_rank(weight: torch.Tensor) -> torch.Tensor:
        flat = weight.flatten(1)
        up, down = (torch.randn(n, 2, generator=generator) * 0.3 for n in flat.shape)
        return weight + (up @ down.T).reshape(weight.shape)

    low_rank_once = {name: low_rank(weight(model, name)) for name in (names[0], conv)}
    tuned = doubled(model, *names[1:]).with_patches(
        {name: (lambda _, value=value: value,) for name, value in low_rank_once.items()}
    )
    (difference,) = call("ModelMergeSubtract", model1=tuned, model2=model, multiplier=1.0)
    (louder,) = call("CLIPAttentionMultiply", clip=clip, q=1.5, k=1.0, v=1.0, out=1.0)
    (text_difference,) = call("CLIPMergeSubtract", clip1=louder, clip2=clip, multiplier=1.0)
    settings = {"rank": 32, "lora_type": "standard", "bias_diff": True, "filename_prefix": "loras/l"}
    call("LoraSave", model_diff=difference, text_encoder_diff=text_difference, **settings)
    name = moved("loras/l_00001_.safetensors", "loras")
    again, text = call(
        "LoraLoader", model=model, clip=clip, lora_name=name, strength_model=1.0, strength_clip=1.0
    )
    for each in (*names, conv):
        torch.testing.assert_close(weight(again, each), weight(tuned, each), rtol=1e-2, atol=2e-3)
    torch.testing.assert_close(text.text("a cat").cond, louder.text("a cat").cond, rtol=1e-2, atol=1e-2)
    assert not torch.allclose(text.text("a cat").cond, clip.text("a cat").cond, atol=2e-2)


def test_a_rank_bounds_what_is_kept_and_a_whole_difference_keeps_all(
    call: Call, parts: Any, tmp_path: Path
) -> None:
    model = parts[0]
    name = "middle_block.1.transformer_blocks.0.attn1.to_q.weight"
    (difference,) = call(
        "ModelMergeSubtract", model1=doubled(model, name, "out.2.bias"), model2=model, multiplier=1.0
    )
    settings = {"filename_prefix": "l", "rank": 3, "bias_diff": False, "model_diff": difference}
    call("LoraSave", lora_type="standard", **settings)
    found = load_file(tmp_path / "output" / "l_00001_.safetensors")
    base = "lora_unet_mid_block_attentions_0_transformer_blocks_0_attn1_to_q"
    assert set(found) == {f"{base}.lora_up.weight", f"{base}.lora_down.weight", f"{base}.alpha"}
    u, s, v = torch.linalg.svd(weight(model, name))
    nearest = (u[:, :3] * s[:3]) @ v[:3]
    product = found[f"{base}.lora_up.weight"].float() @ found[f"{base}.lora_down.weight"].float()
    torch.testing.assert_close(product, nearest, rtol=1e-2, atol=2e-3)
    call("LoraSave", lora_type="full_diff", **settings)
    whole = load_file(tmp_path / "output" / "l_00002_.safetensors")
    torch.testing.assert_close(whole[f"{base}.diff"].float(), weight(model, name), rtol=1e-3, atol=1e-3)


def test_nothing_to_extract_is_said(call: Call, parts: Any) -> None:
    settings = {"filename_prefix": "l", "rank": 3, "bias_diff": True, "lora_type": "standard"}
    with pytest.raises(ValueError, match="'model_diff' and 'text_encoder_diff' are both empty"):
        call("LoraSave", **settings)
    (same,) = call("ModelMergeSubtract", model1=parts[0], model2=parts[0], multiplier=1.0)
    with pytest.raises(ValueError, match="do not differ"):
        call("LoraSave", model_diff=same, **settings)


def test_a_lora_on_a_link_is_saved_and_applied(
    call: Call, parts: Any, moved: Callable[[str, str], str]
) -> None:
    ones = {"lora_up.weight": torch.ones(4, 1, 1, 1), "lora_down.weight": torch.ones(1, 32, 3, 3)}
    lora = {f"lora_unet_conv_out.{key}": each for key, each in ones.items()}
    (changed,) = call("LoraModelLoader", model=parts[0], lora=lora, strength_model=0.5)
    torch.testing.assert_close(weight(changed, "out.2.weight"), weight(parts[0], "out.2.weight") + 0.5)
    call("SaveLoRANode", lora=lora, prefix="loras/t", steps=12)
    name = moved("loras/t_12_steps_00001_.safetensors", "loras")
    (again,) = call("LoraLoaderModelOnly", model=parts[0], lora_name=name, strength_model=0.5)
    assert torch.equal(weight(again, "out.2.weight"), weight(changed, "out.2.weight"))
    with pytest.raises(ValueError, match="input 'lora' holds no change that fits"):
        call(
            "LoraModelLoader", model=parts[0], lora={"x.lora_up.weight": torch.ones(1, 1)}, strength_model=1.0
        )


def test_a_tiny_autoencoder_is_not_saved_as_a_vae(call: Call, tmp_path: Path) -> None:
    save_file(halves()[1], tmp_path / "taesd_decoder.safetensors")
    tiny = load_taesd(None, tmp_path / "taesd_decoder.safetensors")
    with pytest.raises(ValueError, match="input 'vae' is a tiny autoencoder"):
        call("VAESave", vae=tiny, filename_prefix="x")
    assert not list((tmp_path / "output").glob("x*"))
