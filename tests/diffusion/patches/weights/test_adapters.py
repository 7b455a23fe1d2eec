"""LoRA and its kin: names, arithmetic, what does not fit."""

import logging
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from diffusion.errors import FileProblem
from diffusion.patches.weights import adapters
from diffusion.patches.weights.adapter_names import (
    diffusers_name,
    diffusers_places,
    tower_targets,
    unet_targets,
)
from diffusion.patches.weights.adapters import with_lengths
from diffusion.weights.files import open_weights
from tests.diffusion.small_runs import small_model


def random(*shape: int) -> Tensor:
    """Random numbers."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(len(shape) + shape[0]))


def changed(tmp_path: Path, tensors: dict[str, Tensor], weight: Tensor, strength: float = 1.0) -> Tensor:
    """A weight "w" after a file's change of it."""
    save_file(tensors, tmp_path / "a.safetensors")
    patches = adapters.patches(open_weights(tmp_path / "a.safetensors"), {"w": "p.weight"}, strength)
    return patches["p.weight"][0](weight)


UP, DOWN, WEIGHT = random(6, 2), random(2, 5), random(6, 5)


@pytest.mark.parametrize(
    ("up", "down"),
    [
        (".lora_up.weight", ".lora_down.weight"),
        (".lora_B.weight", ".lora_A.weight"),
        (".lora.up.weight", ".lora.down.weight"),
        (".up.weight", ".down.weight"),
        (".lora_linear_layer.up.weight", ".lora_linear_layer.down.weight"),
    ],
)
def test_a_low_rank_product_is_added_whatever_its_factors_are(tmp_path: Path, up: str, down: str) -> None:
    tensors = {f"w{up}": UP, f"w{down}": DOWN}
    torch.testing.assert_close(changed(tmp_path, tensors, WEIGHT, 0.5), WEIGHT + 0.5 * UP @ DOWN)


def test_alpha_over_rank_scales(tmp_path: Path) -> None:
    tensors = {"w.lora_up.weight": UP, "w.lora_down.weight": DOWN, "w.alpha": torch.tensor(1.0)}
    torch.testing.assert_close(changed(tmp_path, tensors, WEIGHT), WEIGHT + 0.5 * UP @ DOWN)


def test_convolutions_are_changed_in_their_own_shape(tmp_path: Path) -> None:
    up, down, weight = random(6, 2, 1, 1), random(2, 5, 3, 3), random(6, 5, 3, 3)
    tensors = {"w.lora_up.weight": up, "w.lora_down.weight": down}
    expected = weight + (up.flatten(1) @ down.flatten(1)).view(6, 5, 3, 3)
    torch.testing.assert_close(changed(tmp_path, tensors, weight), expected)


def test_a_core_between_the_factors_is_multiplied_in(tmp_path: Path) -> None:
    up, core, down, weight = random(6, 2, 1, 1), random(2, 2, 3, 3), random(2, 5, 1, 1), random(6, 5, 3, 3)
    tensors = {"w.lora_up.weight": up, "w.lora_mid.weight": core, "w.lora_down.weight": down}
    step = torch.nn.functional.conv2d
    x = random(1, 5, 7, 7)
    difference = changed(tmp_path, tensors, weight) - weight
    torch.testing.assert_close(step(x, difference), step(step(step(x, down), core), up), rtol=1e-4, atol=1e-4)


def test_hadamard_products(tmp_path: Path) -> None:
    factors = {"w.hada_w1_a": random(6, 2), "w.hada_w1_b": random(2, 5)}
    factors |= {"w.hada_w2_a": random(6, 3), "w.hada_w2_b": random(3, 5)}
    one, two = (factors[f"w.hada_w{n}_a"] @ factors[f"w.hada_w{n}_b"] for n in (1, 2))
    torch.testing.assert_close(changed(tmp_path, factors, WEIGHT), WEIGHT + one * two)


