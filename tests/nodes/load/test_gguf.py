"""Quantised files through the loaders: ComfyUI's own, and those of the GGUF pack."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from diffusion.weights.quantised import Quantised
from tests.diffusion.weights.packing import SIZES, scaled, write_gguf
from tests.nodes.conftest import METADATA

Call = Callable[..., Any]
UNET = "diffusion_models/unet.safetensors"
TEXT = "text_encoders/text.safetensors"


def as_gguf(models: Path, source: str, name: str, kind: str = "Q8_0") -> str:
    """A file of `models` as GGUF beside it."""
    tensors = {
        key: (kind if each.dim() > 1 and each.numel() % SIZES[kind] == 0 else "F32", each)
        for key, each in load_file(models / source).items()
    }
    tensors = {key: each for key, each in tensors.items() if each[1].is_floating_point()}
    write_gguf((models / source).parent / name, tensors, metadata=METADATA)
    return name


def packed_count(resident: Any) -> int:
    with resident.use() as module:
        return sum(isinstance(each, Quantised) for each in module.parameters())


@pytest.mark.parametrize("loader", ["UNETLoader", "UnetLoaderGGUF", "UnetLoaderGGUFAdvanced"])
def test_a_gguf_model_is_opened_by_either_loader(loader: str, call: Call, models: Path) -> None:
    name = as_gguf(models, UNET, "small.gguf")
    more = {
        "UNETLoader": {"weight_dtype": "default"},
        "UnetLoaderGGUFAdvanced": {
            "dequant_dtype": "float32",
            "patch_dtype": "target",
            "patch_on_device": True,
        },
    }
    (model,) = call(loader, unet_name=name, **more.get(loader, {}))
    assert packed_count(model.backbone) > 20


def test_a_gguf_text_encoder_reads_nearly_the_same(call: Call, models: Path) -> None:
    name = as_gguf(models, TEXT, "text.gguf")
    (clip,) = call("CLIPLoader", clip_name="text.safetensors", type="stable_diffusion")
    expected = clip.text("a cat").cond
    for loader in ("CLIPLoader", "CLIPLoaderGGUF"):
        (packed,) = call(loader, clip_name=name, type="stable_diffusion")
        found = packed.text("a cat").cond
        assert not torch.equal(found, expected)
        assert (found - expected).norm() < 0.02 * expected.norm()


@pytest.mark.parametrize("kind", ["float8_e4m3fn", "int8_tensorwise"])
@pytest.mark.parametrize("old", [True, False], ids=["scaled_fp8", "comfy_quant"])
def test_a_whole_checkpoint_may_be_quantised(kind: str, old: bool, call: Call, models: Path) -> None:
    tensors: dict[str, Tensor] = {}
    for name, tensor in load_file(models / "checkpoints" / "small.safetensors").items():
        layer, _, leaf = name.rpartition(".")
        if leaf != "weight" or tensor.dim() != 2 or name.startswith("first_stage"):
            tensors[name] = tensor
            continue
        parts, _ = scaled(kind, tensor)
        if old:
            parts = {"weight": parts["weight"], "scale_weight": parts["weight_scale"]}
            tensors["model.diffusion_model.scaled_fp8"] = torch.zeros(2, dtype=torch.float8_e4m3fn)
        tensors |= {f"{layer}.{part}": each for part, each in parts.items()}
    save_file(tensors, models / "checkpoints" / f"{kind}.safetensors", METADATA)
    model, clip, vae = call("CheckpointLoaderSimple", ckpt_name=f"{kind}.safetensors")
    plain, plain_clip, _ = call("CheckpointLoaderSimple", ckpt_name="small.safetensors")
    assert packed_count(model.backbone) > 20
    found, expected = clip.text("a cat").cond, plain_clip.text("a cat").cond
    assert (found - expected).norm() < 0.1 * expected.norm()
    with model.backbone.use() as network, plain.backbone.use() as whole:
        for name, tensor in whole.named_parameters():
            assert (network.get_parameter(name) - tensor).norm() <= 0.1 * tensor.norm(), name
    assert vae is not None


@pytest.mark.parametrize("number", [1, 2])
def test_a_model_in_several_files_is_opened_by_any(number: int, call: Call, models: Path) -> None:
    tensors = load_file(models / UNET)
    names = list(tensors)
    for index, some in enumerate((names[::2], names[1::2]), 1):
        part = {name: tensors[name] for name in some}
        save_file(part, models / "diffusion_models" / f"cut-{index:05}-of-00002.safetensors", METADATA)
    file = f"cut-{number:05}-of-00002.safetensors"
    (model,) = call("UNETLoader", unet_name=file, weight_dtype="default")
    (whole,) = call("UNETLoader", unet_name="unet.safetensors", weight_dtype="default")
    assert dict(model.backbone.weights).keys() == dict(whole.backbone.weights).keys()


def test_eight_bits_are_kept_in_memory_and_under_loras(call: Call) -> None:
    (model,) = call("UNETLoader", unet_name="unet.safetensors", weight_dtype="fp8_e4m3fn")
    (whole,) = call("UNETLoader", unet_name="unet.safetensors", weight_dtype="default")
    name = "input_blocks.1.0.in_layers.2.weight"
    changed = model.with_patches({name: (lambda weight: weight + 1.0,)})
    with whole.backbone.use() as network:
        expected = network.get_parameter(name).to(torch.float8_e4m3fn).float() + 1.0
    with changed.backbone.use(changed.weight_patches) as network:
        weight = network.get_parameter(name)
        assert isinstance(weight, Quantised)
        assert torch.equal(weight.unpacked(), expected)
        assert weight.packed_bytes == weight.numel()
