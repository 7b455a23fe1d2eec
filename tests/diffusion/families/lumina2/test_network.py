"""Lumina told from others, its text cut to what is no padding, and blocks seen by hooks."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from diffusion.conditioning import Entry as Line
from diffusion.families.detect import told
from diffusion.families.lumina2.layout import LAYOUT
from diffusion.families.lumina2.network import Lumina2, Lumina2Sizes, lumina2_inputs
from diffusion.hooks import Hooks
from diffusion.networks.backbone import Inputs
from diffusion.weights.entries import Entry, Weights

SIZES = Lumina2Sizes(width=192, in_channels=4, text=12, layers=2, refiners=1, key_heads=1)


@pytest.fixture(scope="module")
def network() -> Lumina2:
    """A small network with random weights."""
    torch.manual_seed(0)
    network = Lumina2(SIZES)
    weights = {name: torch.randn(each.shape) * 0.05 for name, each in network.state_dict().items()}
    network.load_state_dict(weights, assign=True)
    return network


def file(network: Lumina2) -> Weights:
    """A file of the network in Lumina's own layout."""
    entries = {n: Entry(tuple(t.shape), t.dtype, lambda t=t: t) for n, t in network.state_dict().items()}
    return Weights(Path("lumina.safetensors"), LAYOUT.written(entries))


def test_a_file_is_told_with_its_sizes_and_nothing_is_left_over(network: Lumina2) -> None:
    weights = file(network)
    found = told(weights)
    assert found is not None
    assert (found.family.name, found.sizes) == ("lumina2", SIZES)
    shapes = {name: tuple(each.shape) for name, each in network.state_dict().items()}
    assert LAYOUT.left_over(weights, shapes) == []
    assert LAYOUT.names("norm_final.weight") == ()
    assert weights["layers.0.attention.qkv.weight"].shape == (192 + 96 + 96, 192)


@torch.no_grad()
def asked(
    network: Lumina2, text: Tensor, x: Tensor | None = None, hooks: Hooks | None = None, **given: Any
) -> Tensor:
    """The velocity at a fixed latent."""
    x = torch.linspace(-1, 1, 4 * 6 * 6).reshape(1, 4, 6, 6) if x is None else x
    return network.predict(x, torch.tensor([0.6]), Inputs(text, given), hooks or Hooks())


def test_padding_behind_a_text_changes_nothing(network: Lumina2) -> None:
    text = torch.randn(1, 5, 12)
    padded = torch.cat([text, torch.randn(1, 3, 12)], dim=1)
    mask = torch.tensor([[1, 1, 1, 1, 1, 0, 0, 0]])
    assert torch.allclose(asked(network, text), asked(network, padded, attention_mask=mask), atol=1e-5)
    assert not torch.allclose(asked(network, text), asked(network, padded), atol=1e-3)


def test_a_mask_of_ones_is_left_out_so_that_texts_share_a_call(network: Lumina2) -> None:
    class Setting:
        latent = torch.zeros(1)

    line = Line(torch.zeros(1, 2, 12), {"attention_mask": torch.ones(1, 2)})
    assert lumina2_inputs(line, "positive", Setting()) == {}  # type: ignore[arg-type]  # all it asks for
    line = Line(torch.zeros(1, 2, 12), {"attention_mask": torch.tensor([[1, 0]])})
    assert "attention_mask" in lumina2_inputs(line, "positive", Setting())  # type: ignore[arg-type]


def test_odd_sides_keep_their_size_and_hooks_see_each_block(network: Lumina2) -> None:
    seen = []

    def watch(place: Any, image: Any, text: Any, run: Any) -> Any:
        seen.append((place.block, place.index))
        return run(image, text)

    x = torch.randn(1, 4, 7, 5)
    assert asked(network, torch.randn(1, 3, 12), x, Hooks({"block.call": (watch,)})).shape == x.shape
    assert seen == [("context_refiner", 0), ("noise_refiner", 0), ("layer", 0), ("layer", 1)]


def test_queries_are_normed_with_the_least_difference_of_their_type(network: Lumina2) -> None:
    asked(network, torch.randn(1, 3, 12))
    assert network.get_submodule("layers.0.attn.norm_q").eps == torch.finfo(torch.float32).eps
