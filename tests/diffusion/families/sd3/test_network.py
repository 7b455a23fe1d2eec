"""Stable Diffusion 3's network: the library's, with odd sides, control and hooks."""

from dataclasses import replace
from typing import Any

import pytest
import torch

from diffusion.families.sd3.network import Sd3, Sd3Sizes
from diffusion.hooks import Hooks
from diffusion.networks.backbone import Control, Inputs
from tests.nodes.small_sd3 import LARGE, MEDIUM, MEDIUM_35, tensors_of

SIZES = (MEDIUM, LARGE, MEDIUM_35)


def filled(sizes: Sd3Sizes) -> Sd3:
    """A network with the tensors of such a file."""
    network = Sd3(sizes)
    network.load_state_dict(tensors_of(network), assign=True)
    return network


def given(rows: int = 1, **more: Any) -> Inputs:
    return Inputs(torch.randn(rows, 5, MEDIUM.text), {"pooled": torch.randn(rows, MEDIUM.vector)}, **more)


@torch.no_grad()
@pytest.mark.parametrize("sizes", SIZES)
def test_the_network_is_the_librarys_where_sides_are_even(sizes: Sd3Sizes) -> None:
    network, x, said = filled(sizes), torch.randn(2, 16, 8, 6), given(2)
    time = torch.tensor([700.0, 300.0])
    theirs = network.called(x, said.context, said.tensor("pooled"), time, return_dict=False)[0]
    assert torch.allclose(network.predict(x, time, said, Hooks()), theirs, atol=1e-6)


@torch.no_grad()
def test_odd_sides_keep_their_size_and_no_sentence_is_zeros() -> None:
    network, x, said = filled(MEDIUM), torch.randn(1, 16, 7, 5), given()
    time = torch.tensor([500.0])
    zeros = replace(said, tensors={"pooled": torch.zeros(1, MEDIUM.vector)})
    out = network.predict(x, time, replace(said, tensors={}), Hooks())
    assert out.shape == x.shape
    assert torch.equal(out, network.predict(x, time, zeros, Hooks()))


@torch.no_grad()
def test_control_is_added_behind_every_block_even_one_that_is_skipped() -> None:
    network, x = filled(MEDIUM), torch.randn(1, 16, 4, 4)
    time, tokens = torch.tensor([500.0]), torch.randn(1, 4, MEDIUM.width)
    said = given()
    skipped = Hooks({"block.call": (lambda place, image, text, run: (image, text),)})
    for hooks in (Hooks(), skipped):
        plain = network.predict(x, time, said, hooks)
        for number in range(MEDIUM.depth):
            steered = network.predict(x, time, replace(said, control=Control({number: tokens})), hooks)
            assert not torch.allclose(steered, plain, atol=1e-3)


@torch.no_grad()
def test_hooks_see_each_block_and_each_attention_with_the_pictures_tokens() -> None:
    seen: list[Any] = []

    def block(place: Any, image: Any, text: Any, run: Any) -> Any:
        seen.append((place.block, place.index))
        return run(image, text)

    def attend(place: Any, q: Any, k: Any, v: Any, run: Any) -> Any:
        seen.append((place.image, q.shape[1]))
        return run(q, k, v)

    hooks = Hooks({"block.call": (block,), "attention.self.attend": (attend,)})
    filled(MEDIUM_35).predict(torch.randn(1, 16, 4, 6), torch.tensor([500.0]), given(), hooks)
    joint, alone = ((0, 6), 11), ((0, 6), 6)
    assert seen == [("double", 0), joint, alone, ("double", 1), joint, alone, ("double", 2), joint]
