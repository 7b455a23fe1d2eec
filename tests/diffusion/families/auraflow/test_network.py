"""AuraFlow told from others, read in both layouts, and its places beyond the table."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn import functional as F

from diffusion.families.auraflow.layout import LAYOUT
from diffusion.families.auraflow.network import AuraFlow, AuraFlowSizes, placed
from diffusion.families.detect import told
from diffusion.hooks import Hooks
from diffusion.networks.backbone import Inputs
from diffusion.weights.entries import Entry, Weights

SIZES = AuraFlowSizes(width=256, in_channels=4, out_channels=4, text=12, doubles=1, singles=2, places=16)


def diffusers_file(path: Path = Path("aura.safetensors")) -> Weights:
    """A file in diffusers' layout."""
    torch.manual_seed(0)
    tensors = {name: torch.randn(each.shape) * 0.05 for name, each in AuraFlow(SIZES).state_dict().items()}
    return Weights(path, {name: Entry(tuple(t.shape), t.dtype, lambda t=t: t) for name, t in tensors.items()})


def file() -> Weights:
    """A file in AuraFlow's own layout."""
    weights = diffusers_file()
    return weights.having(LAYOUT.written(weights))


@pytest.fixture(scope="module")
def network() -> AuraFlow:
    """A small network with random weights."""
    network = AuraFlow(SIZES)
    weights = diffusers_file()
    network.load_state_dict({name: weights.tensor(name) for name in weights}, assign=True)
    return network


@pytest.mark.parametrize("laid_out", [file, diffusers_file])
def test_files_of_both_layouts_are_told_with_their_sizes(laid_out: Any) -> None:
    found = told(laid_out())
    assert found is not None
    assert (found.family.name, found.sizes) == ("auraflow", SIZES)


def test_nothing_of_a_file_is_left_over() -> None:
    shapes = {name: tuple(each.shape) for name, each in AuraFlow(SIZES).state_dict().items()}
    assert LAYOUT.left_over(file(), shapes) == []
    assert set(LAYOUT.read(file(), shapes)) == set(shapes)


def test_places_come_from_the_middle_of_the_table(network: AuraFlow) -> None:
    embed: Any = network.get_submodule("pos_embed")
    table = embed.pos_embed.reshape(4, 4, -1)
    found = placed(embed, torch.zeros(1, 4, 6, 4)) - embed.proj.bias
    assert torch.allclose(found.reshape(3, 2, -1), table[0:3, 1:3], atol=1e-6)


def test_a_picture_beyond_the_table_stretches_it(network: AuraFlow) -> None:
    embed: Any = network.get_submodule("pos_embed")
    table = embed.pos_embed.reshape(4, 4, -1).movedim(-1, 0)[None]
    stretched = F.interpolate(table, (8, 8), mode="bilinear")[0].movedim(0, -1)
    found = placed(embed, torch.zeros(1, 4, 4, 16)) - embed.proj.bias
    assert torch.allclose(found.reshape(2, 8, -1), stretched[3:5], atol=1e-6)


@torch.no_grad()
def test_the_network_is_the_librarys_where_sides_are_even(network: AuraFlow) -> None:
    x, context, time = torch.randn(2, 4, 8, 8), torch.randn(2, 5, 12), torch.tensor([0.7, 0.7])
    ours = network.predict(x, time, Inputs(context), Hooks())
    theirs = network.called(x, context, time, return_dict=False)[0]
    assert torch.allclose(ours, theirs, atol=1e-6)


@torch.no_grad()
def test_odd_sides_keep_their_size_and_hooks_see_each_block(network: AuraFlow) -> None:
    seen = []

    def watch(place: Any, image: Any, text: Any, run: Any) -> Any:
        seen.append((place.block, place.index))
        return run(image, text)

    x = torch.randn(1, 4, 7, 5)
    out = network.predict(
        x, torch.tensor([0.5]), Inputs(torch.randn(1, 3, 12)), Hooks({"block.call": (watch,)})
    )
    assert out.shape == x.shape
    assert seen == [("double", 0), ("single", 0), ("single", 1)]
