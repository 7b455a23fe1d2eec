"""FLUX's network: sizes, controls, masks, references, guidance."""

from typing import Any

import pytest
import torch
from torch import Tensor

from diffusion.families.flux.network import Flux, flux_sizes
from diffusion.hooks import Hooks
from diffusion.networks.backbone import Control, Inputs
from tests.diffusion.families.flux.small import DEPTH, DEV, FILL, SCHNELL, diffusers_file, file


def test_sizes_are_read_off_a_file() -> None:
    for sizes in (DEV, FILL, DEPTH, SCHNELL):
        assert flux_sizes(file(sizes)) == sizes


@torch.no_grad()
def asked(network: Flux, **given: Any) -> Tensor:
    torch.manual_seed(3)
    x, context = torch.randn(1, 16, 4, 6), torch.randn(1, 3, 12)
    control = given.pop("control", None)
    tensors = {"guidance": torch.tensor([3.5]), "pooled": torch.randn(1, 8), **given}
    return network.predict(x, torch.tensor([0.6]), Inputs(context, tensors, control), Hooks())


@pytest.fixture(scope="module")
def network() -> Flux:
    made = Flux(DEV)
    weights = diffusers_file(DEV)
    made.load_state_dict({name: weights.tensor(name) for name in weights}, assign=True)
    return made


def test_a_control_is_added_behind_the_blocks_it_names(network: Flux) -> None:
    plain = asked(network)
    for control in (Control(input={1: torch.ones(1, 6, 128)}), Control(output={0: torch.ones(1, 6, 128)})):
        assert not torch.allclose(asked(network, control=control), plain)
    nothing = Control(input={0: torch.zeros(1, 6, 128)}, output={1: torch.zeros(1, 6, 128)})
    assert torch.equal(asked(network, control=nothing), plain)


def test_a_control_leaves_references_alone(network: Flux) -> None:
    references = [torch.randn(1, 16, 4, 4)]
    given: dict[str, Any] = {"references": references, "method": "offset"}
    plain = asked(network, **given)
    assert plain.shape == (1, 16, 4, 6)
    assert not torch.allclose(plain, asked(network))
    zero = Control(input={0: torch.zeros(1, 6, 128)})
    assert torch.equal(asked(network, control=zero, **given), plain)


def test_a_mask_of_zeros_changes_nothing_and_one_of_words_does(network: Flux) -> None:
    plain = asked(network)
    mask = torch.zeros(1, 4, 4)
    assert torch.allclose(asked(network, attention_mask=mask, mask_shape=(1, 1)), plain, atol=1e-5)
    mask[:, :, 0] = -1e4
    assert not torch.allclose(asked(network, attention_mask=mask, mask_shape=(1, 1)), plain, atol=1e-4)


def test_taking_guidance_away_is_not_guidance_of_nothing(network: Flux) -> None:
    none = asked(network, guidance=None)
    assert not torch.allclose(none, asked(network))
    assert not torch.allclose(none, asked(network, guidance=torch.zeros(1)))
