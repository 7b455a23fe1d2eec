"""Qwen-Image's control networks: told with their sizes, shared out to blocks, and whom they refuse."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor

from diffusion.errors import Mismatch
from diffusion.families.qwen_image.control import (
    ControlSizes,
    Looking,
    QwenControl,
    control_network,
    control_sizes,
)
from diffusion.families.qwen_image.network import QwenSizes
from diffusion.latents.latent_format import WAN
from diffusion.networks.backbone import Inputs
from diffusion.residency.budget import Residency
from diffusion.residency.precision import Precision
from diffusion.weights.entries import Weights
from tests.diffusion.small_models import as_weights

PLAIN = ControlSizes(width=128, channels=16, text=12, depth=1, seen=64)
INPAINT = ControlSizes(width=128, channels=16, text=12, depth=2, seen=68)
MODEL = QwenSizes(width=128, in_channels=16, out_channels=16, text=12, depth=3)


def residency() -> Residency:
    """One in which nothing is held yet."""
    return Residency(Precision("fp32"), "cpu")


def file(sizes: ControlSizes) -> Weights:
    """A file of a network, which must be somewhere."""
    torch.manual_seed(0)
    shapes = {name: each.shape for name, each in QwenControl(sizes).state_dict().items()}
    tensors = {name: torch.randn(shape) * 0.1 for name, shape in shapes.items()}
    return Weights(Path(__file__), as_weights(tensors).entries)


def begun(sizes: ControlSizes, model: Any) -> Looking:
    network = control_network(file(sizes), residency())
    assert network is not None
    setting: Any = SimpleNamespace(
        model=SimpleNamespace(sizes=model, latent_format=WAN, family=SimpleNamespace(title="Another"))
    )

    class Hint:
        """A picture whose latent is that of nothing."""

        def like(self, x: Tensor) -> Tensor:
            return torch.ones(len(x), sizes.seen // 4, *x.shape[-2:])

    hint: Any = Hint()
    found = network.begin(hint, setting)
    assert isinstance(found, Looking)
    assert torch.equal(network.scaled(setting)(torch.ones(1, 16, 1, 2, 2)), WAN.into(torch.ones(1, 16, 2, 2)))
    return found


@pytest.mark.parametrize("sizes", [PLAIN, INPAINT])
def test_a_file_is_told_with_its_sizes_and_whether_it_takes_a_mask(sizes: ControlSizes) -> None:
    weights = file(sizes)
    assert control_sizes(weights) == sizes
    network = control_network(weights, residency())
    assert network is not None
    assert network.takes_mask is (sizes is INPAINT)
    assert control_network(as_weights({"txt_norm.weight": torch.ones(1)}), residency()) is None


def test_what_few_blocks_give_reaches_all_of_the_model() -> None:
    x, inputs = torch.randn(2, 16, 1, 5, 4), Inputs(torch.randn(2, 3, 12))
    with torch.no_grad():
        once = begun(PLAIN, MODEL)(x, torch.full((2,), 0.5), inputs, 1.0).input
        twice = begun(INPAINT, MODEL)(x, torch.full((2,), 0.5), inputs, 2.0).input
    assert once.keys() == twice.keys() == {0, 1, 2}
    assert once[0].shape == (2, 6, 128)
    assert once[0] is once[2]
    assert twice[0] is twice[1]
    assert not torch.equal(twice[1], twice[2])


@pytest.mark.parametrize(
    ("model", "words"), [(object(), "made for Qwen-Image"), (QwenSizes(256, 16, 16, 12, 1), "is 128 wide")]
)
def test_another_model_is_refused(model: Any, words: str) -> None:
    with pytest.raises(Mismatch, match=words):
        begun(PLAIN, model)
