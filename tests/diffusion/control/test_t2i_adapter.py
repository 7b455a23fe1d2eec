"""T2I adapters: features and their places in the UNet, against diffusers' own."""

import re
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import T2IAdapter as TheirAdapter
from diffusers import UNet2DConditionModel
from safetensors.torch import save_file
from torch import Tensor

from diffusion.conditioning import Setting
from diffusion.control.control_files import load_controlnet
from diffusion.control.t2i_adapter import T2IAdapter, levels
from diffusion.errors import UnknownModel
from diffusion.families.checkpoints import load_unet
from diffusion.guidance.guidance import BasicGuider
from diffusion.networks.backbone import Inputs
from diffusion.networks.unet import UNetSizes
from diffusion.residency.budget import Residency
from diffusion.residency.precision import Precision
from diffusion.samplers import SAMPLERS
from diffusion.sampling import sample, schedule
from tests.diffusion.small_models import METADATA, seeded
from tests.diffusion.small_runs import noise, small_model

RESIDENCY = Precision("fp32"), "cpu"


def theirs(kind: str, channels: int = 3, fold: int = 8, blocks: int = 2) -> TheirAdapter:
    """One of diffusers' adapters, small."""
    widths = [8, 16, 24] if kind == "light_adapter" else [8, 16, 24, 24]
    return seeded(lambda: TheirAdapter(channels, widths, blocks, fold, kind), 2)


def original(name: str) -> str:
    """One of diffusers' names in the adapters' first layout."""
    name = name.removeprefix("adapter.")
    whole = re.match(r"body\.(\d)\.resnets\.(\d)\.(.*)", name)
    if whole:
        return f"body.{2 * int(whole[1]) + int(whole[2])}.{whole[3]}"
    entry = re.match(r"body\.(\d)\.in_conv\.(.*)", name)
    return f"body.{2 * int(entry[1])}.in_conv.{entry[2]}" if entry else name


def loaded(path: Path, tensors: dict[str, Tensor]) -> T2IAdapter:
    """The adapter of a file with these tensors."""
    save_file(tensors, path)
    net = load_controlnet(path, Residency(*RESIDENCY))
    assert isinstance(net, T2IAdapter)
    return net


@pytest.mark.parametrize("layout", ["diffusers", "original"])
@pytest.mark.parametrize(
    ("kind", "channels", "fold", "blocks"),
    [
        ("full_adapter", 3, 8, 2),
        ("full_adapter", 1, 8, 2),
        ("full_adapter_xl", 3, 16, 2),
        ("full_adapter_xl", 1, 16, 2),
        ("light_adapter", 3, 8, 4),
        ("light_adapter", 1, 8, 3),
    ],
)
def test_features_agree_with_diffusers(
    tmp_path: Path, kind: str, channels: int, fold: int, blocks: int, layout: str
) -> None:
    adapter = theirs(kind, channels, fold, blocks)
    names: dict[str, str] = {name: name for name in adapter.state_dict()}
    if layout == "original":
        light = kind == "light_adapter"
        names = {
            n: n.removeprefix("adapter.").replace(".resnets.", ".body.") if light else original(n)
            for n in names
        }
    net = loaded(tmp_path / "a.safetensors", {names[n]: t for n, t in adapter.state_dict().items()})
    picture = torch.rand(1, 3, 96, 160, generator=torch.Generator().manual_seed(0))
    with net.resident.use() as module, torch.no_grad():
        ours = module(picture)
        expected = adapter(picture if channels == 3 else picture.mean(1, keepdim=True))
    for mine, other in zip(ours, expected, strict=True):
        torch.testing.assert_close(mine, other, rtol=1e-4, atol=1e-4)


