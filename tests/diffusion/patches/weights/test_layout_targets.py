"""LoRAs on weights that files pack and the network has apart, under every name that files use."""

from typing import Any

import pytest
import torch
from torch import Tensor

from diffusion.errors import FileProblem
from diffusion.families.flux import FAMILIES
from diffusion.families.flux.layout import LAYOUT
from diffusion.families.flux.network import Flux
from diffusion.model import Model
from diffusion.patches.weights.adapter_names import model_targets
from diffusion.patches.weights.adapters import Widening, model_patches, patches
from tests.diffusion.small_models import as_weights
from tests.nodes.small_flux import DEV

SHAPES = {name: tuple(each.shape) for name, each in Flux(DEV).state_dict().items()}
OWN = as_weights({name: torch.zeros(shape) for name, shape in SHAPES.items()})
TARGETS = model_targets(FAMILIES[0], OWN)
WIDTH = DEV.width


class Backbone:
    weights = OWN


def model() -> Model:
    return Model(Backbone(), FAMILIES[0], DEV, None, None)  # type: ignore[arg-type]


def changed(tensors: dict[str, Tensor], strength: float = 1.0) -> dict[str, Tensor]:
    """The parameters that a file changes, from zeros."""
    found = patches(as_weights(tensors), TARGETS, strength)
    return {name: each[0](torch.zeros(SHAPES[name])) for name, each in found.items()}


def factors(rows: int, columns: int = WIDTH) -> tuple[Tensor, Tensor]:
    return torch.randn(rows, 2), torch.randn(2, columns)


@pytest.mark.parametrize(
    ("name", "down", "up"),
    [
        ("lora_unet_double_blocks_0_img_attn_qkv", "lora_down.weight", "lora_up.weight"),
        ("diffusion_model.double_blocks.0.img_attn.qkv", "lora_A.weight", "lora_B.weight"),
        ("double_blocks.0.processor.qkv_lora1", "down.weight", "up.weight"),
    ],
)
def test_a_change_of_a_packed_projection_reaches_its_three_parts(name: str, down: str, up: str) -> None:
    b, a = factors(3 * WIDTH)
    found = changed({f"{name}.{down}": a, f"{name}.{up}": b}, 0.5)
    parts = [found[f"transformer_blocks.0.attn.to_{key}.weight"] for key in "qkv"]
    assert torch.allclose(torch.cat(parts), 0.5 * b @ a, atol=1e-5)
    assert len(found) == 3


@pytest.mark.parametrize(
    "name",
    [
        "transformer.single_transformer_blocks.1.attn.to_k",
        "lora_transformer_single_transformer_blocks_1_attn_to_k",
        "lycoris_single_transformer_blocks_1_attn_to_k",
        "base_model.model.single_transformer_blocks.1.attn.to_k",
    ],
)
def test_diffusers_names_reach_the_same_parts(name: str) -> None:
    b, a = factors(WIDTH)
    found = changed({f"{name}.lora_A.weight": a, f"{name}.lora_B.weight": b})
    assert list(found) == ["single_transformer_blocks.1.attn.to_k.weight"]


@pytest.mark.parametrize(
    "name", ["single_blocks.0.processor.qkv_lora", "lora_unet_single_blocks_0_linear1_qkv"]
)
def test_a_change_may_be_of_the_first_rows_of_a_packed_weight(name: str) -> None:
    b, a = factors(3 * WIDTH)
    found = changed({f"{name}.lora_up.weight": b, f"{name}.lora_down.weight": a})
    assert sorted(found) == [f"single_transformer_blocks.0.attn.to_{key}.weight" for key in "kqv"]


def test_a_change_of_a_weight_whose_halves_are_exchanged_is_exchanged_too() -> None:
    b, a = factors(2 * WIDTH)
    name = "diffusion_model.final_layer.adaLN_modulation.1"
    (found,) = changed({f"{name}.lora_up.weight": b, f"{name}.lora_down.weight": a}).values()
    assert torch.allclose(found, torch.cat([b[WIDTH:], b[:WIDTH]]) @ a, atol=1e-5)


def test_differences_and_biases_are_cut_too() -> None:
    whole, bias = torch.randn(3 * WIDTH, WIDTH), torch.randn(3 * WIDTH)
    name = "diffusion_model.double_blocks.1.txt_attn.qkv"
    found = changed({f"{name}.diff": whole, f"{name}.diff_b": bias})
    assert torch.equal(found["transformer_blocks.1.attn.add_v_proj.weight"], whole[2 * WIDTH :])
    assert torch.equal(found["transformer_blocks.1.attn.add_q_proj.bias"], bias[:WIDTH])


def test_learned_lengths_are_cut_with_their_rows() -> None:
    b, a = factors(3 * WIDTH)
    lengths = torch.rand(3 * WIDTH, 1) + 1
    name = "diffusion_model.double_blocks.0.img_attn.qkv"
    tensors = {f"{name}.lora_B.weight": b, f"{name}.lora_A.weight": a, f"{name}.dora_scale": lengths}
    key = changed(tensors)["transformer_blocks.0.attn.to_k.weight"]
    assert torch.allclose(key.norm(dim=1), lengths[WIDTH : 2 * WIDTH, 0], rtol=1e-3)


def test_a_rotation_of_a_packed_weight_is_refused_by_name() -> None:
    name = "lora_unet_double_blocks_0_img_attn_qkv"
    with pytest.raises(FileProblem, match="turns lora_unet_double_blocks_0_img_attn_qkv as a whole"):
        changed({f"{name}.oft_blocks": torch.zeros(4, 8, 8)})


def test_a_control_lora_adds_columns_to_the_first_layer_and_brings_norms() -> None:
    b, a = factors(WIDTH, 128)
    scale = torch.randn(128)
    tensors: dict[str, Any] = {
        "img_in.lora_B.weight": b,
        "img_in.lora_A.weight": a,
        "single_blocks.0.norm.key_norm.scale": scale,
    }
    found = model_patches(as_weights(tensors), model(), 0.5)
    (widening,) = found["x_embedder.weight"]
    assert isinstance(widening, Widening)
    assert torch.allclose(widening(torch.zeros(WIDTH, 64)), 0.5 * b @ a, atol=1e-5)
    (norm,) = found["single_transformer_blocks.0.attn.norm_k.weight"]
    assert torch.equal(norm(torch.ones(128)), scale)


def test_a_lora_upon_a_control_lora_leaves_the_added_columns() -> None:
    b, a = factors(WIDTH, 64)
    name = "diffusion_model.img_in"
    found = patches(as_weights({f"{name}.lora_B.weight": b, f"{name}.lora_A.weight": a}), TARGETS, 1.0)
    out = found["x_embedder.weight"][0](torch.ones(WIDTH, 128))
    assert torch.allclose(out[:, :64], 1 + b @ a, atol=1e-5)
    assert (out[:, 64:] == 1).all()


def test_every_name_of_the_original_files_is_a_target() -> None:
    for name in LAYOUT.file_names(SHAPES):
        if name.endswith(".weight"):
            assert f"lora_unet_{name.removesuffix('.weight').replace('.', '_')}" in TARGETS
