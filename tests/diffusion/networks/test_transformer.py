"""The spatial transformer treats positions alike, adds to what it is given, and gates its feed-forward."""

import pytest
import torch
from torch.nn import functional as F

from diffusion.hooks import Hooks, Place
from diffusion.networks.transformer import GatedLinear, SpatialTransformer, Visit
from tests.diffusion.small_models import seeded

PLACES = [Place("input", 1, number, number, heads=2, head_channels=8) for number in range(2)]
QUIET = Visit(Hooks(), {}, (6, 4))


def transformer(linear: bool) -> SpatialTransformer:
    return seeded(lambda: SpatialTransformer(PLACES, 16, 12, linear, norm_groups=4, itself=True))


@pytest.mark.parametrize("linear", [True, False])
def test_positions_carry_no_meaning_of_their_own(linear: bool) -> None:
    """Moving the positions moves the result with them."""
    layer = transformer(linear)
    x, context = torch.randn(2, 16, 6, 4), torch.randn(2, 3, 12)
    flipped = layer(x.flip(2, 3), context, QUIET).flip(2, 3)
    assert torch.allclose(flipped, layer(x, context, QUIET), atol=1e-5)


def test_linear_and_convolutional_projections_are_the_same_arithmetic() -> None:
    one, other = transformer(True), transformer(False)
    tensors = one.state_dict()
    for name in ("proj_in.weight", "proj_out.weight"):
        tensors[name] = tensors[name][:, :, None, None]
    other.load_state_dict(tensors)
    x, context = torch.randn(2, 16, 6, 4), torch.randn(2, 3, 12)
    assert torch.allclose(one(x, context, QUIET), other(x, context, QUIET), atol=1e-5)


def test_it_adds_to_what_it_is_given() -> None:
    layer = transformer(True)
    layer.proj_out.weight.zero_()  # type: ignore[operator]
    layer.proj_out.bias.zero_()  # type: ignore[operator]
    x = torch.randn(2, 16, 6, 4)
    assert torch.equal(layer(x, torch.randn(2, 3, 12), QUIET), x)


def test_the_gate_is_a_gelu_of_the_second_half() -> None:
    layer = seeded(lambda: GatedLinear(4, 3))
    x = torch.randn(2, 4)
    value, gate = layer.proj(x)[:, :3], layer.proj(x)[:, 3:]
    assert torch.allclose(layer(x), value * F.gelu(gate))
