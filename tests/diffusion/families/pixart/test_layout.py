"""PixArt told from others, and read in both layouts."""

from dataclasses import replace

import pytest
import torch

from diffusion.errors import FileProblem
from diffusion.families.detect import told
from diffusion.families.pixart import FAMILIES, native
from diffusion.families.pixart.layout import LAYOUT
from diffusion.families.pixart.network import PixArt, PixArtSizes
from diffusion.patches.weights.adapter_names import model_targets
from diffusion.patches.weights.adapters import patches
from diffusion.weights.entries import Weights
from tests.diffusion.small_models import as_weights
from tests.nodes.small_pixart import ALPHA, SIGMA, pixart
from tests.nodes.small_sd3 import tensors_of

BOTH = [("pixart_sigma", SIGMA), ("pixart_alpha", ALPHA)]


def diffusers_file(sizes: PixArtSizes) -> Weights:
    """A file in diffusers' layout."""
    return as_weights(tensors_of(PixArt(sizes)))


@pytest.mark.parametrize(("name", "sizes"), BOTH)
def test_files_of_its_own_layout_are_told_with_their_sizes(name: str, sizes: PixArtSizes) -> None:
    found = told(as_weights(pixart(sizes)))
    assert found is not None
    assert (found.family.name, found.sizes) == (name, sizes)


@pytest.mark.parametrize(("name", "sizes"), BOTH)
def test_files_of_diffusers_layout_leave_the_stretch_to_the_picture(name: str, sizes: PixArtSizes) -> None:
    found = told(diffusers_file(sizes))
    assert found is not None
    assert (found.family.name, found.sizes) == (name, replace(sizes, stretch=None))


@pytest.mark.parametrize(("name", "sizes"), BOTH)
def test_nothing_of_a_file_is_left_over_and_both_layouts_are_the_same(name: str, sizes: PixArtSizes) -> None:
    plain, own = diffusers_file(sizes), as_weights(pixart(sizes))
    shapes = {key: entry.shape for key, entry in plain.items()}
    assert LAYOUT.left_over(own, shapes) == []
    for weights in (own, native(plain)):
        read = LAYOUT.read(weights, shapes)
        assert all(torch.equal(read.tensor(key), plain.tensor(key)) for key in plain)


def test_a_file_without_one_of_three_projections_says_which() -> None:
    weights = diffusers_file(SIGMA)
    left = {name: weights[name] for name in weights if name != "transformer_blocks.1.attn2.to_v.weight"}
    with pytest.raises(FileProblem, match=r"transformer_blocks\.1\.attn2\.to_v\.weight"):
        native(weights.having(left))


@pytest.mark.parametrize("root", ["transformer.", "base_model.model.", "unet.base_model.model."])
def test_loras_reach_one_projection(root: str) -> None:
    b, a = torch.randn(SIGMA.width, 2), torch.randn(2, SIGMA.width)
    name = f"{root}transformer_blocks.0.attn2.to_k"
    change = as_weights({f"{name}.lora_A.weight": a, f"{name}.lora_B.weight": b})
    found = patches(change, model_targets(FAMILIES[1], diffusers_file(SIGMA)), 1.0)
    (patch,) = found["transformer_blocks.0.attn2.to_k.weight"]
    assert torch.allclose(patch(torch.zeros(SIGMA.width, SIGMA.width)), b @ a, atol=1e-5)
    assert len(found) == 1
