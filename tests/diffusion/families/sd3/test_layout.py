"""Stable Diffusion 3 told from others, read in both layouts, and LoRAs under every name."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from diffusion.errors import FileProblem
from diffusion.families.detect import told
from diffusion.families.sd3 import FAMILIES, native
from diffusion.families.sd3.layout import LAYOUT
from diffusion.families.sd3.network import Sd3, Sd3Sizes
from diffusion.patches.weights.adapter_names import model_targets
from diffusion.patches.weights.adapters import patches
from diffusion.weights.entries import Weights
from tests.diffusion.small_models import as_weights
from tests.nodes.small_sd3 import LARGE, MEDIUM, MEDIUM_35, sd3, tensors_of

SIZES = {"sd3": MEDIUM, "sd35": LARGE, "sd35 medium": MEDIUM_35}
HALF = MEDIUM.width


def diffusers_file(sizes: Sd3Sizes) -> Weights:
    """A file in diffusers' layout."""
    return as_weights(tensors_of(Sd3(sizes)))


def file(sizes: Sd3Sizes) -> Weights:
    """A file in SD3's own layout."""
    return as_weights(sd3(sizes))


@pytest.mark.parametrize("name", SIZES)
@pytest.mark.parametrize("laid_out", [file, diffusers_file])
def test_files_of_both_layouts_are_told_with_their_sizes(
    name: str, laid_out: Callable[[Sd3Sizes], Weights]
) -> None:
    found = told(laid_out(SIZES[name]))
    assert found is not None
    assert (found.family.name, found.sizes) == (name.split()[0], SIZES[name])


def test_a_network_is_found_behind_the_prefix_of_a_checkpoint() -> None:
    weights = file(MEDIUM)
    found = told(weights.having({f"model.diffusion_model.{name}": weights[name] for name in weights}))
    assert found is not None
    assert found.sizes == MEDIUM


@pytest.mark.parametrize("sizes", SIZES.values())
def test_nothing_of_a_file_is_left_over(sizes: Sd3Sizes) -> None:
    shapes = {name: tuple(each.shape) for name, each in Sd3(sizes).state_dict().items()}
    assert LAYOUT.left_over(file(sizes), shapes) == []
    assert set(LAYOUT.read(file(sizes), shapes)) == set(shapes)


@pytest.mark.parametrize("sizes", SIZES.values())
def test_both_layouts_give_the_same_weights(sizes: Sd3Sizes) -> None:
    plain = diffusers_file(sizes)
    read = LAYOUT.read(native(plain), {name: entry.shape for name, entry in plain.items()})
    assert all(torch.equal(read.tensor(name), plain.tensor(name)) for name in plain)


def test_the_last_block_has_its_texts_scale_and_shift_the_other_way_round() -> None:
    ours, own = diffusers_file(MEDIUM), file(MEDIUM)

    def rows(number: int) -> tuple[Tensor, Tensor]:
        return (
            own.tensor(f"joint_blocks.{number}.context_block.adaLN_modulation.1.weight"),
            ours.tensor(f"transformer_blocks.{number}.norm1_context.linear.weight"),
        )

    assert torch.equal(*rows(0))
    theirs, mine = rows(1)
    assert torch.equal(theirs, torch.cat([mine[HALF:], mine[:HALF]]))


def test_a_file_without_one_of_three_projections_says_which() -> None:
    weights = diffusers_file(MEDIUM)
    left = {name: weights[name] for name in weights if name != "transformer_blocks.0.attn.add_k_proj.weight"}
    with pytest.raises(FileProblem, match=r"transformer_blocks\.0\.attn\.add_k_proj\.weight"):
        native(weights.having(left))


@pytest.mark.parametrize(
    "name",
    [
        "transformer.transformer_blocks.0.attn.to_q",
        "base_model.model.transformer_blocks.0.attn.to_q",
        "lora_transformer_transformer_blocks_0_attn_to_q",
        "lycoris_transformer_blocks_0_attn_to_q",
    ],
)
def test_loras_of_diffusers_reach_one_projection(name: str) -> None:
    own = diffusers_file(MEDIUM)
    b, a = torch.randn(HALF, 2), torch.randn(2, HALF)
    change = as_weights({f"{name}.lora_A.weight": a, f"{name}.lora_B.weight": b})
    found = patches(change, model_targets(FAMILIES[0], own), 1.0)
    (patch,) = found["transformer_blocks.0.attn.to_q.weight"]
    assert torch.allclose(patch(torch.zeros(HALF, HALF)), b @ a, atol=1e-5)
    assert len(found) == 1


@pytest.mark.parametrize(
    "name",
    [
        "lora_unet_joint_blocks_1_context_block_attn_qkv",
        "diffusion_model.joint_blocks.1.context_block.attn.qkv",
    ],
)
def test_loras_on_packed_projections_reach_all_three(name: str) -> None:
    own = diffusers_file(MEDIUM)
    b, a = torch.randn(3 * HALF, 2), torch.randn(2, HALF)
    change = as_weights({f"{name}.lora_down.weight": a, f"{name}.lora_up.weight": b})
    found = patches(change, model_targets(FAMILIES[0], own), 1.0)
    parts = [found[f"transformer_blocks.1.attn.add_{key}_proj.weight"] for key in "qkv"]
    whole = torch.cat([patch(torch.zeros(HALF, HALF)) for (patch,) in parts])
    assert torch.allclose(whole, b @ a, atol=1e-5)
