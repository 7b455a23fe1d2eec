"""OmniGen2 told from others, its places, and the pictures it looks at."""

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor

from diffusion.conditioning import Entry
from diffusion.errors import Mismatch
from diffusion.families.detect import told
from diffusion.families.omnigen2.network import (
    OmniGen2,
    OmniGenSizes,
    fastest,
    omnigen_inputs,
    placed,
    slowest,
)
from diffusion.hooks import Hooks
from diffusion.latents.latent_format import FLUX
from diffusion.networks.backbone import Inputs
from diffusion.networks.spots import Spot
from tests.diffusion.small_models import weights_of

SIZES = OmniGenSizes(width=240, in_channels=4, text=12, layers=2, refiners=1, key_heads=1, seen=2)
TEXT = torch.linspace(-1, 1, 36).reshape(1, 3, 12)


@pytest.fixture(scope="module")
def network() -> OmniGen2:
    """A small network with random weights."""
    torch.manual_seed(0)
    network = OmniGen2(SIZES)
    weights = {name: torch.randn(each.shape) * 0.05 for name, each in network.state_dict().items()}
    network.load_state_dict(weights, assign=True)
    return network


@torch.no_grad()
def asked(network: OmniGen2, hooks: Hooks | None = None, **given: Any) -> Tensor:
    x = torch.linspace(-1, 1, 4 * 5 * 6).reshape(1, 4, 5, 6)
    return network.predict(x, torch.tensor([0.6]), Inputs(TEXT, given), hooks or Hooks())


def inputs(**options: Any) -> Any:
    model = SimpleNamespace(latent_format=FLUX, sizes=SIZES)
    setting: Any = SimpleNamespace(model=model, latent=torch.zeros(1))
    return omnigen_inputs(Entry(TEXT, options), "positive", setting)


def test_a_file_is_told_with_its_sizes(network: OmniGen2) -> None:
    found = told(weights_of(network))
    assert found is not None
    assert (found.family.name, found.sizes) == ("omnigen2", SIZES)


def test_the_text_loses_its_padding_and_pictures_are_scaled() -> None:
    assert inputs(attention_mask=torch.ones(1, 3)) == {}
    assert torch.equal(inputs(attention_mask=torch.tensor([[1, 1, 0]]))["context"], TEXT[:, :2])
    picture = torch.randn(1, 16, 2, 2)
    assert torch.equal(inputs(reference_latents=[picture])["references"][0], FLUX.into(picture))


def test_more_pictures_than_it_tells_apart_are_refused() -> None:
    with pytest.raises(Mismatch, match="at 2 pictures at most, and the positive conditioning has 3"):
        inputs(reference_latents=[torch.zeros(1, 16, 2, 2)] * 3)


def test_the_picture_that_is_drawn_lies_behind_those_that_are_looked_at() -> None:
    pictures = [torch.zeros(1, 4, 4, 4), torch.zeros(1, 4, 6, 2), torch.zeros(1, 4, 2, 2)]
    assert placed(5, pictures) == [Spot(2, 2, 9), Spot(3, 1, 5), Spot(1, 1, 8)]


def test_channels_are_fastest_inside_a_token_and_back() -> None:
    x = torch.randn(2, 4, 6, 4)
    assert torch.equal(fastest(x)[0, 0, :4], x[0, :, 0, 0])
    assert torch.equal(slowest(fastest(x), 6, 4), x)


def test_pictures_change_the_result_by_their_order(network: OmniGen2) -> None:
    first, second = torch.randn(1, 4, 3, 4), torch.randn(1, 4, 4, 4)
    plain, one = asked(network), asked(network, references=[first])
    assert plain.shape == one.shape == (1, 4, 5, 6)
    assert not torch.allclose(plain, one, atol=1e-5)
    both, turned = asked(network, references=[first, second]), asked(network, references=[second, first])
    assert not torch.allclose(both, turned, atol=1e-6)


def test_hooks_see_each_block(network: OmniGen2) -> None:
    seen = []

    def watch(place: Any, image: Any, text: Any, run: Any) -> Any:
        seen.append((place.block, place.index))
        return run(image, text)

    asked(network, Hooks({"block.call": (watch,)}), references=[torch.randn(1, 4, 2, 2)])
    kinds = ["context_refiner", "ref_image_refiner", "noise_refiner"]
    assert seen == [*((kind, 0) for kind in kinds), ("layer", 0), ("layer", 1)]
