"""The shipped model packed in every way: the picture stays near, and memory holds what the file holds.

With `-s`, distances are printed: PSNR in dB of a short run's picture against that of the unpacked model.
"""

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from diffusion.families import saving
from diffusion.families.checkpoints import load_checkpoint, load_unet
from diffusion.guidance.guidance import CFGGuider
from diffusion.model import Model
from diffusion.noise.draws import starting_noise
from diffusion.patches.weights import adapters
from diffusion.patches.weights.mixing import merged
from diffusion.residency.budget import Residency
from diffusion.residency.precision import Precision
from diffusion.samplers import SAMPLERS
from diffusion.sampling import sample, schedule
from diffusion.weights.files import open_weights
from diffusion.weights.quantised import Quantised, plain
from diffusion.weights.writing import write_safetensors
from tests.diffusion.weights.packing import BLOCKS, SCALED, SIZES, write_gguf, write_scaled

MODELS = Path(__file__).parents[2] / "models"
CHECKPOINT = MODELS / "checkpoints" / "nodeloom-emoji.safetensors"
LORA = MODELS / "loras" / "nodeloom-emoji-stickers.safetensors"
PREFIX = "model.diffusion_model."

NEAR = {"Q2_K": 12, "Q3_K": 15, "Q4_0": 20, "Q4_1": 20, "Q4_K": 20, "IQ4_NL": 20, "IQ4_XS": 20,
        "Q5_0": 26, "Q5_1": 26, "Q5_K": 26, "Q6_K": 28, "Q8_0": 40, "float8_e4m3fn": 26, "float8_e5m2": 20,
        "int8_tensorwise": 32, "nvfp4": 18, "mxfp8": 26, "convrot_w4a4": 16,
        "asym_w4a8_int8": 20}  # fmt: skip
"""The least PSNR of a format."""


FEW = (
    "Q4_0",
    "Q8_0",
    "Q2_K",
    "Q4_K",
    "Q6_K",
    "float8_e4m3fn",
    "int8_tensorwise rotated",
    "nvfp4",
    "asym_w4a8_int8",
)
"""Formats that are tried each time; with NODELOOM_GOLDENS set, all are."""


class Shipped(NamedTuple):
    """The shipped model, what it is asked for, and the picture it makes."""

    model: Model
    conditionings: list[list[list[object]]]
    decode: object
    tensors: dict[str, Tensor]
    metadata: dict[str, str]
    picture: Tensor


def picture_of(
    model: Model, shipped: Shipped | None, conditionings: object = None, decode: object = None
) -> Tensor:
    """The picture of a short run, values 0 … 1."""
    texts = shipped.conditionings if shipped else conditionings
    latent = torch.zeros(1, 4, 16, 16)
    sigmas = schedule(model.prediction, "karras", 4)
    guider = CFGGuider(model, *texts, 4.0)  # type: ignore[misc]
    found = sample(guider, starting_noise(latent.shape, 1), latent, SAMPLERS["dpmpp_2m"], sigmas)
    picture: Tensor = (shipped.decode if shipped else decode)(found.latent)  # type: ignore[operator]
    return picture


def psnr(picture: Tensor, expected: Tensor) -> float:
    """Peak signal to noise ratio in dB, of values 0 … 1."""
    return float(-10 * torch.log10((picture - expected).square().mean().clamp(min=1e-12)))


@pytest.fixture(scope="module")
def residency() -> Iterator[Residency]:
    residency = Residency(Precision("fp32"), "cpu")
    yield residency
    residency.close()


@pytest.fixture(scope="module")
def shipped(residency: Residency) -> Shipped:
    loaded = load_checkpoint(CHECKPOINT, residency)
    assert loaded.model is not None
    assert loaded.text is not None
    assert loaded.vae is not None
    texts = [loaded.text.text(text) for text in ("a star on a blue background", "")]
    conditionings = [[[text.cond, {"pooled_output": text.pooled}]] for text in texts]
    weights = open_weights(CHECKPOINT)
    tensors = {name: entry.read() for name, entry in weights.under(PREFIX).items()}
    picture = picture_of(loaded.model, None, conditionings, loaded.vae.decode)
    return Shipped(loaded.model, conditionings, loaded.vae.decode, tensors, dict(weights.metadata), picture)


def packed_model(kind: str, shipped: Shipped, folder: Path, residency: Residency) -> Model:
    """The shipped model's network packed into a file of its own, and opened again."""
    if kind in SCALED:
        path = write_scaled(folder / "x.safetensors", kind, shipped.tensors, shipped.metadata)
    else:
        tensors = {
            name: (kind if tensor.dim() > 1 and tensor.numel() % SIZES[kind] == 0 else "F16", tensor)
            for name, tensor in shipped.tensors.items()
        }
        path = write_gguf(folder / "x.gguf", tensors, metadata=shipped.metadata)
    return load_unet(path, residency)


def resident(model: Model) -> tuple[int, int]:
    """Bytes of all tensors of a model in memory, and how many of them are packed."""
    with model.backbone.use(patches=model.weight_patches) as network:
        tensors = list(network.state_dict(keep_vars=True).values())
        return sum(
            each.packed_bytes if isinstance(each, Quantised) else each.nbytes for each in tensors
        ), sum(isinstance(each, Quantised) for each in tensors)


