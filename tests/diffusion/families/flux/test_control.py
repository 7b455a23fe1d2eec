"""FLUX's control networks: told apart, shared out to blocks, and what they cannot do without."""

from typing import Any

import pytest
import torch
from torch import Tensor

from diffusion.conditioning import Setting
from diffusion.errors import Mismatch
from diffusion.families.flux import control
from diffusion.families.flux.control import (
    ControlSizes,
    FluxControl,
    FluxControlNet,
    control_network,
    cycled,
    in_a_row,
    of_latents,
    of_mistoline,
    of_xlabs,
)
from diffusion.networks.backbone import Inputs
from diffusion.residency.budget import Residency
from diffusion.residency.precision import Precision
from diffusion.weights.entries import Weights
from tests.diffusion.small_models import as_weights
from tests.diffusion.small_runs import small_model

ENDS: dict[str, Any] = {"width": 128, "channels": 16, "text": 12, "vector": 8, "guidance": True}
HINT = ((3, 4, 3), (4, 4, 3), (4, 16, 3))
LATENT = ControlSizes(**ENDS, doubles=2, singles=1, seen=64)
UNION = ControlSizes(**ENDS, doubles=1, singles=1, seen=64, modes=10)
INPAINT = ControlSizes(**ENDS, doubles=1, singles=0, seen=68)
PIXELS = {"seen": 64, "convolutions": HINT, "cycled": True}
XLABS = ControlSizes(**ENDS, doubles=2, singles=0, halving=(2, 4, 6), **PIXELS)
MISTOLINE = ControlSizes(**ENDS, doubles=1, singles=1, halving=(3, 5, 7), smooth=True, **PIXELS)


def tensors(sizes: ControlSizes) -> dict[str, Tensor]:
    torch.manual_seed(0)
    shapes = {name: each.shape for name, each in FluxControl(sizes).state_dict().items()}
    return {name: torch.randn(shape) * 0.1 for name, shape in shapes.items()}


def file(sizes: ControlSizes) -> Weights:
    """A file of a network, under the names that such files have."""
    weights = as_weights(tensors(sizes))
    if not sizes.convolutions:
        return weights
    layout = control.MISTOLINE if sizes.smooth else control.XLABS
    return weights.having(layout.written(weights))


@pytest.mark.parametrize(
    ("sizes", "sort"),
    [
        (LATENT, of_latents),
        (UNION, of_latents),
        (INPAINT, of_latents),
        (XLABS, of_xlabs),
        (MISTOLINE, of_mistoline),
    ],
)
def test_each_sort_is_told_with_its_sizes(sizes: ControlSizes, sort: Any) -> None:
    weights = file(sizes)
    for other in (of_latents, of_xlabs, of_mistoline):
        found = other(weights)
        assert (found is not None) == (other is sort)
        if found is not None:
            assert found[0] == sizes


def test_what_is_no_control_network_of_flux_is_left_to_others() -> None:
    weights = as_weights({"input_blocks.0.0.weight": torch.zeros(4, 4, 3, 3)})
    assert control_network(weights, Residency(Precision("fp32"), "cpu")) is None


def test_what_few_blocks_give_goes_to_many_in_a_row_or_in_turn() -> None:
    given = [torch.tensor(float(n)) for n in range(2)]
    assert [int(each) for each in in_a_row(given, 5).values()] == [0, 0, 0, 1, 1]
    assert [int(each) for each in cycled(given, 5).values()] == [0, 1, 0, 1, 0]
    assert in_a_row([], 5) == cycled([], 5) == {}


@torch.no_grad()
def test_a_network_gives_tokens_for_each_of_its_blocks() -> None:
    network = FluxControl(UNION)
    network.load_state_dict(tensors(UNION), assign=True)
    inputs = Inputs(torch.randn(1, 3, 12), {"guidance": torch.tensor([3.5]), "pooled": torch.randn(1, 8)})
    x, seen = torch.randn(1, 16, 3, 6), torch.randn(1, 6, 64)
    found = {}
    for mode in (None, 0, 4):
        doubles, singles = network.added(x, torch.tensor([0.5]), inputs, seen, mode)
        assert [each.shape for each in (*doubles, *singles)] == [(1, 6, 128)] * 2
        found[mode] = doubles[0]
    assert not torch.allclose(found[0], found[4])
    assert not torch.allclose(found[None], found[0])


def net(sizes: ControlSizes) -> FluxControlNet:
    return FluxControlNet(None, sizes)  # type: ignore[arg-type]


def test_a_model_of_another_family_is_refused_by_name() -> None:
    with pytest.raises(Mismatch, match="is for FLUX, and the model is Stable Diffusion"):
        net(XLABS).started(torch.zeros(1, 3, 8, 8), Setting(small_model(), torch.zeros(1, 4, 8, 8)))


def test_only_a_network_for_inpainting_takes_a_mask() -> None:
    picture, kept = torch.ones(1, 4, 4, 3), torch.tensor([0.2, 0.8]).repeat(1, 4, 2)
    assert net(LATENT).masked(picture, kept) is picture
    masked = net(INPAINT).masked(picture, kept)
    assert torch.equal(masked[..., 3], kept)
    assert masked[0, 0, :, 0].tolist() == [0, 1, 0, 1]
