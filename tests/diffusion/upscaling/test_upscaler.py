"""Networks that enlarge pictures."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from diffusion.errors import UnknownModel
from diffusion.residency.budget import Residency
from diffusion.residency.precision import Precision
from diffusion.upscaling import upscaler
from diffusion.upscaling.upscaler import load_upscaler
from diffusion.upscaling.upscaler_networks import RRDB, Compact
from tests.diffusion.small_models import seeded

SMALL = {"channels": 8, "growth": 4, "blocks": 2, "colours": 3}


def network(doublings: int = 2, folded: int = 1) -> RRDB:
    """A small network, its weights those of half precision."""
    module = seeded(lambda: RRDB(**SMALL, doublings=doublings, folded=folded), 2)
    for parameter in module.parameters():
        parameter.copy_(parameter.half().float() * 0.5)
    return module


def old_name(name: str) -> str:
    """A name of Real-ESRGAN as ESRGAN wrote it, for two doublings."""
    if name.startswith("body."):
        _, block, dense, layer, kind = name.split(".")
        return f"model.1.sub.{block}.RDB{dense[3]}.conv{layer[4]}.0.{kind}"
    layer, kind = name.rsplit(".", 1)
    places = {"conv_first": "0", "conv_body": "1.sub.2", "conv_up1": "3", "conv_up2": "6"}
    places |= {"conv_hr": "8", "conv_last": "10"}
    return f"model.{places[layer]}.{kind}"


def bsrgan_name(name: str) -> str:
    """A name of Real-ESRGAN as BSRGAN wrote it."""
    for ours, theirs in (("body.", "RRDB_trunk."), (".rdb", ".RDB"), ("conv_up", "upconv")):
        name = name.replace(ours, theirs)
    return name.replace("conv_hr", "HRconv").replace("conv_RRDB_trunk", "trunk_conv")


LAYOUTS: dict[str, Callable[[str], str]] = {
    "bare": lambda name: name,
    "params": lambda name: f"params.{name}",
    "averaged": lambda name: f"params_ema.{name}",
    "old": old_name,
    "bsrgan": bsrgan_name,
}


def image(height: int = 5, width: int = 7) -> Tensor:
    """A random picture, 2×height×width×3."""
    return torch.rand(2, height, width, 3, generator=torch.Generator().manual_seed(0))


def enlarged(module: nn.Module, pixels: Tensor) -> Tensor:
    """What the module makes of pictures."""
    with torch.no_grad():
        return module(pixels.movedim(-1, 1)).movedim(1, -1).clamp(0, 1)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_gives_the_same_picture(tmp_path: Path, layout: str) -> None:
    module = network()
    tensors = {LAYOUTS[layout](name): each for name, each in module.state_dict().items()}
    save_file(tensors, tmp_path / "u.safetensors")
    loaded = load_upscaler(tmp_path / "u.safetensors", Residency(Precision("fp32"), "cpu"))
    assert loaded.scale == 4
    torch.testing.assert_close(loaded.enlarged(image()), enlarged(module, image()))


@pytest.mark.parametrize(("doublings", "folded", "scale"), [(1, 1, 2), (2, 2, 2), (2, 4, 1), (3, 1, 8)])
def test_the_scale_is_read_off_the_file(tmp_path: Path, doublings: int, folded: int, scale: int) -> None:
    module = network(doublings, folded)
    assert module.scale == scale
    save_file(module.state_dict(), tmp_path / "u.safetensors")
    loaded = load_upscaler(tmp_path / "u.safetensors", Residency(Precision("fp32"), "cpu"))
    assert loaded.scale == scale
    for height, width in ((8, 4), (7, 5), (1, 1)):
        assert loaded.enlarged(image(height, width)).shape == (2, height * scale, width * scale, 3)


@pytest.mark.parametrize("scale", [1, 2, 4])
@pytest.mark.parametrize("wrapping", ["", "params.", "params_ema."])
def test_a_compact_network_is_recognised(tmp_path: Path, wrapping: str, scale: int) -> None:
    module = seeded(lambda: Compact(3, 8, 4, scale), 2)
    for parameter in module.parameters():
        parameter.copy_(parameter.half().float())
    save_file({f"{wrapping}{name}": t for name, t in module.state_dict().items()}, tmp_path / "u.safetensors")
    loaded = load_upscaler(tmp_path / "u.safetensors", Residency(Precision("fp32"), "cpu"))
    assert loaded.scale == scale
    torch.testing.assert_close(loaded.enlarged(image()), enlarged(module, image()))


def test_a_compact_network_of_no_weights_enlarges_by_repeating() -> None:
    module = Compact(3, 8, 2, 2).requires_grad_(False)
    for parameter in module.parameters():
        parameter.zero_()
    picture = image().movedim(-1, 1)
    assert torch.equal(module(picture), picture.repeat_interleave(2, 2).repeat_interleave(2, 3))


def test_a_network_with_unknown_layers_is_not_taken_for_a_known_one(tmp_path: Path) -> None:
    tensors = network().state_dict() | {"body.0.rdb1.conv1x1.weight": torch.zeros(4, 8, 1, 1)}
    save_file(tensors, tmp_path / "u.safetensors")
    with pytest.raises(UnknownModel, match=r"such as body\.0\.rdb1\.conv1x1\.weight"):
        load_upscaler(tmp_path / "u.safetensors")


def test_tiles_join_without_a_seam(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = network(1)
    save_file(module.state_dict(), tmp_path / "u.safetensors")
    loaded = load_upscaler(tmp_path / "u.safetensors", Residency(Precision("fp32"), "cpu"))
    pixels = image(60, 70)
    whole = loaded.enlarged(pixels)
    monkeypatch.setattr(upscaler, "TILE", 48)
    monkeypatch.setattr(upscaler, "SMALLEST_TILE", 48)
    tiled = loaded.enlarged(pixels)
    assert tiled.shape == whole.shape
    torch.testing.assert_close(tiled, whole, rtol=0, atol=0.02)


def test_a_file_of_another_kind_is_named(tmp_path: Path) -> None:
    save_file({"x": torch.zeros(1)}, tmp_path / "x.safetensors")
    with pytest.raises(UnknownModel, match=r"x.safetensors: It is no upscaler of a known kind"):
        load_upscaler(tmp_path / "x.safetensors")