@pytest.mark.parametrize("kind", [*BLOCKS, *SCALED] if os.environ.get("NODELOOM_GOLDENS") else FEW)
def test_a_picture_stays_near(kind: str, shipped: Shipped, residency: Residency, tmp_path: Path) -> None:
    model = packed_model(kind, shipped, tmp_path, residency)
    found = psnr(picture_of(model, shipped), shipped.picture)
    size, count = resident(model)
    plain = sum(each.numel() * 4 for each in shipped.tensors.values())
    print(f"\n{kind:<32} {found:5.1f} dB  {size / 1e6:6.2f} MB of {plain / 1e6:.2f} MB, {count} packed")
    assert found > NEAR[kind.split()[0]]
    assert count > 20
    residency.free()


@pytest.mark.parametrize("kind", ["Q4_K", "float8_e4m3fn", "int8_tensorwise rotated", "nvfp4"])
def test_a_lora_and_a_merge_on_it_are_those_on_the_unpacked_model(
    kind: str, shipped: Shipped, residency: Residency, tmp_path: Path
) -> None:
    model = packed_model(kind, shipped, tmp_path, residency)
    unpacked = unpacked_model(model, shipped, tmp_path, residency)
    for change in (adapted, lambda each: merged(each, shipped.model, lambda name: 0.7)):
        changed, expected = change(model), change(unpacked)
        assert psnr(picture_of(model, shipped), picture_of(changed, shipped)) < 75, "it changes something"
        found = psnr(picture_of(changed, shipped), picture_of(expected, shipped))
        print(f"\n{kind} changed: {found:.1f} dB from the same on the unpacked weights")
        assert found > 80
        assert resident(changed)[0] == resident(model)[0], "a change takes no memory"
    residency.free()


def adapted(model: Model) -> Model:
    changed, _ = adapters.apply(LORA, model, None, 1.0, 1.0)
    assert changed is not None
    return changed


def unpacked_model(model: Model, shipped: Shipped, folder: Path, residency: Residency) -> Model:
    """The same with its weights unpacked in float32."""
    tensors = {
        name: plain(entry.read(), torch.float32).float().contiguous()
        for name, entry in model.backbone.weights.items()
    }
    save_file(tensors, folder / "unpacked.safetensors", shipped.metadata)
    return load_unet(folder / "unpacked.safetensors", residency)


def test_the_numbers_of_a_network_under_a_lora_are_exactly_those_of_merged_weights(
    shipped: Shipped, residency: Residency, tmp_path: Path
) -> None:
    model = packed_model("Q4_K", shipped, tmp_path, residency)
    unpacked = adapted(unpacked_model(model, shipped, tmp_path, residency))
    changed = adapted(model)
    with (
        changed.backbone.use(changed.weight_patches) as packed,
        unpacked.backbone.use(unpacked.weight_patches) as whole,
    ):
        for name, tensor in packed.state_dict().items():
            assert torch.equal(plain(tensor), whole.state_dict()[name]), name


@pytest.mark.parametrize("kind", ["Q8_0", "int8_tensorwise by rows"])
def test_blocks_that_do_not_fit_are_read_packed_as_they_are_needed(
    kind: str, shipped: Shipped, tmp_path: Path
) -> None:
    notices: list[str] = []
    residency = Residency(Precision("fp32"), "cpu", lambda device: 9_000_000, notices.append)
    model = packed_model(kind, shipped, tmp_path, residency)
    whole = packed_model(kind, shipped, tmp_path, Residency(Precision("fp32"), "cpu"))
    assert psnr(picture_of(model, shipped), picture_of(whole, shipped)) > 90
    assert "blocks of x." in notices[0]
    assert residency.bytes < 9_000_000
    residency.close()


@pytest.mark.parametrize("dtype", [torch.float8_e4m3fn, torch.float8_e5m2])
def test_any_model_can_be_kept_in_eight_bits(
    dtype: torch.dtype, shipped: Shipped, residency: Residency
) -> None:
    model = replace(shipped.model, backbone=shipped.model.backbone.storing(dtype))
    found = psnr(picture_of(model, shipped), shipped.picture)
    size, count = resident(model)
    print(f"\nkept in {dtype}: {found:.1f} dB, {size / 1e6:.2f} MB")
    assert found > 20
    assert count > 100
    assert size < 0.27 * sum(each.numel() * 4 for each in shipped.tensors.values())
    assert any((each.part, each.bytes) == ("backbone", size) for each in residency.report())


@pytest.mark.parametrize("kind", ["Q8_0", "int8_tensorwise by rows", "float8_e4m3fn"])
def test_it_is_saved_as_it_is_where_the_format_can_hold_it(
    kind: str, shipped: Shipped, residency: Residency, tmp_path: Path
) -> None:
    model = packed_model(kind, shipped, tmp_path, residency)
    with (tmp_path / "saved.safetensors").open("wb") as file:
        write_safetensors(file, saving.model_entries(model), saving.stated(model.backbone, model=model))
    again = load_unet(tmp_path / "saved.safetensors", residency)
    kept = sum(entry.packed > 0 for entry in again.backbone.weights.values())
    assert (kept > 0) == (kind != "Q8_0"), "a safetensors file cannot hold blocks of GGML"
    assert psnr(picture_of(again, shipped), picture_of(model, shipped)) > (50 if kept else 40)
