"""Every spelling of an adapter's tensors means the same change."""

from collections.abc import Mapping
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from diffusion.patches.weights import adapters
from diffusion.patches.weights.adapter_keys import groups
from diffusion.patches.weights.adapter_names import unet_targets
from diffusion.weights.files import open_weights
from tests.diffusion.small_runs import small_model


def random(*shape: int, seed: int = 0) -> Tensor:
    """Random numbers."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed + sum(shape)))


def changed(tmp_path: Path, tensors: Mapping[str, Tensor], weight: Tensor, strength: float = 1.0) -> Tensor:
    """A weight "w" after a file's changes of it."""
    save_file(dict(tensors), tmp_path / "a.safetensors")
    patches = adapters.patches(open_weights(tmp_path / "a.safetensors"), {"w": "p.weight"}, strength)
    for patch in patches["p.weight"]:
        weight = patch(weight)
    return weight


UP, DOWN, WEIGHT = random(6, 2), random(2, 5), random(6, 5)
LENGTHS = random(6).abs() + 1


@pytest.mark.parametrize("name", ["", ".default", ".my-adapter", ".first_2"])
@pytest.mark.parametrize("end", ["", ".weight"])
@pytest.mark.parametrize(("up", "down"), [("lora_B", "lora_A"), ("lora_embedding_B", "lora_embedding_A")])
def test_an_adapters_name_and_weight_may_stand_behind(
    tmp_path: Path, name: str, end: str, up: str, down: str
) -> None:
    tensors = {f"w.{up}{name}{end}": UP, f"w.{down}{name}{end}": DOWN}
    torch.testing.assert_close(changed(tmp_path, tensors, WEIGHT, 0.5), WEIGHT + 0.5 * UP @ DOWN)
    lengths = {f"w.lora_magnitude_vector{name}{end}": LENGTHS}
    out = changed(tmp_path, {**tensors, **lengths}, WEIGHT)
    torch.testing.assert_close(torch.linalg.vector_norm(out, dim=1), LENGTHS)


def test_an_alpha_without_the_adapters_name_is_its_own(tmp_path: Path) -> None:
    tensors = {"w.lora_B.default.weight": UP, "w.lora_A.default.weight": DOWN, "w.alpha": torch.tensor(1.0)}
    torch.testing.assert_close(changed(tmp_path, tensors, WEIGHT), WEIGHT + 0.5 * UP @ DOWN)


def test_several_adapters_of_a_file_are_all_applied(tmp_path: Path) -> None:
    tensors = {
        f"w.lora_{side}.{name}.weight": factor * 1
        for name in "xy"
        for side, factor in (("A", DOWN), ("B", UP))
    }
    torch.testing.assert_close(changed(tmp_path, tensors, WEIGHT), WEIGHT + 2 * UP @ DOWN)


def test_the_bias_of_peft_is_scaled_as_the_rest(tmp_path: Path) -> None:
    tensors = {"w.lora_B.weight": UP, "w.lora_A.weight": DOWN, "w.lora_B.bias": torch.ones(6)}
    save_file({**tensors, "w.alpha": torch.tensor(1.0)}, tmp_path / "a.safetensors")
    patches = adapters.patches(open_weights(tmp_path / "a.safetensors"), {"w": "p.weight"}, 1.0)
    assert patches["p.bias"][0](torch.zeros(6)).tolist() == [0.5] * 6


@pytest.mark.parametrize("name", ["", ".default"])
def test_the_kin_is_known_under_pefts_names_too(tmp_path: Path, name: str) -> None:
    a1, b1, a2, b2 = random(6, 2), random(2, 5, seed=1), random(6, 2, seed=2), random(2, 5, seed=3)
    loha = {"hada_w1_a": a1, "hada_w1_b": b1, "hada_w2_a": a2, "hada_w2_b": b2}
    out = changed(tmp_path, {f"w.{part}{name}": each for part, each in loha.items()}, WEIGHT)
    torch.testing.assert_close(out, WEIGHT + (a1 @ b1) * (a2 @ b2))
    first, second = random(2, 5), random(3, 1)
    out = changed(tmp_path, {f"w.lokr_w1{name}": first, f"w.lokr_w2{name}": second}, WEIGHT)
    torch.testing.assert_close(out, WEIGHT + torch.kron(first, second))
    for factor, expected in ((random(1, 5), WEIGHT * random(1, 5)), (random(6, 1), WEIGHT * random(6, 1))):
        torch.testing.assert_close(changed(tmp_path, {f"w.ia3_l{name}": factor}, WEIGHT), expected)


