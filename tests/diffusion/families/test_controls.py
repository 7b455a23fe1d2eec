"""Control networks of every family are told by their own tensors."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from diffusion.control.controlnet import ControlNet, ControlUNet
from diffusion.errors import UnknownModel
from diffusion.families.controls import load_control
from diffusion.families.flux.control import ControlSizes, FluxControl, FluxControlNet
from diffusion.residency.budget import Residency
from diffusion.residency.precision import Precision
from tests.diffusion.small_models import METADATA, SD1, prefixed, seeded

HINTS = [(3, 8), (8, 8), (8, 16), (16, 16), (16, 24), (24, 24), (24, 28), (28, 32)]


@pytest.fixture
def residency() -> Residency:
    return Residency(Precision("fp32"), "cpu")


def test_a_familys_own_network_is_found_first(residency: Residency, tmp_path: Path) -> None:
    sizes = ControlSizes(128, 16, 12, 8, doubles=1, singles=1, guidance=True, seen=64)
    shapes = {name: each.shape for name, each in FluxControl(sizes).state_dict().items()}
    save_file({name: torch.zeros(shape) for name, shape in shapes.items()}, tmp_path / "net.safetensors")
    found = load_control(tmp_path / "net.safetensors", residency)
    assert isinstance(found, FluxControlNet)
    assert found.sizes == sizes


def test_others_are_those_of_unets(residency: Residency, tmp_path: Path) -> None:
    net = prefixed("", seeded(lambda: ControlUNet(SD1, HINTS), 4))
    save_file(net, tmp_path / "net.safetensors", METADATA)
    assert isinstance(load_control(tmp_path / "net.safetensors", residency), ControlNet)


def test_what_is_no_control_network_is_refused(residency: Residency, tmp_path: Path) -> None:
    save_file({"strange.weight": torch.zeros(2)}, tmp_path / "net.safetensors")
    with pytest.raises(UnknownModel, match="No ControlNet"):
        load_control(tmp_path / "net.safetensors", residency)
