"""Cosmos-Predict2 told from others, its clock, odd sizes, and what is kept outside a mask."""

from pathlib import Path
from typing import Any

import pytest
import torch

from diffusion.families.cosmos_predict2 import FAMILIES
from diffusion.families.cosmos_predict2.layout import LAYOUT
from diffusion.families.cosmos_predict2.network import CosmosPredict2, CosmosSizes
from diffusion.families.detect import told
from diffusion.hooks import Hooks
from diffusion.networks.backbone import Inputs
from diffusion.weights.entries import Weights
from tests.diffusion.small_models import weights_of

SIZES = CosmosSizes(width=128, in_channels=16, out_channels=16, text=12, depth=2, rank=8, wider=2)
(FAMILY,) = FAMILIES


@pytest.fixture(scope="module")
def network() -> CosmosPredict2:
    """A small network with random weights."""
    torch.manual_seed(0)
    network = CosmosPredict2(SIZES)
    weights = {name: torch.randn(each.shape) * 0.1 for name, each in network.state_dict().items()}
    network.load_state_dict(weights, assign=True)
    return network


def test_a_file_is_told_with_its_sizes_and_nothing_is_left_over(network: CosmosPredict2) -> None:
    weights = Weights(Path("cosmos.safetensors"), LAYOUT.written(weights_of(network)))
    found = told(weights)
    assert found is not None
    assert (found.family.name, found.sizes) == ("cosmos_predict2", SIZES)
    shapes = {name: tuple(each.shape) for name, each in network.state_dict().items()}
    assert LAYOUT.left_over(weights, shapes) == []


def test_the_clock_runs_from_80_down_and_tells_the_network_shares() -> None:
    prediction = FAMILY.prediction(weights_of(torch.nn.Identity()), SIZES)
    assert prediction.sigma_max == pytest.approx(80)
    assert prediction.sigma_min == pytest.approx(0.002)
    assert prediction.clock.timestep(torch.tensor(3.0)).item() == pytest.approx(0.75)


def test_outside_a_mask_the_network_sees_the_clean_latent() -> None:
    prediction = FAMILY.prediction(weights_of(torch.nn.Identity()), SIZES)
    latent, noise, sigma = torch.randn(1, 16, 1, 2, 2), torch.randn(1, 16, 1, 2, 2), torch.tensor(3.0)
    seen = FAMILY.outside_mask(latent, noise, sigma, prediction)
    assert torch.allclose(prediction.scaled(seen, sigma), latent)


@torch.no_grad()
def test_odd_sides_keep_their_size_and_hooks_see_blocks_and_attentions(network: CosmosPredict2) -> None:
    seen = list[Any]()

    def block(place: Any, image: Any, text: Any, run: Any) -> Any:
        seen.append((place.block, place.index))
        return run(image, text)

    def look(place: Any, q: Any, k: Any, v: Any, attend: Any) -> Any:
        seen.append(k.shape[1])
        return attend(q, k, v)

    hooks = Hooks({"block.call": (block,), "attention.cross.attend": (look,)})
    x = torch.randn(1, 16, 1, 5, 3)
    inputs = Inputs(torch.randn(1, 7, 12))
    out = network.predict(x, torch.tensor([0.6]), inputs, hooks)
    assert out.shape == x.shape
    assert torch.equal(out, network.predict(x, torch.tensor([0.6]), inputs, Hooks()))
    assert seen == [("block", 0), 7, ("block", 1), 7]
