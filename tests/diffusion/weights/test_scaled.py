"""Layers with scales beside them become one weight each, as comfy-kitchen and torch unpack them."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from diffusion.errors import FileProblem
from diffusion.weights.entries import Weights, joined
from diffusion.weights.files import open_weights
from diffusion.weights.quantised import Quantised, plain
from diffusion.weights.scaled import FORMATS, float8
from diffusion.weights.writing import entry_of, write_safetensors
from tests.diffusion.weights.packing import SCALED, mark, scaled, settings

ERRORS = {"float8_e4m3fn": 0.04, "float8_e5m2": 0.08, "int8_tensorwise": 0.02, "nvfp4": 0.15, "mxfp8": 0.04,
          "convrot_w4a4": 0.2, "asym_w4a8_int8": 0.12}  # fmt: skip


@pytest.fixture
def weight() -> Tensor:
    return torch.randn(96, 512, generator=torch.Generator().manual_seed(0)) * 0.05


def opened(path: Path, tensors: dict[str, Tensor], metadata: dict[str, str] | None = None) -> Weights:
    save_file(tensors, path / "x.safetensors", metadata)
    return open_weights(path / "x.safetensors")


def under(layer: str, parts: dict[str, Tensor]) -> dict[str, Tensor]:
    return {f"{layer}.{name}": tensor for name, tensor in parts.items()}


def unpacked(weights: Weights, name: str) -> Tensor:
    found = weights.tensor(name)
    assert isinstance(found, Quantised)
    return found.unpacked(torch.float32)


@pytest.mark.parametrize("kind", SCALED)
def test_every_format_gives_what_comfy_kitchen_makes_of_it(kind: str, weight: Tensor, tmp_path: Path) -> None:
    parts, expected = scaled(kind, weight)
    weights = opened(tmp_path, {**under("a.b", parts), "a.b.bias": torch.zeros(96)})
    assert set(weights) == {"a.b.weight", "a.b.bias"}
    entry = weights["a.b.weight"]
    assert (entry.shape, entry.dtype) == ((96, 512), torch.bfloat16)
    found = unpacked(weights, "a.b.weight")
    assert torch.allclose(found, expected.float(), atol=2e-6 * expected.abs().max().item())
    assert (found - weight).norm() < ERRORS[kind.split()[0]] * weight.norm()
    tensor = weights.tensor("a.b.weight")
    assert isinstance(tensor, Quantised)
    assert (
        tensor.packed_bytes
        <= entry.packed
        == sum(each.nbytes for name, each in parts.items() if name != "comfy_quant")
    )
    assert torch.equal(plain(tensor[10:50], torch.float32), found[10:50])


@pytest.mark.parametrize("kind", SCALED)
def test_the_same_may_stand_in_the_metadata_for_all_layers(kind: str, weight: Tensor, tmp_path: Path) -> None:
    parts, expected = scaled(kind, weight)
    del parts["comfy_quant"]
    stated = {"_quantization_metadata": json.dumps({"layers": {"a": settings(kind)}}), "other": "kept"}
    weights = opened(tmp_path, under("a", parts), stated)
    assert torch.allclose(unpacked(weights, "a.weight"), expected.float(), atol=1e-6)
    assert dict(weights.metadata) == {"other": "kept"}


def test_settings_may_be_nested(weight: Tensor, tmp_path: Path) -> None:
    parts, expected = scaled("int8_tensorwise rotated", weight)
    inner = {"format": "int8_tensorwise", "params": {"convrot": True, "convrot_groupsize": 64}}
    parts["comfy_quant"] = torch.tensor(list(json.dumps(inner).encode()), dtype=torch.uint8)
    assert torch.allclose(unpacked(opened(tmp_path, under("a", parts)), "a.weight"), expected, atol=1e-6)


@pytest.mark.parametrize("dtype", [torch.float8_e4m3fn, torch.float8_e5m2])
@pytest.mark.parametrize("prefix", ["", "model.diffusion_model."])
def test_the_older_scaled_float8_is_read(
    dtype: torch.dtype, prefix: str, weight: Tensor, tmp_path: Path
) -> None:
    numbers = (weight / 0.01).to(dtype)
    tensors = {
        "scaled_fp8": torch.zeros(2).to(dtype),
        "a.weight": numbers,
        "a.scale_weight": torch.tensor([0.01]),
        "a.scale_input": torch.tensor([1.0]),
        "a.bias": torch.zeros(96),
    }
    weights = opened(tmp_path, {prefix + name: each for name, each in tensors.items()})
    assert set(weights) == {f"{prefix}a.weight", f"{prefix}a.bias"}
    assert torch.equal(unpacked(weights, f"{prefix}a.weight"), numbers.float() * 0.01)


def test_scales_without_a_word_beside_eight_bits_are_scales(weight: Tensor, tmp_path: Path) -> None:
    numbers, scale = (weight / 0.002).round().clamp(-127, 127).to(torch.int8), torch.rand(96, 1)
    weights = opened(tmp_path, {"a.weight": numbers, "a.weight_scale": scale})
    assert torch.equal(unpacked(weights, "a.weight"), numbers.float() * scale)


def test_a_scale_before_the_multiplication_is_part_of_the_weight(weight: Tensor, tmp_path: Path) -> None:
    parts, expected = scaled("nvfp4", weight)
    before = torch.rand(512) + 0.5
    found = unpacked(opened(tmp_path, under("a", {**parts, "pre_quant_scale": before})), "a.weight")
    assert torch.allclose(found, expected.float() * before, atol=1e-6)


@pytest.mark.parametrize("dtype", [torch.float8_e4m3fn, torch.float8_e5m2])
def test_all_eight_bit_floats_are_converted_as_torch_does(dtype: torch.dtype) -> None:
    numbers = torch.arange(256, dtype=torch.int16).to(torch.uint8).view(dtype)
    expected = numbers.float()
    finite = expected.isfinite()
    assert torch.equal(float8(numbers)[finite], expected[finite])


@pytest.mark.parametrize("kind", SCALED)
def test_an_unchanged_layer_is_written_as_it_was(kind: str, weight: Tensor, tmp_path: Path) -> None:
    parts, expected = scaled(kind, weight)
    weights = opened(tmp_path, under("old", parts))
    with (tmp_path / "y.safetensors").open("wb") as file:
        write_safetensors(file, {"new.weight": weights["old.weight"]})
    written = load_file(tmp_path / "y.safetensors")
    for name, tensor in parts.items():
        if name != "comfy_quant":
            found = written[f"new.{name}"]
            assert (found.dtype, found.shape) == (tensor.dtype, tensor.shape), name
            assert torch.equal(found.float(), tensor.float()), name
    assert torch.allclose(
        unpacked(open_weights(tmp_path / "y.safetensors"), "new.weight"), expected.float(), atol=1e-6
    )


def test_a_layer_that_was_cut_or_changed_is_written_unpacked(weight: Tensor, tmp_path: Path) -> None:
    parts, expected = scaled("float8_e4m3fn", weight)
    entry = opened(tmp_path, under("a", parts))["a.weight"]
    with (tmp_path / "y.safetensors").open("wb") as file:
        write_safetensors(
            file, {"a.weight": entry.rows(0, 32), "b.weight": entry.taking((512, 96), Tensor.t)}
        )
    written = load_file(tmp_path / "y.safetensors")
    assert torch.equal(written["a.weight"], expected[:32].bfloat16())
    assert torch.equal(written["b.weight"], expected.T.bfloat16())


BAD = {
    "an unknown kind": (
        {"comfy_quant": {"format": "int3_dream"}},
        r"a\.weight is packed in a kind .*'int3_dream'",
    ),
    "no kind": ({"comfy_quant": {}}, r"a\.weight is packed in a kind that is not known here: None"),
    "no JSON": ({"comfy_quant": "}{"}, r"a\.comfy_quant does not say how weights are packed"),
    "no scale": (
        {"comfy_quant": {"format": "nvfp4"}, "weight_scale": None},
        r"packed as nvfp4, but has no a\.weight_scale",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_a_layer_that_cannot_be_read_is_named(name: str, weight: Tensor, tmp_path: Path) -> None:
    changes, problem = BAD[name]
    parts, _ = scaled("nvfp4", weight)
    for part, change in changes.items():
        parts.pop(part)
        if change is not None:
            text = change if isinstance(change, str) else json.dumps(change)
            parts[part] = torch.tensor(list(text.encode()), dtype=torch.uint8)
    with pytest.raises(FileProblem, match=problem):
        opened(tmp_path, under("a", parts))


def test_scales_that_do_not_fit_are_named_when_they_are_read(tmp_path: Path) -> None:
    tensors = {
        "a.weight": torch.zeros(8, 64, dtype=torch.int8),
        "a.weight_scale": torch.ones(5),
        "a.comfy_quant": mark("int8_tensorwise"),
    }
    with pytest.raises(FileProblem, match=r"a\.weight .*5 scales for 8 rows"):
        opened(tmp_path, tensors).tensor("a.weight")
    mxfp8, _ = scaled("mxfp8", torch.ones(64, 64))
    with pytest.raises(FileProblem, match=r"a\.weight is packed as mxfp8, but its parts do not fit"):
        opened(tmp_path, under("a", {**mxfp8, "weight_scale": torch.zeros(3, 3, dtype=torch.uint8)})).tensor(
            "a.weight"
        )


@pytest.mark.parametrize(("tensor", "program"), [
    ("a.weight.quant_state.bitsandbytes__nf4", "bitsandbytes"), ("a.SCB", "int8"), ("a.qzeros", "GPTQ"),
    ("a.wscales", "SVDQuant"), ("a.weight._data", "quanto"), ("a.W_q", "HQQ"),
])  # fmt: skip
def test_files_of_programs_that_are_not_read_say_whose_they_are(
    tensor: str, program: str, tmp_path: Path
) -> None:
    with pytest.raises(FileProblem, match=rf"{tensor} is packed by {program}|packed by .*{program}"):
        opened(tmp_path, {"a.weight": torch.zeros(4, dtype=torch.uint8), tensor: torch.zeros(4)})


def test_a_plain_file_is_left_alone(tmp_path: Path) -> None:
    weights = opened(
        tmp_path, {"a.weight": torch.ones(4, 4), "b.scale": torch.ones(4), "ids": torch.arange(4)}
    )
    assert set(weights) == {"a.weight", "b.scale", "ids"}
    assert type(weights.tensor("a.weight")) is Tensor
    assert "float8_e4m3fn" in FORMATS


@pytest.mark.parametrize("kind", ["float8_e4m3fn", "int8_tensorwise rotated"])
def test_layers_that_were_joined_stay_packed_and_are_written_whole(
    kind: str, weight: Tensor, tmp_path: Path
) -> None:
    (first, one), (second, two) = scaled(kind, weight), scaled(kind, weight * 3)
    weights = opened(tmp_path, {**under("q", first), **under("k", second)})
    both = joined([weights["q.weight"], weights["k.weight"]])
    expected = torch.cat([one, two]).float()
    tensor = both.read()
    assert isinstance(tensor, Quantised)
    assert (tensor.packed_bytes, both.shape) == (both.packed, (192, 512))
    assert torch.allclose(tensor.unpacked(torch.float32), expected, atol=2e-6)
    with (tmp_path / "y.safetensors").open("wb") as file:
        write_safetensors(file, {"qk.weight": both})
    assert torch.allclose(load_file(tmp_path / "y.safetensors")["qk.weight"].float(), expected, rtol=1e-2)
    assert joined([weights["q.weight"], entry_of(weight)]).packed == 0
    assert both.rows(96, 192) is weights["k.weight"]
    across = both.rows(90, 100)
    assert across.packed == pytest.approx(10 / 192 * both.packed, abs=1)
    assert torch.allclose(plain(across.read(), torch.float32), expected[90:100], atol=2e-6)
