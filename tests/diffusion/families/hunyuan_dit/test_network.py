"""HunyuanDiT told from others, texts of any length, and blocks seen by hooks."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from diffusion.families.detect import told
from diffusion.families.hunyuan_dit.layout import LAYOUT
from diffusion.families.hunyuan_dit.network import HunyuanDiT, HunyuanDiTSizes, filled, turned
from diffusion.hooks import Hooks
from diffusion.networks.backbone import Inputs
from diffusion.weights.entries import Entry, Weights

SIZES = HunyuanDiTSizes(width=88, in_channels=4, text=12, mt5=16, pooled=6, hidden=40, layers=4, styled=False)


def made(sizes: HunyuanDiTSizes) -> HunyuanDiT:
    """A small network with random weights."""
    torch.manual_seed(0)
    network = HunyuanDiT(sizes)
    weights = {name: torch.randn(each.shape) * 0.05 for name, each in network.state_dict().items()}
    network.load_state_dict(weights, assign=True)
    return network


@pytest.fixture(scope="module")
def network() -> HunyuanDiT:
    """Version 1.2, small."""
    return made(SIZES)


@pytest.mark.parametrize(("styled", "name"), [(False, "hunyuan_dit"), (True, "hunyuan_dit_11")])
def test_both_versions_are_told_with_their_sizes_and_clocks(styled: bool, name: str) -> None:
    sizes = replace(SIZES, styled=styled)
    state = made(sizes).state_dict()
    entries = {n: Entry(tuple(t.shape), t.dtype, lambda t=t: t) for n, t in state.items()}
    weights = Weights(Path("hunyuan.safetensors"), LAYOUT.written(entries))
    found = told(weights)
    assert found is not None
    assert (found.family.name, found.sizes) == (name, sizes)
    assert LAYOUT.left_over(weights, {n: tuple(t.shape) for n, t in state.items()}) == []
    most = found.family.prediction(weights, sizes).sigma_max
    assert most == pytest.approx(419.88 if styled else 45.38, rel=1e-3)


@torch.no_grad()
def asked(network: HunyuanDiT, x: Tensor, bert: Tensor, mt5: Tensor, **given: Any) -> Tensor:
    """v at a latent."""
    hooks = given.pop("hooks", Hooks())
    return network.predict(x, torch.tensor([600.0]), Inputs(bert, {"mt5": mt5, **given}), hooks)


def texts(bert: int = 77, mt5: int = 256) -> tuple[Tensor, Tensor]:
    """Texts of both encoders."""
    return torch.randn(1, bert, 12), torch.randn(1, mt5, 16)


def test_what_stands_under_the_mask_changes_nothing(network: HunyuanDiT) -> None:
    x, (bert, mt5) = torch.randn(1, 4, 4, 4), texts()
    mask = torch.ones(1, 77)
    mask[:, 5:] = 0
    other = bert.clone()
    other[:, 5:] += 1
    assert torch.equal(asked(network, x, bert, mt5, mask=mask), asked(network, x, other, mt5, mask=mask))
    assert not torch.equal(asked(network, x, bert, mt5), asked(network, x, other, mt5))


def test_texts_longer_than_the_padding_count_wholly(network: HunyuanDiT) -> None:
    x, (bert, mt5) = torch.randn(1, 4, 4, 4), texts(79, 260)
    before = asked(network, x, bert, mt5)
    changed = bert.clone()
    changed[:, 0] += 1
    assert not torch.equal(before, asked(network, x, changed, mt5))
    changed = mt5.clone()
    changed[:, 259] += 1
    assert not torch.equal(before, asked(network, x, bert, changed))
    short = texts()
    assert asked(network, x, *short).shape == x.shape  # the padding is as it was


def test_masks_are_of_the_last_words_and_short_texts_are_filled() -> None:
    text, mask = filled(torch.ones(1, 4, 2), torch.tensor([[0, 0, 1, 0]]), 3)
    assert text.shape == (1, 4, 2)
    assert mask.tolist() == [[True, False, True, False]]
    text, mask = filled(torch.ones(2, 2, 2), None, 3)
    assert text[:, 2].abs().sum() == 0
    assert mask.tolist() == [[True, True, False]] * 2


def test_the_list_named_blocks_is_found_though_our_own_attribute_is_called_so(network: HunyuanDiT) -> None:
    assert network.get_submodule("blocks.1") is network.network.blocks[1]  # type: ignore[index]
    assert network.get_submodule("") is network


def test_a_long_side_spans_the_grid_and_columns_turn_first() -> None:
    cosines, sines = turned(2, 4, torch.device("cpu"))
    angles = torch.atan2(sines, cosines).reshape(2, 4, 88)
    places = torch.tensor([0.0, 8, 16, 24])
    assert torch.allclose(angles[0, :, 0].cos(), places.cos(), atol=1e-5)
    assert torch.allclose(angles[:, 0, 44].cos(), torch.tensor([8.0, 16]).cos(), atol=1e-5)
    assert torch.equal(cosines[:, 0], cosines[:, 1])


def test_odd_sides_keep_their_size_and_hooks_see_each_block(network: HunyuanDiT) -> None:
    seen = []

    def watch(place: Any, image: Any, text: Any, run: Any) -> Any:
        seen.append((place.block, place.index, place.image))
        return run(image, text)

    x = torch.randn(1, 4, 7, 5)
    hooks = Hooks({"block.call": (watch,)})
    assert asked(network, x, *texts(), hooks=hooks).shape == x.shape
    assert seen == [("double", index, (0, 12)) for index in range(4)]


def test_half_precision_keeps_the_time_exact(network: HunyuanDiT) -> None:
    x, both = torch.randn(1, 4, 4, 4), texts()
    exact = asked(network, x, *both)
    half = made(SIZES).to(torch.bfloat16)
    assert (asked(half, x, *both).float() - exact).abs().max() < 0.1 * exact.abs().max()