@pytest.mark.parametrize("factored", [False, True])
def test_kronecker_products_whole_and_factored(tmp_path: Path, factored: bool) -> None:
    first, second = random(2, 5), random(3, 1)
    tensors = {"w.lokr_w1": first, "w.lokr_w2": second}
    if factored:
        a, b = random(3, 1), random(1, 1)
        tensors = {"w.lokr_w1": first, "w.lokr_w2_a": a, "w.lokr_w2_b": b, "w.alpha": torch.tensor(2.0)}
        second = 2.0 * a @ b
    torch.testing.assert_close(changed(tmp_path, tensors, WEIGHT), WEIGHT + torch.kron(first, second))


def cayley(blocks: Tensor) -> Tensor:
    """The rotations of blocks, as the paper writes them."""
    q = blocks - blocks.transpose(-1, -2)
    identity = torch.eye(q.shape[-1])
    return (identity + q) @ (identity - q).inverse()


def test_block_diagonal_rotations(tmp_path: Path) -> None:
    blocks = random(3, 2, 2) * 0.3
    whole = torch.block_diag(*cayley(blocks))
    torch.testing.assert_close(whole @ whole.T, torch.eye(6))
    out = changed(tmp_path, {"w.oft_blocks": blocks}, WEIGHT)
    torch.testing.assert_close(out, whole.T @ WEIGHT)
    half = changed(tmp_path, {"w.oft_blocks": blocks}, WEIGHT, 0.5)
    torch.testing.assert_close(half, (WEIGHT + out) / 2)
    conv = random(6, 5, 3, 3)
    turned = changed(tmp_path, {"w.oft_blocks": blocks}, conv)
    torch.testing.assert_close(turned.flatten(1), whole.T @ conv.flatten(1))


def test_rotations_are_bounded_and_outputs_rescaled(tmp_path: Path) -> None:
    blocks, rescale = random(3, 2, 2), random(6, 1).abs() + 1
    q = blocks - blocks.mT
    small = q * (0.05 * 6 / q.norm())
    tensors = {"w.oft_blocks": blocks, "w.alpha": torch.tensor(0.05), "w.rescale": rescale}
    expected = rescale * (torch.block_diag(*cayley(small / 2)).T @ WEIGHT)
    torch.testing.assert_close(changed(tmp_path, tensors, WEIGHT), expected, rtol=1e-4, atol=1e-5)