@pytest.mark.parametrize("square", [False, True])
@pytest.mark.parametrize("old", [False, True])
def test_glora_turns_inputs_and_adds(tmp_path: Path, old: bool, square: bool) -> None:
    weight = random(6, 6) if square else WEIGHT
    out, into = weight.shape
    a_in, a_out, b_in, b_out = random(2, into), random(into, 2), random(2, into, seed=9), random(out, 2)
    parts = ("a2", "a1", "b2", "b1") if not old else ("a1", "a2", "b1", "b2")
    tensors = dict(zip((f"w.{part}.weight" for part in parts), (a_in, a_out, b_in, b_out), strict=True))
    tensors["w.alpha"] = torch.tensor(1.0)
    expected = weight + 0.5 * (b_out @ b_in + weight @ a_out @ a_in)
    torch.testing.assert_close(changed(tmp_path, tensors, weight), expected, rtol=1e-4, atol=1e-4)
    half = weight + 0.25 * (b_out @ b_in + weight @ a_out @ a_in)
    torch.testing.assert_close(changed(tmp_path, tensors, weight, 0.5), half, rtol=1e-4, atol=1e-4)


def test_glora_of_a_convolution_is_one_after_another(tmp_path: Path) -> None:
    weight, x = random(6, 4, 3, 3), random(1, 4, 7, 7)
    a_in, a_out, b_in, b_out = random(2, 4, 1, 1), random(4, 2, 1, 1), random(2, 4, 3, 3), random(6, 2, 1, 1)
    tensors = {"w.a1.weight": a_out, "w.a2.weight": a_in, "w.b1.weight": b_out, "w.b2.weight": b_in}
    step = torch.nn.functional.conv2d
    expected = step(x, weight) + step(step(step(x, a_in), a_out), weight) + step(step(x, b_in), b_out)
    out = step(x, changed(tmp_path, tensors, weight))
    torch.testing.assert_close(out, expected, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("on_input", [False, True])
@pytest.mark.parametrize("shape", [(6, 5), (6, 5, 3, 3)])
def test_ia3_of_lycoris_adds_a_share_of_rows_or_columns(
    tmp_path: Path, shape: tuple[int, ...], on_input: bool
) -> None:
    weight, factor = random(*shape), random(shape[on_input])
    along = factor.reshape([-1 if axis == on_input else 1 for axis in range(len(shape))])
    tensors = {"w.weight": factor, "w.on_input": torch.tensor(on_input)}
    torch.testing.assert_close(changed(tmp_path, tensors, weight, 0.5), weight * (1 + 0.5 * along))


def test_what_is_no_change_makes_no_group(tmp_path: Path) -> None:
    tensors = {"w.weight": WEIGHT, "x.alpha": torch.ones(1), "m.up.proj.weight": UP, "y.lora_A.bias": DOWN}
    save_file(tensors, tmp_path / "a.safetensors")
    assert not list(groups(open_weights(tmp_path / "a.safetensors")))


ROOTS = ("", "unet.", "diffusion_model.", "base_model.model.", "base_model.model.unet.")


@pytest.mark.parametrize("root", ROOTS)
@pytest.mark.parametrize("spelled", ["middle_block.1.proj_in", "mid_block.attentions.0.proj_in"])
def test_names_stand_with_or_without_a_root(root: str, spelled: str) -> None:
    targets = unet_targets(small_model().backbone.weights)
    assert targets[root + spelled] == "middle_block.1.proj_in.weight"
    for prefix in ("lora_unet_", "lycoris_", "oft_unet_", ""):
        assert targets[prefix + spelled.replace(".", "_")] == "middle_block.1.proj_in.weight"


def test_rotations_that_are_written_out_turn_the_outputs(tmp_path: Path) -> None:
    rotation = torch.linalg.qr(random(3, 2, 2)).Q.contiguous()
    out = changed(tmp_path, {"w.oft_diag": rotation}, WEIGHT)
    torch.testing.assert_close(out, torch.block_diag(*rotation).T @ WEIGHT)
    half = changed(tmp_path, {"w.oft_diag": rotation}, WEIGHT, 0.5)
    torch.testing.assert_close(half, (WEIGHT + out) / 2)
