"""Chroma told from FLUX, told of time and guidance, and blocks seen by hooks."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from diffusion.families.chroma.layout import LAYOUT
from diffusion.families.chroma.network import Chroma, ChromaSizes
from diffusion.families.detect import told
from diffusion.hooks import Hooks
from diffusion.networks.backbone import Control, Inputs
from diffusion.weights.entries import Entry, Weights

SIZES = ChromaSizes(width=128, in_channels=4, text=12, doubles=1, singles=2, hidden=32, layers=2)


@pytest.fixture(scope="module")
def network() -> Chroma:
    """A small network with random weights."""
    torch.manual_seed(0)
    network = Chroma(SIZES)
    weights = {name: torch.randn(each.shape) * 0.1 for name, each in network.state_dict().items()}
    network.load_state_dict(weights, assign=True)
    return network


def test_a_file_is_told_with_its_sizes_and_nothing_is_left_over(network: Chroma) -> None:
    entries = {n: Entry(tuple(t.shape), t.dtype, lambda t=t: t) for n, t in network.state_dict().items()}
    weights = Weights(Path("chroma.safetensors"), LAYOUT.written(entries))
    found = told(weights)
    assert found is not None
    assert (found.family.name, found.sizes) == ("chroma", SIZES)
    assert LAYOUT.left_over(weights, {n: tuple(t.shape) for n, t in network.state_dict().items()}) == []


@torch.no_grad()
def asked(
    network: Chroma, x: Tensor | None = None, sigma: float = 0.6, hooks: Hooks | None = None, **more: Any
) -> Any:
    """The velocity at a fixed latent and text."""
    torch.manual_seed(1)
    text = torch.randn(1, 5, 12)
    x = torch.randn(1, 4, 6, 6) if x is None else x
    control = more.pop("control", None)
    return network.predict(x, torch.tensor([sigma]), Inputs(text, more, control), hooks or Hooks())


@torch.no_grad()
def test_without_guidance_it_is_the_librarys_network(network: Chroma) -> None:
    torch.manual_seed(1)
    text, x = torch.randn(1, 5, 12), torch.randn(1, 4, 6, 6)
    tokens = x.reshape(1, 4, 3, 2, 3, 2).permute(0, 2, 4, 1, 3, 5).reshape(1, 9, 16)
    ids = torch.tensor([[0.0, row, column] for row in range(3) for column in range(3)])
    theirs = network.called(tokens, text, torch.tensor([0.6]), ids, torch.zeros(5, 3), return_dict=False)[0]
    theirs = theirs.reshape(1, 3, 3, 4, 2, 2).permute(0, 3, 1, 4, 2, 5).reshape(1, 4, 6, 6)
    assert torch.allclose(asked(network, x), theirs, atol=1e-5)


def test_guidance_and_time_are_told_in_full(network: Chroma) -> None:
    plain = asked(network)
    assert not torch.allclose(plain, asked(network, guidance=torch.tensor([4.0])), atol=1e-4)
    assert torch.equal(plain, asked(network, guidance=torch.tensor([0.0])))
    half = Chroma(SIZES)
    half.load_state_dict({n: t.bfloat16() for n, t in network.state_dict().items()}, assign=True)
    near, other = asked(half, sigma=0.6), asked(half, sigma=0.6016)
    assert not torch.equal(near, other), "time is not rounded to the weights' type"


def test_odd_sides_keep_their_size_and_hooks_see_each_block(network: Chroma) -> None:
    seen = []

    def watch(place: Any, image: Any, text: Any, run: Any) -> Any:
        seen.append((place.block, place.index))
        return run(image, text)

    x = torch.randn(1, 4, 7, 5)
    assert asked(network, x, hooks=Hooks({"block.call": (watch,)})).shape == x.shape
    assert seen == [("double", 0), ("single", 0), ("single", 1)]


def test_control_is_added_behind_a_block(network: Chroma) -> None:
    added = Control(input={0: torch.arange(9 * 128.0).sin().reshape(1, 9, 128)})
    assert not torch.allclose(asked(network), asked(network, control=added), atol=1e-4)
