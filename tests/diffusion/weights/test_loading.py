"""A module is filled tensor by tensor: checked, patched, converted, streamed, and stoppable."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from diffusion.errors import FileProblem
from diffusion.latents.vae import AutoencoderKL
from diffusion.networks.unet import UNet
from diffusion.text.clip import ClipText
from diffusion.weights.entries import Weights
from diffusion.weights.files import open_weights
from diffusion.weights.loading import NO_PATCHES, Loaded, blocks_of, build_empty
from diffusion.weights.quantised import Quantised
from tests.diffusion.small_models import SD1, TEXT, VAE, as_weights, seeded, weights_of

CPU = torch.device("cpu")


def build() -> nn.Module:
    return nn.ModuleDict(
        {"a": nn.Linear(4, 4), "list": nn.ModuleList([nn.Conv2d(2, 2, 3), nn.BatchNorm2d(2)])}
    )


@pytest.fixture
def weights(tmp_path: Path) -> Weights:
    tensors = seeded(build).state_dict()
    save_file(tensors, tmp_path / "x.safetensors")
    return open_weights(tmp_path / "x.safetensors")


def loaded(
    weights: Weights, dtype: torch.dtype = torch.float32, channels_last: bool = False
) -> Loaded[nn.Module]:
    return Loaded(build_empty(build, weights), weights, CPU, dtype, channels_last)


def test_missing_and_misshapen_tensors_are_named() -> None:
    tensors = seeded(build).state_dict()
    with pytest.raises(FileProblem, match=r"1 tensors are missing, such as a\.weight"):
        build_empty(build, as_weights({k: v for k, v in tensors.items() if k != "a.weight"}))
    with pytest.raises(FileProblem, match=r"a\.bias has the shape \(9,\) instead of \(4,\)"):
        build_empty(build, as_weights({**tensors, "a.bias": torch.zeros(9)}))


def test_nothing_is_read_before_it_is_asked_for(weights: Weights) -> None:
    module = build_empty(build, weights)
    assert all(tensor.is_meta for tensor in module.state_dict().values())
    assert not any(parameter.requires_grad for parameter in module.parameters())


def test_tables_that_no_file_holds_come_along_to_the_device(weights: Weights) -> None:
    module = build_empty(build, weights)
    module.register_buffer("table", torch.ones(3), persistent=False)
    elsewhere = Loaded(module, weights, torch.device("meta"), torch.float32)
    elsewhere.fill(NO_PATCHES)
    assert module.table.is_meta  # type: ignore[union-attr]
    module.register_buffer("table", torch.ones(3), persistent=False)
    Loaded(module, weights, CPU, torch.float32).fill(NO_PATCHES)
    assert torch.equal(module.table, torch.ones(3))  # type: ignore[arg-type]


def test_a_filled_module_has_the_files_numbers_in_its_type(weights: Weights) -> None:
    for dtype in (torch.float32, torch.bfloat16, torch.float64):
        module = loaded(weights, dtype)
        module.fill(NO_PATCHES)
        for name, tensor in module.module.state_dict().items():
            expected = weights.tensor(name)
            whole = not expected.is_floating_point()
            assert tensor.dtype == (expected.dtype if whole else dtype), name
            assert torch.equal(tensor, expected.to(tensor.dtype)), name


def test_a_tensor_that_needs_no_change_is_the_file_itself(weights: Weights) -> None:
    module = loaded(weights)
    module.fill(NO_PATCHES)
    assert module.module.state_dict()["a.weight"].data_ptr() == weights.tensor("a.weight").data_ptr()


def test_convolutions_can_be_laid_channels_last(weights: Weights) -> None:
    module = loaded(weights, channels_last=True)
    module.fill(NO_PATCHES)
    weight = module.module.state_dict()["list.0.weight"]
    assert weight.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(weight, weights.tensor("list.0.weight"))


def test_bytes_are_those_in_the_type_it_computes_in(weights: Weights) -> None:
    floats = sum(torch.Size(e.shape).numel() for e in weights.values() if e.dtype.is_floating_point)
    whole = sum(e.bytes for e in weights.values() if not e.dtype.is_floating_point)
    assert loaded(weights).bytes == floats * 4 + whole
    assert loaded(weights, torch.bfloat16).bytes == floats * 2 + whole


def test_patches_are_applied_in_order_and_taken_back(weights: Weights) -> None:
    module = loaded(weights, torch.bfloat16)
    types = []

    def double(weight: torch.Tensor) -> torch.Tensor:
        types.append(weight.dtype)
        return weight * 2

    patches = {"a.weight": (double, lambda weight: weight + 1)}
    module.fill(patches)
    expected = (weights.tensor("a.weight") * 2 + 1).bfloat16()
    assert torch.equal(module.module.state_dict()["a.weight"], expected)
    assert types == [torch.float32]
    module.repatch({"a.bias": (double,)})
    assert torch.equal(module.module.state_dict()["a.weight"], weights.tensor("a.weight").bfloat16())
    assert torch.equal(module.module.state_dict()["a.bias"], (weights.tensor("a.bias") * 2).bfloat16())
    module.repatch(NO_PATCHES)
    assert torch.equal(module.module.state_dict()["a.bias"], weights.tensor("a.bias").bfloat16())


def test_only_what_changes_is_read_again(weights: Weights) -> None:
    same = (lambda weight: weight,)
    module = loaded(weights)
    module.fill({"a.weight": same})
    before = {name: tensor.data_ptr() for name, tensor in module.module.state_dict().items()}
    asked: list[int] = []
    module.repatch({"a.weight": same, "a.bias": (lambda weight: weight + 1,)}, lambda: asked.append(1))
    after = {name: tensor.data_ptr() for name, tensor in module.module.state_dict().items()}
    assert {name for name in before if before[name] != after[name]} == {"a.bias"}
    assert len(asked) == 1


def test_patches_for_names_that_do_not_exist_are_left_alone(weights: Weights) -> None:
    module = loaded(weights)
    asked: list[str] = []

    def patch(weight: torch.Tensor) -> torch.Tensor:
        asked.append("asked")
        return weight + 1

    module.fill({"nobody": (patch,)})
    module.repatch({"somebody": (patch,)})
    assert not asked
    filled = module.module.state_dict()
    assert filled.keys() == weights.keys()
    for name, tensor in filled.items():
        assert torch.equal(tensor, weights.tensor(name)), name
    module.repatch({"somebody": (patch,), "a.bias": (patch,)})
    assert torch.equal(module.module.state_dict()["a.bias"], weights.tensor("a.bias") + 1)
    assert len(asked) == 1


def test_a_check_may_stop_the_filling(weights: Weights) -> None:
    calls: list[int] = []

    def check() -> None:
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        loaded(weights).fill(NO_PATCHES, check)
    assert len(calls) == 3


def test_tensors_made_under_inference_mode_can_still_be_trained_on(weights: Weights) -> None:
    module = loaded(weights, torch.float64)
    with torch.inference_mode():
        module.fill(NO_PATCHES)
    x = torch.randn(1, 4, dtype=torch.float64, requires_grad=True)
    module.module["a"](x).sum().backward()  # type: ignore[index]
    assert x.grad is not None


def test_blocks_are_the_items_of_the_outermost_lists() -> None:
    assert blocks_of(seeded(build)) == ["list.0", "list.1"]
    unet = blocks_of(UNet(SD1))
    inputs, outputs = [f"input_blocks.{n}" for n in range(4)], [f"output_blocks.{n}" for n in range(4)]
    assert unet == [*inputs, "middle_block.1.transformer_blocks.0", *outputs]
    assert blocks_of(ClipText(TEXT)) == [f"text_model.encoder.layers.{n}" for n in range(3)]
    assert blocks_of(AutoencoderKL(VAE)) == [f"encoder.down.{n}" for n in range(4)] + [
        f"decoder.up.{n}" for n in range(4)
    ]


@pytest.mark.parametrize("count", [1, 3, 8])
def test_streamed_blocks_give_the_same_numbers_and_leave_nothing_behind(count: int) -> None:
    whole = seeded(lambda: UNet(SD1))
    weights = weights_of(whole)
    x, t, context = torch.randn(1, 4, 8, 8), torch.tensor([5]), torch.randn(1, 3, 64)
    with ThreadPoolExecutor(1) as executor:
        module = Loaded(build_empty(lambda: UNet(SD1), weights), weights, CPU, torch.float32)
        blocks = blocks_of(module.module)[-count:]
        full = module.bytes
        module.stream(blocks, executor)
        module.fill(NO_PATCHES)
        for _ in range(2):
            assert torch.equal(module.module(x, t, context), whole(x, t, context))
        assert module.bytes == full - sum(module.size_of(block) for block in blocks)
        for block in blocks:
            assert all(p.is_meta for p in module.module.get_submodule(block).parameters()), block


def test_streamed_blocks_are_patched_too() -> None:
    weights = weights_of(seeded(lambda: UNet(SD1)))
    x, t, context = torch.randn(1, 4, 8, 8), torch.tensor([5]), torch.randn(1, 3, 64)
    patches = {"output_blocks.3.0.in_layers.2.weight": (lambda weight: weight * 3,)}
    with ThreadPoolExecutor(1) as executor:
        streamed = Loaded(build_empty(lambda: UNet(SD1), weights), weights, CPU, torch.float32)
        streamed.stream(["output_blocks.3"], executor)
        streamed.fill(NO_PATCHES)
        plain = streamed.module(x, t, context)
        streamed.repatch(patches)
        whole = Loaded(build_empty(lambda: UNet(SD1), weights), weights, CPU, torch.float32)
        whole.fill(patches)
        assert torch.equal(streamed.module(x, t, context), whole.module(x, t, context))
        assert not torch.equal(streamed.module(x, t, context), plain)


def test_an_interrupted_pass_leaves_no_block_in_memory() -> None:
    weights = weights_of(seeded(lambda: UNet(SD1)))
    with ThreadPoolExecutor(1) as executor:
        module = Loaded(build_empty(lambda: UNet(SD1), weights), weights, CPU, torch.float32)
        module.stream(blocks_of(module.module), executor)
        module.fill(NO_PATCHES)
        with pytest.raises(RuntimeError):
            module.module(torch.randn(1, 99, 8, 8), torch.tensor([5]), torch.randn(1, 3, 64))
        module.settle()
        assert all(p.is_meta for p in module.module.input_blocks.parameters())  # type: ignore[union-attr]


@pytest.mark.parametrize("dtype", [torch.float8_e4m3fn, torch.float8_e5m2])
@pytest.mark.parametrize("in_file", [True, False], ids=["as the file is", "as was asked for"])
def test_matrices_of_eight_bits_stay_so_and_the_rest_is_converted(
    dtype: torch.dtype, in_file: bool, tmp_path: Path
) -> None:
    tensors = {
        name: each * 4 if each.is_floating_point() else each
        for name, each in seeded(build).state_dict().items()
    }
    rounded = {name: each.to(dtype) if each.is_floating_point() else each for name, each in tensors.items()}
    save_file(rounded if in_file else tensors, tmp_path / "x.safetensors")
    weights = open_weights(tmp_path / "x.safetensors")
    module = Loaded(
        build_empty(build, weights), weights, CPU, torch.float32, storage=None if in_file else dtype
    )
    module.fill({"a.weight": (lambda weight: weight + 1,)})
    state = module.module.state_dict()
    for name in ("a.weight", "list.0.weight"):
        tensor = state[name]
        assert isinstance(tensor, Quantised)
        assert tensor.packed_bytes == module.size(name) == tensor.numel()
        assert torch.equal(tensor.unpacked(), rounded[name].float() + (name == "a.weight"))
    assert state["a.bias"].dtype == torch.float32
    assert torch.equal(state["a.bias"], (rounded if in_file else tensors)["a.bias"].float())


def test_numbers_too_large_for_eight_bits_become_the_largest(tmp_path: Path) -> None:
    tensors = {**seeded(build).state_dict(), "a.weight": torch.full((4, 4), -1000.0)}
    save_file(tensors, tmp_path / "x.safetensors")
    weights = open_weights(tmp_path / "x.safetensors")
    module = Loaded(build_empty(build, weights), weights, CPU, torch.float32, storage=torch.float8_e4m3fn)
    module.fill(NO_PATCHES)
    found = module.tensor("a.weight")
    assert isinstance(found, Quantised)
    assert torch.equal(found.unpacked(), torch.full((4, 4), -448.0))
