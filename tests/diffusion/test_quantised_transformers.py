"""A transformer of the library over quantised files: fused projections are cut into rows that stay packed."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from diffusion.families import saving
from diffusion.families.checkpoints import load_unet
from diffusion.families.flux.layout import LAYOUT
from diffusion.families.flux.network import Flux, FluxSizes
from diffusion.hooks import Hooks
from diffusion.model import Model
from diffusion.networks.backbone import Inputs
from diffusion.patches.weights import adapters
from diffusion.residency.budget import Residency
from diffusion.residency.precision import Precision
from diffusion.weights.entries import Weights
from diffusion.weights.quantised import Quantised, plain
from diffusion.weights.writing import entry_of, write_safetensors
from tests.diffusion.weights.packing import SIZES, write_gguf, write_scaled

SIZES_OF_FLUX = FluxSizes(
    width=128, in_channels=16, out_channels=16, text=64, vector=64, doubles=2, singles=2, guidance=True
)
KINDS = ("Q8_0", "Q5_1", "float8_e4m3fn", "int8_tensorwise rotated", "mxfp8")


@pytest.fixture(scope="module")
def tensors() -> dict[str, Tensor]:
    """A small FLUX in its own layout, weights not zero anywhere."""
    generator = torch.Generator().manual_seed(0)
    entries = {
        name: entry_of(torch.randn(each.shape, generator=generator) * 0.08)
        for name, each in Flux(SIZES_OF_FLUX).state_dict().items()
    }
    return {name: entry.read() for name, entry in LAYOUT.written(entries).items()}


@pytest.fixture
def residency() -> Residency:
    return Residency(Precision("fp32"), "cpu")


def packed(kind: str, tensors: dict[str, Tensor], folder: Path) -> Path:
    if kind not in SIZES:
        return write_scaled(folder / "x.safetensors", kind, tensors, {})
    kinds = {name: kind if each.dim() == 2 else "F32" for name, each in tensors.items()}
    return write_gguf(
        folder / "x.gguf", {name: (kinds[name], each) for name, each in tensors.items()}, "flux"
    )


def predicted(model: Model) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    x, text, vector = (
        torch.randn(shape, generator=generator) for shape in ((1, 16, 8, 8), (1, 5, 64), (1, 64))
    )
    named = {"y": vector, "guidance": torch.tensor([3.5])}
    with model.backbone.use(model.weight_patches) as network, torch.inference_mode():
        out: Tensor = network.predict(x, torch.tensor([0.7]), Inputs(text, named), Hooks())
    return out


def relative(found: Tensor, expected: Tensor) -> float:
    return float((found - expected).norm() / expected.norm())


@pytest.mark.parametrize("kind", KINDS)
def test_rows_of_fused_projections_stay_packed(
    kind: str, tensors: dict[str, Tensor], residency: Residency, tmp_path: Path
) -> None:
    save_file(tensors, tmp_path / "whole.safetensors")
    whole = load_unet(tmp_path / "whole.safetensors", residency)
    model = load_unet(packed(kind, tensors, tmp_path), residency)
    assert model.family.name == "flux"
    with model.backbone.use() as network:
        parameters = dict(network.named_parameters())
        matrices = [name for name, each in parameters.items() if each.dim() == 2]
        assert all(isinstance(parameters[name], Quantised) for name in matrices)
        size = sum(
            each.packed_bytes if isinstance(each, Quantised) else each.nbytes for each in parameters.values()
        )
    assert size < 0.42 * sum(each.nbytes for each in tensors.values())
    assert abs(next(each.bytes for each in residency.report() if each.bytes < 10**9) - size) < 0.05 * size
    assert relative(predicted(model), predicted(whole)) < 0.15


@pytest.mark.parametrize("kind", KINDS)
def test_a_lora_on_it_is_that_on_the_unpacked_model(
    kind: str, tensors: dict[str, Tensor], residency: Residency, tmp_path: Path
) -> None:
    model = load_unet(packed(kind, tensors, tmp_path), residency)
    unpacked = {
        name: plain(entry.read(), torch.float32).clone()
        for name, entry in saving.model_entries(model).items()
    }
    save_file(unpacked, tmp_path / "unpacked.safetensors")
    whole = load_unet(tmp_path / "unpacked.safetensors", residency)
    lora = lora_of(tmp_path / "lora.safetensors")
    changed, _ = adapters.apply(lora, model, None, 1.0, 1.0)
    expected, _ = adapters.apply(lora, whole, None, 1.0, 1.0)
    assert changed is not None
    assert expected is not None
    assert relative(predicted(changed), predicted(model)) > 0.01
    assert relative(predicted(changed), predicted(expected)) < 1e-5


def lora_of(path: Path) -> Path:
    """A LoRA on a fused projection, on a part of one, and on a whole layer."""
    found: dict[str, Tensor] = {}
    shapes = {
        "double_blocks.0.img_attn.qkv": (384, 128),
        "transformer_blocks.1.attn.to_q": (128, 128),
        "single_transformer_blocks.1.proj_out": (128, 640),
    }
    for name, (rows, columns) in shapes.items():
        flat = "lora_unet_" + name.replace(".", "_")
        generator = torch.Generator().manual_seed(rows)
        found[f"{flat}.lora_up.weight"] = torch.randn(rows, 4, generator=generator) * 0.1
        found[f"{flat}.lora_down.weight"] = torch.randn(4, columns, generator=generator) * 0.1
    save_file(found, path)
    return path


@pytest.mark.parametrize("kind", ["Q8_0", "float8_e4m3fn"])
def test_it_can_be_saved(kind: str, tensors: dict[str, Tensor], residency: Residency, tmp_path: Path) -> None:
    model = load_unet(packed(kind, tensors, tmp_path), residency)
    with (tmp_path / "saved.safetensors").open("wb") as file:
        write_safetensors(file, saving.model_entries(model), saving.stated(model.backbone, model=model))
    again = load_unet(tmp_path / "saved.safetensors", residency)
    assert relative(predicted(again), predicted(model)) < 0.02


def test_entries_say_before_they_are_read_what_they_take(tensors: dict[str, Tensor], tmp_path: Path) -> None:
    model = load_unet(packed("Q8_0", tensors, tmp_path), Residency(Precision("fp32"), "cpu"))
    weights: Weights = model.backbone.weights
    for name, entry in weights.items():
        tensor = entry.read()
        assert entry.packed == (tensor.packed_bytes if isinstance(tensor, Quantised) else 0), name