def test_butterflies_of_rotations(tmp_path: Path) -> None:
    blocks, weight = random(2, 2, 4, 4) * 0.3, random(8, 5)
    first, second = (torch.block_diag(*each) for each in cayley(blocks))
    apart_by_two = torch.tensor([0, 2, 1, 3, 4, 6, 5, 7])
    apart_by_four = torch.tensor([0, 4, 1, 5, 2, 6, 3, 7])
    expected = weight
    for turn, order in ((first, apart_by_two), (second, apart_by_four)):
        expected = (turn @ expected[order])[order.argsort()]
    out = changed(tmp_path, {"w.oft_blocks": blocks}, weight)
    torch.testing.assert_close(out, expected)
    torch.testing.assert_close(out.T @ out, weight.T @ weight, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(changed(tmp_path, {"w.oft_blocks": blocks * 0}, weight), weight)


def test_changes_of_norms_in_lycoris_spelling(tmp_path: Path) -> None:
    save_file({"w.w_norm": torch.ones(6), "w.b_norm": torch.ones(6) * 2}, tmp_path / "a.safetensors")
    patches = adapters.patches(open_weights(tmp_path / "a.safetensors"), {"w": "p.weight"}, 0.5)
    assert patches["p.weight"][0](torch.zeros(6)).tolist() == [0.5] * 6
    assert patches["p.bias"][0](torch.zeros(6)).tolist() == [1.0] * 6


@pytest.mark.parametrize("kind", ["lora", "loha", "lokr"])
def test_kinds_with_a_core_for_convolutions(tmp_path: Path, kind: str) -> None:
    weight, core = random(6, 4, 3, 3), random(2, 2, 3, 3)
    if kind == "lora":
        down, up = random(2, 4, 1, 1), random(6, 2, 1, 1)
        tensors = {"w.lora_mid.weight": core, "w.lora_down.weight": down, "w.lora_up.weight": up}
        expected = torch.einsum("oi,ijhw,jc->ochw", up.flatten(1), core, down.flatten(1))
    elif kind == "loha":
        tensors = {
            f"w.hada_w{n}_{side}": random(2, 6 if side == "a" else 4) + n for n in (1, 2) for side in "ab"
        }
        tensors |= {f"w.hada_t{n}": core * n for n in (1, 2)}
        one, two = (
            torch.einsum("ijhw,io,jc->ochw", core * n, tensors[f"w.hada_w{n}_a"], tensors[f"w.hada_w{n}_b"])
            for n in (1, 2)
        )
        expected = one * two
    else:
        tensors = {"w.lokr_w1": random(3, 2), "w.lokr_t2": core}
        tensors |= {"w.lokr_w2_a": random(2, 2), "w.lokr_w2_b": random(2, 2) * 2}
        inner = torch.einsum("ijhw,io,jc->ochw", core, tensors["w.lokr_w2_a"], tensors["w.lokr_w2_b"])
        expected = torch.stack([
            torch.cat([tensors["w.lokr_w1"][row, column] * inner for column in range(2)], dim=1)
            for row in range(3)
        ]).flatten(0, 1)  # fmt: skip
    torch.testing.assert_close(changed(tmp_path, tensors, weight), weight + expected, rtol=1e-4, atol=1e-4)


def test_written_out_differences_also_of_biases(tmp_path: Path) -> None:
    save_file({"w.diff": WEIGHT.clone(), "w.diff_b": torch.ones(6)}, tmp_path / "a.safetensors")
    patches = adapters.patches(open_weights(tmp_path / "a.safetensors"), {"w": "p.weight"}, -1.0)
    assert patches["p.weight"][0](WEIGHT).abs().max() == 0
    assert patches["p.bias"][0](torch.zeros(6)).tolist() == [-1] * 6


@pytest.mark.parametrize(("shape", "dims"), [((6, 1), (1,)), ((1, 5), (0,))])
def test_learned_lengths_are_those_of_rows_or_columns(
    tmp_path: Path, shape: tuple[int, int], dims: tuple[int]
) -> None:
    lengths = random(*shape).abs() + 1
    tensors = {"w.lora_up.weight": UP, "w.lora_down.weight": DOWN, "w.dora_scale": lengths}
    out = changed(tmp_path, tensors, WEIGHT)
    torch.testing.assert_close(torch.linalg.vector_norm(out, dim=dims, keepdim=True), lengths)
    half = changed(tmp_path, tensors, WEIGHT, 0.5)
    torch.testing.assert_close(half, (WEIGHT + out) / 2)
    torch.testing.assert_close(with_lengths(out, lengths), out)


def test_every_block_has_its_place_in_diffusers_levels() -> None:
    weights = small_model().backbone.weights
    places = diffusers_places(weights)
    written = {diffusers_name(name.rpartition(".")[0], places) for name in weights}
    some = {"conv_in", "time_embedding.linear_2", "mid_block.attentions.0.proj_in", "conv_norm_out"}
    assert some <= written
    assert "down_blocks.0.downsamplers.0.conv" in written
    ours = ("input_blocks", "output_blocks", "middle_block")
    assert not {each for each in written if each.startswith(ours)}
    assert len(written) == len({name.rpartition(".")[0] for name in weights})


def test_our_own_names_are_known() -> None:
    weights = small_model().backbone.weights
    targets = unet_targets(weights)
    for name in weights:
        base, _, kind = name.rpartition(".")
        if kind == "weight":
            assert targets[f"lora_unet_{base.replace('.', '_')}"] == name
            assert targets[f"diffusion_model.{base}"] == name


def test_kohyas_peft_and_processor_names_are_known() -> None:
    weights = small_model().backbone.weights
    places, targets = diffusers_places(weights), unet_targets(weights)
    for name in weights:
        base, _, kind = name.rpartition(".")
        if kind == "weight" and base.endswith("attn1.to_out.0"):
            theirs = diffusers_name(base, places)
            assert targets[f"lora_unet_{theirs.replace('.', '_')}"] == name
            assert targets[f"unet.{theirs}"] == targets[theirs] == name
            assert targets[f"base_model.model.{theirs}"] == targets[f"unet.{base}"] == name
            assert targets["unet." + theirs.replace("attn1.to_out.0", "attn1.processor.to_out_lora")] == name


def test_text_towers_are_told_apart(tmp_path: Path) -> None:
    name = "text_model.encoder.layers.0.self_attn.q_proj.weight"
    save_file({name: torch.zeros(2, 2)}, tmp_path / "t.safetensors")
    weights = open_weights(tmp_path / "t.safetensors")
    flat = "text_model_encoder_layers_0_self_attn_q_proj"
    alone = tower_targets("l", weights, ["l"])
    first, second = (tower_targets(key, weights, ["l", "g"]) for key in ("l", "g"))
    assert alone[f"lora_te_{flat}"] == alone[f"lora_te1_{flat}"] == name
    assert f"lora_te_{flat}" not in first
    assert first[f"lora_te1_{flat}"] == second[f"lora_te2_{flat}"] == name
    assert f"text_encoder.{name.removesuffix('.weight')}" in first
    assert f"text_encoder_2.{name.removesuffix('.weight')}" in second
    assert f"text_encoders.clip_l.transformer.{name.removesuffix('.weight')}" in first


@pytest.mark.parametrize(
    ("keys", "prefixes"),
    [
        (["l", "t5xxl"], {"lora_te2_", "lora_te3_"}),
        (["l", "g", "t5xxl"], {"lora_te3_"}),
        (["t5xxl"], {"lora_te1_", "lora_te_"}),
    ],
)
def test_a_tower_after_clip_is_counted_after_it(tmp_path: Path, keys: list[str], prefixes: set[str]) -> None:
    name = "encoder.block.0.layer.0.SelfAttention.q.weight"
    save_file({name: torch.zeros(2, 2)}, tmp_path / "t.safetensors")
    targets = tower_targets("t5xxl", open_weights(tmp_path / "t.safetensors"), keys)
    written = {each for each in targets if each.startswith("lora_")}
    assert written == {f"{prefix}encoder_block_0_layer_0_SelfAttention_q" for prefix in prefixes}
    assert targets["text_encoders.t5xxl.transformer.encoder.block.0.layer.0.SelfAttention.q"] == name


def lora_file(tmp_path: Path, *names: str) -> Path:
    """A file with small changes of these names."""
    tensors = {f"{name}.lora_{side}.weight": torch.ones(1, 1) for name in names for side in ("up", "down")}
    save_file(tensors, tmp_path / "some.safetensors")
    return tmp_path / "some.safetensors"


def test_a_file_of_which_nothing_fits_is_refused(tmp_path: Path) -> None:
    problem = r"some.safetensors: It holds no change that fits this model \(x and 1 others\)"
    with pytest.raises(FileProblem, match=problem):
        adapters.apply(lora_file(tmp_path, "x", "y"), small_model(), None, 1.0, 1.0)
    save_file({"weight": torch.zeros(1)}, tmp_path / "other.safetensors")
    with pytest.raises(FileProblem, match=r"other.safetensors: It holds no change"):
        adapters.apply(tmp_path / "other.safetensors", small_model(), None, 1.0, 1.0)


def test_what_does_not_fit_of_a_file_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = lora_file(tmp_path, "lora_unet_conv_in", "strange")
    with caplog.at_level(logging.INFO):
        model, _ = adapters.apply(path, small_model(), None, 1.0, 1.0)
    assert "1 of 2 changes do not fit, such as strange" in caplog.text
    assert model is not None
    assert list(model.weight_patches) == ["input_blocks.0.0.weight"]


def test_no_strength_leaves_the_model_itself(tmp_path: Path) -> None:
    model = small_model()
    changed, _ = adapters.apply(lora_file(tmp_path, "lora_unet_conv_in"), model, None, 0.0, 1.0)
    assert changed is model
