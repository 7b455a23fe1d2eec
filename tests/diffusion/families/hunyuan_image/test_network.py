"""HunyuanImage told from others, told the next time of the schedule, and its letters and blocks."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor

from diffusion.conditioning import Entry as Line
from diffusion.families.detect import told
from diffusion.families.hunyuan_image.layout import LAYOUT
from diffusion.families.hunyuan_image.network import HunyuanImage, HunyuanImageSizes, hunyuan_image_inputs
from diffusion.hooks import Hooks
from diffusion.networks.backbone import Inputs
from diffusion.weights.entries import Entry, Weights

SIZES = HunyuanImageSizes(
    width=128,
    in_channels=4,
    out_channels=4,
    patch=(1, 1),
    text=12,
    doubles=1,
    singles=2,
    refiners=1,
    glyphs=(10, 14, 6),
    guidance=True,
    next_time=True,
)


def made(sizes: HunyuanImageSizes) -> HunyuanImage:
    """A small network with random weights."""
    torch.manual_seed(0)
    network = HunyuanImage(sizes)
    weights = {name: torch.randn(each.shape) * 0.05 for name, each in network.state_dict().items()}
    network.load_state_dict(weights, assign=True)
    return network


@pytest.fixture(scope="module")
def network() -> HunyuanImage:
    """The distilled version, small."""
    return made(SIZES)


@pytest.mark.parametrize(
    "sizes", [SIZES, replace(SIZES, guidance=False, next_time=False), replace(SIZES, glyphs=())]
)
def test_a_file_is_told_with_its_sizes_and_nothing_is_left_over(sizes: HunyuanImageSizes) -> None:
    state = made(sizes).state_dict()
    entries = {n: Entry(tuple(t.shape), t.dtype, lambda t=t: t) for n, t in state.items()}
    weights = Weights(Path("hunyuan.safetensors"), LAYOUT.written(entries))
    found = told(weights)
    assert found is not None
    assert (found.family.name, found.sizes) == ("hunyuan_image", sizes)
    assert LAYOUT.left_over(weights, {n: tuple(t.shape) for n, t in state.items()}) == []


@torch.no_grad()
def asked(network: HunyuanImage, x: Tensor, **given: Any) -> Tensor:
    """The velocity at a latent, for a fixed text."""
    text = torch.linspace(-1, 1, 60).reshape(1, 5, 12)
    hooks, call = given.pop("hooks", Hooks()), given.pop("call", {})
    tensors = {"guidance": torch.tensor([6.0]), **given}
    return network.predict(x, torch.tensor([600.0]), Inputs(text, tensors, call=call), hooks)


def test_the_next_time_counts_where_the_schedule_holds_the_level(network: HunyuanImage) -> None:
    x = torch.randn(1, 4, 3, 5)
    schedule = torch.tensor([1.0, 0.6, 0.2, 0.0])
    at = asked(network, x, call={"schedule": schedule, "sigmas": torch.tensor([0.6])})
    between = asked(network, x, call={"schedule": schedule, "sigmas": torch.tensor([0.5])})
    assert not torch.equal(at, between)
    assert torch.equal(between, asked(network, x))
    other = torch.tensor([1.0, 0.6, 0.4, 0.0])
    assert not torch.equal(at, asked(network, x, call={"schedule": other, "sigmas": torch.tensor([0.6])}))


def test_letters_and_guidance_count(network: HunyuanImage) -> None:
    x = torch.randn(1, 4, 3, 5)
    plain = asked(network, x)
    assert plain.shape == x.shape
    assert not torch.equal(plain, asked(network, x, glyphs=torch.randn(1, 4, 10)))
    assert not torch.equal(plain, asked(network, x, guidance=torch.tensor([3.0])))


def test_hooks_see_each_block_with_the_picture_first(network: HunyuanImage) -> None:
    seen = []

    def watch(place: Any, image: Any, text: Any, run: Any) -> Any:
        seen.append((place.block, place.index, place.image))
        return run(image, text)

    asked(network, torch.randn(1, 4, 3, 5), hooks=Hooks({"block.call": (watch,)}))
    assert seen == [("double", 0, (0, 15)), ("single", 0, (0, 15)), ("single", 1, (0, 15))]


def test_half_precision_keeps_the_time_exact(network: HunyuanImage) -> None:
    x = torch.randn(1, 4, 3, 5)
    exact = asked(network, x)
    half = asked(made(SIZES).to(torch.bfloat16), x).float()
    assert (half - exact).abs().max() < 0.1 * exact.abs().max()


def given(**options: Any) -> Any:
    """The inputs for an entry with these options."""
    setting: Any = SimpleNamespace(latent=torch.zeros(2, 4, 3, 5), model=SimpleNamespace(sizes=SIZES))
    return hunyuan_image_inputs(Line(torch.zeros(1, 2, 12), options), "positive", setting)


def test_options_become_inputs_and_a_mask_of_ones_is_left_out() -> None:
    assert given()["guidance"].tolist() == [6, 6]
    found = given(conditioning_byt5small=torch.ones(1, 4, 10), guidance=3.0, attention_mask=torch.ones(1, 2))
    assert set(found) == {"glyphs", "guidance"}
    assert found["guidance"].tolist() == [3, 3]
    assert "attention_mask" in given(attention_mask=torch.tensor([[1, 0]]))
