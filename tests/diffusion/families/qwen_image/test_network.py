"""Qwen-Image told from others, its places, the pictures it looks at, and what hooks see."""

from typing import Any

import pytest
import torch
from torch import Tensor

from diffusion.conditioning import Entry
from diffusion.errors import Mismatch
from diffusion.families.detect import told
from diffusion.families.qwen_image.network import (
    QwenImage,
    QwenSizes,
    controlled,
    places,
    qwen_inputs,
    still,
)
from diffusion.hooks import Hooks
from diffusion.latents.latent_format import WAN
from diffusion.networks.backbone import Control, Inputs
from diffusion.networks.spots import Spot
from tests.diffusion.small_models import as_weights

SIZES = QwenSizes(width=128, in_channels=16, out_channels=16, text=12, depth=2)
TEXT = torch.linspace(-1, 1, 3 * 12).reshape(1, 3, 12)


@pytest.fixture(scope="module")
def network() -> QwenImage:
    """A small network with random weights."""
    torch.manual_seed(0)
    network = QwenImage(SIZES)
    weights = {name: torch.randn(each.shape) * 0.05 for name, each in network.state_dict().items()}
    network.load_state_dict(weights, assign=True)
    return network


def latent(height: int = 4, width: int = 6) -> Tensor:
    return torch.linspace(-1, 1, 16 * height * width).reshape(1, 16, 1, height, width)


@torch.no_grad()
def asked(network: QwenImage, x: Tensor | None = None, hooks: Hooks | None = None, **given: Any) -> Tensor:
    control = given.pop("control", None)
    x = latent() if x is None else x
    return network.predict(
        x, torch.full((len(x),), 0.6), Inputs(TEXT.expand(len(x), -1, -1), given, control), hooks or Hooks()
    )


def test_a_file_is_told_with_its_sizes(network: QwenImage) -> None:
    found = told(as_weights(network.state_dict()))
    assert found is not None
    assert (found.family.name, found.sizes) == ("qwen_image", SIZES)


class Setting:
    """What is asked of a run: its latent and the latent's format."""

    latent = latent()

    class model:  # stands for a value
        latent_format = WAN


def inputs(**options: Any) -> Any:
    return qwen_inputs(Entry(TEXT, options), "positive", Setting())  # type: ignore[arg-type]


def test_references_are_scaled_frame_by_frame_and_have_layers_unless_told_otherwise() -> None:
    clip = torch.randn(1, 16, 2, 4, 4)
    found = inputs(reference_latents=[clip])
    assert [each.shape for each in found["references"]] == [(1, 16, 4, 4)] * 2
    assert torch.equal(found["references"][1], WAN.into(clip)[:, :, 1])
    assert found["method"] == "index"
    assert inputs(reference_latents=[clip], reference_latents_method="uxo")["method"] == "offset"
    assert inputs() == {}


def test_places_count_from_the_middle_of_each_picture() -> None:
    placed = places(torch.zeros(1, 16, 6, 4), [torch.zeros(1, 16, 4, 4)], "index")
    assert placed == [Spot(3, 2, 0, -1, -1), Spot(2, 2, 1, -1, -1)]


def test_odd_sides_keep_their_size(network: QwenImage) -> None:
    assert asked(network, latent(5, 7)).shape == (1, 16, 1, 5, 7)


def test_a_reference_changes_the_result_and_not_its_size(network: QwenImage) -> None:
    reference = [torch.randn(1, 16, 3, 4)]
    plain, looked = asked(network), asked(network, references=reference, method="index")
    assert looked.shape == plain.shape
    assert not torch.allclose(plain, looked, atol=1e-4)
    moved = asked(network, references=reference * 2, method="offset")
    assert not torch.allclose(moved, asked(network, references=reference * 2, method="index"), atol=1e-5)


def test_what_stays_the_same_is_kept_over_the_steps(network: QwenImage) -> None:
    kept: dict[Any, Any] = {}
    with torch.no_grad():
        first, second = (
            network.predict(latent(), torch.tensor([0.6]), Inputs(TEXT, kept=kept), Hooks()) for _ in range(2)
        )
    assert torch.equal(first, second)
    assert torch.equal(first, asked(network))
    assert any(key[0] == "turns" for key in kept)


def test_control_is_added_behind_blocks_and_leaves_references_alone(network: QwenImage) -> None:
    added = {1: torch.randn(1, 6, 128)}
    found = controlled(Control(input=added), 2, 8)
    assert found is not None
    assert found[0] == 0.0
    assert isinstance(found[1], Tensor)
    assert found[1].shape == (1, 8, 128)
    assert found[1][:, 6:].abs().sum() == 0
    assert controlled(None, 2, 8) is None
    assert not torch.allclose(asked(network), asked(network, control=Control(input=added)), atol=1e-4)


def test_hooks_see_each_block(network: QwenImage) -> None:
    seen = []

    def watch(place: Any, image: Any, text: Any, run: Any) -> Any:
        seen.append((place.block, place.index, place.image))
        return run(image, text)

    asked(network, hooks=Hooks({"block.call": (watch,)}))
    assert seen == [("double", 0, (3, 9)), ("double", 1, (3, 9))]


def test_a_clip_is_refused() -> None:
    with pytest.raises(Mismatch, match="this latent has 3 frames"):
        still(torch.zeros(1, 16, 3, 4, 4))
