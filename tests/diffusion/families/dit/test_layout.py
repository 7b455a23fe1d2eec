"""DiT told from others, and read in both layouts, also at its published size."""

from dataclasses import replace

import pytest
import torch

from diffusion.errors import FileProblem
from diffusion.families.detect import told
from diffusion.families.dit import native
from diffusion.families.dit.layout import LAYOUT
from diffusion.families.dit.network import DiT, DiTSizes
from diffusion.weights.entries import Weights
from diffusion.weights.loading import on_meta
from tests.diffusion.small_models import as_weights
from tests.nodes.small_dit import SMALL, dit
from tests.nodes.small_sd3 import tensors_of

XL, XL_512 = (replace(SMALL, width=1152, depth=28, side=side) for side in (16, 32))


def diffusers_file() -> Weights:
    """A file in diffusers' layout: the embedders stand in every block."""
    tensors = tensors_of(DiT(SMALL))
    first = "transformer_blocks.0.norm1.emb."
    again = {name.replace(".0.", ".1.", 1): each for name, each in tensors.items() if name.startswith(first)}
    return as_weights({**tensors, **again})


def test_files_of_its_own_layout_are_told_with_their_sizes() -> None:
    found = told(as_weights(dit()))
    assert found is not None
    assert (found.family.name, found.sizes) == ("dit", SMALL)


def test_files_of_diffusers_layout_are_told_and_hold_the_same() -> None:
    plain = diffusers_file()
    found = told(plain)
    assert found is not None
    assert (found.family.name, found.sizes) == ("dit", replace(SMALL, side=None))
    shapes = {name: tuple(each.shape) for name, each in DiT(SMALL).state_dict().items()}
    for weights in (native(plain), as_weights(dit())):
        assert LAYOUT.left_over(weights, shapes) == []
        read = LAYOUT.read(weights, shapes)
        assert all(torch.equal(read.tensor(name), plain.tensor(name)) for name in shapes)


def test_a_file_without_one_of_three_projections_says_which() -> None:
    weights = diffusers_file()
    left = {name: weights[name] for name in weights if name != "transformer_blocks.1.attn1.to_v.weight"}
    with pytest.raises(FileProblem, match=r"transformer_blocks\.1\.attn1\.to_v\.weight"):
        native(weights.having(left))


@pytest.mark.parametrize("sizes", [XL, XL_512])
def test_the_published_sizes_are_told_from_shapes_alone(sizes: DiTSizes) -> None:
    network = on_meta(lambda: DiT(sizes), as_weights({}).path)
    shapes = dict(network.state_dict())
    assert sizes.side is not None
    table = {"pos_embed": torch.empty(1, sizes.side**2, sizes.width, device="meta")}
    written = LAYOUT.written(as_weights(shapes))
    found = told(as_weights({}).having({**written, **as_weights(table)}))
    assert found is not None
    assert (found.family.name, found.sizes) == ("dit", sizes)
    assert sum(each.numel() for each in network.parameters()) / 1e6 == pytest.approx(675, abs=1)
