"""HiDream told from others, a picture to edit shown beside the latent, and blocks seen by hooks."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from diffusion.families.detect import told
from diffusion.families.hidream.network import HiDream, HiDreamSizes, channels_last_tokens, places
from diffusion.hooks import Hooks
from diffusion.networks.backbone import Inputs
from diffusion.weights.entries import Entry, Weights

SIZES = HiDreamSizes(
    width=128, in_channels=4, out_channels=4, text=12, llama=10, pooled=6, doubles=1, singles=2
)


@pytest.fixture(scope="module")
def network() -> HiDream:
    """A small network with random weights."""
    torch.manual_seed(0)
    network = HiDream(SIZES)
    weights = {name: torch.randn(each.shape) * 0.05 for name, each in network.state_dict().items()}
    network.load_state_dict(weights, assign=True)
    return network


def test_a_file_is_told_with_its_sizes(network: HiDream) -> None:
    entries = {n: Entry(tuple(t.shape), t.dtype, lambda t=t: t) for n, t in network.state_dict().items()}
    found = told(Weights(Path("hidream.safetensors"), entries))
    assert found is not None
    assert (found.family.name, found.sizes) == ("hidream", SIZES)


@torch.no_grad()
def asked(network: HiDream, x: Tensor, hooks: Hooks | None = None, llama: Tensor | None = None) -> Tensor:
    """The velocity at a latent, for a fixed text."""
    generator = torch.Generator().manual_seed(1)
    text, layers, pooled = (
        torch.randn(shape, generator=generator) for shape in ((1, 5, 12), (1, 32, 3, 10), (1, 6))
    )
    given = {"llama": layers if llama is None else llama, "pooled": pooled}
    return network.predict(x, torch.tensor([600.0]), Inputs(text, given), hooks or Hooks())


def test_places_count_from_the_upper_left_corner() -> None:
    assert places(2, 3, torch.device("cpu"))[0, 4].tolist() == [0, 1, 1]


@torch.no_grad()
def test_a_square_latent_gives_what_the_class_gives_that_patches_it_itself(network: HiDream) -> None:
    square = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(2))
    from_class = -network.called(
        hidden_states=square,
        timesteps=torch.tensor([600.0]),
        encoder_hidden_states_t5=torch.zeros(1, 5, 12),
        encoder_hidden_states_llama3=torch.zeros(32, 1, 3, 10),
        pooled_embeds=torch.zeros(1, 6),
        return_dict=False,
    )[0]
    given = {"llama": torch.zeros(1, 32, 3, 10), "pooled": torch.zeros(1, 6)}
    ours = network.predict(square, torch.tensor([600.0]), Inputs(torch.zeros(1, 5, 12), given), Hooks())
    assert torch.allclose(ours, from_class, atol=1e-5)


def test_odd_sides_keep_their_size_and_hooks_see_each_block(network: HiDream) -> None:
    seen = []

    def watch(place: Any, image: Any, text: Any, run: Any) -> Any:
        seen.append((place.block, place.index, place.image))
        return run(image, text)

    x = torch.randn(1, 4, 7, 5)
    assert asked(network, x, Hooks({"block.call": (watch,)})).shape == x.shape
    assert seen == [("double", 0, (0, 12)), ("single", 0, (0, 23)), ("single", 1, (0, 23))]


def test_a_picture_to_edit_stands_to_the_right(network: HiDream) -> None:
    x, picture = torch.randn(1, 4, 4, 6), torch.randn(1, 4, 4, 6)
    both = asked(network, torch.cat([x, picture], dim=1))
    beside = asked(network, torch.cat([x, picture], dim=-1))
    assert both.shape == x.shape
    assert torch.allclose(both, beside[..., :6], atol=1e-5)


def test_each_block_reads_its_own_layer_of_llama(network: HiDream) -> None:
    x, layers = torch.randn(1, 4, 4, 4), torch.randn(1, 32, 3, 10)
    plain = asked(network, x, llama=layers)
    for layer, counts in ((0, True), (2, True), (3, False), (31, False)):
        changed = layers.clone()
        changed[:, layer] += 1
        assert torch.equal(plain, asked(network, x, llama=changed)) is not counts


def test_tokens_have_channels_fastest() -> None:
    x = torch.arange(16.0).reshape(1, 2, 2, 4)
    assert channels_last_tokens(x)[0, 1].tolist() == [2, 10, 3, 11, 6, 14, 7, 15]