SD = {
    "block_out_channels": (8, 16, 24, 24), "layers_per_block": 2,
    "down_block_types": ("CrossAttnDownBlock2D",) * 3 + ("DownBlock2D",),
    "up_block_types": ("UpBlock2D",) + ("CrossAttnUpBlock2D",) * 3,
}  # fmt: skip
XL = {
    "block_out_channels": (8, 16, 24), "layers_per_block": 2, "transformer_layers_per_block": (1, 1, 2),
    "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
    "up_block_types": ("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
}  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "fold", "shape"),
    [("full_adapter", 8, SD), ("light_adapter", 8, SD), ("full_adapter_xl", 16, XL)],
)
def test_the_network_with_an_adapter_agrees_with_diffusers(
    tmp_path: Path, kind: str, fold: int, shape: dict[str, Any]
) -> None:
    common: dict[str, Any] = {"cross_attention_dim": 64, "attention_head_dim": 4, "norm_num_groups": 4}
    unet = seeded(lambda: UNet2DConditionModel(**common, **shape), 1)
    save_file(unet.state_dict(), tmp_path / "u.safetensors", {**METADATA, "nodeloom.unet.norm_groups": "4"})
    model = load_unet(tmp_path / "u.safetensors", Residency(*RESIDENCY))
    adapter = theirs(kind, 3, fold)
    net = loaded(tmp_path / "a.safetensors", adapter.state_dict())
    picture = torch.rand(1, 3, 128, 128, generator=torch.Generator().manual_seed(0))
    x, words, times = noise(1, 4, 16, 16), noise(1, 7, 64, seed=1), torch.tensor([500.0])

    control = net.applied(picture.movedim(1, -1), 30.0, 0.0, 1.0).for_run(Setting(model, torch.zeros_like(x)))
    added = control(x, torch.tensor([5.0]), times, Inputs(words))
    with model.backbone.use() as ours, torch.no_grad():
        features = [30.0 * each for each in adapter(picture)]
        expected = unet(x, times, words, down_intrablock_additional_residuals=features).sample
        torch.testing.assert_close(ours(x, times, words, control=added), expected, rtol=1e-3, atol=1e-4)
        assert not torch.allclose(ours(x, times, words), expected, atol=1e-2)


def test_features_stand_where_the_levels_end() -> None:
    assert levels(UNetSizes()) == [2, 5, 8, 11]
    assert levels(UNetSizes.even((1, 2, 4), (0, 2, 10))) == [3, 5, 8]


def run(
    net: T2IAdapter | None, strength: float = 1.0, span: tuple[float, float] = (0, 1), rows: int = 1
) -> Tensor:
    """A short run with an adapter."""
    model = small_model()
    picture = torch.rand(1, 64, 64, 3, generator=torch.Generator().manual_seed(0))
    options = {"control": net.applied(picture, strength, *span)} if net else {}
    guider = BasicGuider(model, [[noise(1, 7, 64, seed=1), options]])
    sigmas = schedule(model.prediction, "normal", 3)
    start = noise(1, 4, 8, 8).repeat(rows, 1, 1, 1)
    return sample(guider, start, torch.zeros(rows, 4, 8, 8), SAMPLERS["euler"], sigmas).latent


def test_strength_span_and_batch(tmp_path: Path) -> None:
    widths = [32, 64]
    adapter = seeded(lambda: TheirAdapter(3, widths, 2, 8, "full_adapter"), 2)
    net = loaded(tmp_path / "a.safetensors", adapter.state_dict())
    plain, full = run(None), run(net)
    assert not torch.allclose(full, plain, atol=1e-2)
    torch.testing.assert_close(run(net, 0.0), plain)
    torch.testing.assert_close(run(net, span=(1.0, 1.0)), plain)
    torch.testing.assert_close(run(net, rows=2)[:1], full, rtol=1e-3, atol=1e-3)


def test_a_file_that_takes_no_picture_is_named(tmp_path: Path) -> None:
    tensors = {**theirs("full_adapter").state_dict(), "adapter.conv_in.weight": torch.zeros(8, 5, 3, 3)}
    save_file(tensors, tmp_path / "odd.safetensors")
    with pytest.raises(UnknownModel, match=r"odd.safetensors: Its T2I adapter takes no picture"):
        load_controlnet(tmp_path / "odd.safetensors")
