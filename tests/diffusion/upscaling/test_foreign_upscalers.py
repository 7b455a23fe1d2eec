"""Upscaling networks that spandrel knows: with the package where it imports, and with a stand-in for it."""

import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from diffusion.errors import FileProblem, UnknownModel
from diffusion.residency.budget import Residency
from diffusion.residency.precision import Precision
from diffusion.upscaling import upscaler
from diffusion.upscaling.foreign_upscalers import Unavailable, spandrel
from diffusion.upscaling.upscaler import load_upscaler
from tests.diffusion.small_models import seeded


@pytest.fixture
def package() -> Any:
    """The real package; where it does not import, the test is skipped, with the reason."""
    try:
        return spandrel()
    except Unavailable as error:
        pytest.skip(str(error))


def pictures(height: int = 20, width: int = 28) -> Tensor:
    """Random pictures that change slowly, 2×height×width×3."""
    coarse = torch.rand(2, 3, 5, 7, generator=torch.Generator().manual_seed(0))
    size = (height, width)
    return nn.functional.interpolate(coarse, size, mode="bilinear", align_corners=True).movedim(1, -1)


def on_processor(policy: Any = "fp32") -> Residency:
    """Weights on the processor."""
    return Residency(Precision(policy), "cpu")


# With a stand-in: a package of the same few names, whose one network doubles pictures


class Doubling(nn.Module):
    """A network that makes trouble: a buffer that files lack, one of whole numbers, an input written to."""

    def __init__(self) -> None:
        super().__init__()
        self.mix = nn.Linear(3, 3)
        self.register_buffer("order", torch.tensor([2, 0, 1]))
        self.register_buffer("brightness", torch.tensor(0.5), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        x *= 2  # RCAN does
        mixed = self.mix(x.movedim(1, -1)).movedim(-1, 1)[:, self.get_buffer("order")]
        return nn.functional.interpolate(mixed * self.get_buffer("brightness"), scale_factor=2.0)


class Described:
    """What spandrel says of a network."""

    scale = 2
    architecture = SimpleNamespace(name="Doubling")

    def __init__(self, model: nn.Module, channels: int = 3) -> None:
        self.model = model
        self.input_channels = self.output_channels = channels

    def eval(self) -> "Described":
        """For use, not for training."""
        self.model.eval()
        return self

    @torch.inference_mode()
    def __call__(self, image: Tensor) -> Tensor:
        """A picture larger."""
        found: Tensor = self.model(image)
        return found.clamp_(0, 1)


class Masked:
    """A network that also wants a mask."""

    architecture = SimpleNamespace(name="Filling")


class Unsupported(Exception):
    """spandrel knows no such network."""


def stand_in(describe: Callable[[nn.Module], Any] = Described) -> ModuleType:
    """A package that knows `Doubling` by its tensors."""

    class Loader:
        def __init__(self, device: str) -> None:
            assert device == "cpu"

        def load_from_state_dict(self, tensors: dict[str, Tensor]) -> Any:
            assert all(type(each) is Tensor for each in tensors.values())
            if "mix.weight" not in tensors:
                raise Unsupported
            model = Doubling()
            model.load_state_dict(tensors)
            return describe(model)

    module = ModuleType("spandrel")
    vars(module).update(ModelLoader=Loader, UnsupportedModelError=Unsupported, ImageModelDescriptor=Described)
    return module


@pytest.fixture
def doubling(tmp_path: Path) -> tuple[Doubling, Path]:
    """The network, and a file of it."""
    module = seeded(Doubling, 3)
    save_file(
        {f"params.{name}": each for name, each in module.state_dict().items()}, tmp_path / "d.safetensors"
    )
    return module, tmp_path / "d.safetensors"


def enlarged(module: nn.Module, image: Tensor) -> Tensor:
    """What a network makes of pictures."""
    with torch.no_grad():
        found: Tensor = module(image.movedim(-1, 1).clone()).movedim(1, -1).clamp(0, 1)
    return found


@pytest.mark.parametrize("suffix", ["safetensors", "pth"])
def test_what_we_do_not_know_is_computed_by_spandrels_network(
    doubling: tuple[Doubling, Path], monkeypatch: pytest.MonkeyPatch, suffix: str
) -> None:
    module, path = doubling
    if suffix == "pth":
        path = path.with_suffix(".pth")
        torch.save({"params": module.state_dict()}, path)
    monkeypatch.setitem(sys.modules, "spandrel", stand_in())
    monkeypatch.setattr(torch, "load", lambda *_, **__: pytest.fail("a file was unpickled"))
    loaded = load_upscaler(path, on_processor())
    assert loaded.scale == 2
    image = pictures()
    found = loaded.enlarged(image)
    assert torch.equal(image, pictures()), "pictures are not written to"
    torch.testing.assert_close(found, enlarged(module, pictures()))
    assert not found.is_inference()
    loaded.resident.residency.free()
    torch.testing.assert_close(loaded.enlarged(pictures()), found)
    with loaded.resident.use() as used:
        assert {name.removeprefix("network.") for name in used.state_dict()} == {
            *module.state_dict(),
            "brightness",
        }


def test_a_network_that_is_not_ours_computes_in_single_precision(
    doubling: tuple[Doubling, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "spandrel", stand_in())
    loaded = load_upscaler(doubling[1], on_processor("bf16"))
    assert loaded.resident.dtype is torch.float32
    torch.testing.assert_close(loaded.enlarged(pictures()), enlarged(doubling[0], pictures()))


def refusing(model: nn.Module) -> Any:
    """A reader that stumbles."""
    raise KeyError("conv_first.weight")


@pytest.mark.parametrize(
    ("describe", "word"),
    [
        (lambda model: Masked(), "spandrel sees Filling in it, which wants a mask"),
        (lambda model: Described(model, 1), "spandrel sees Doubling in it, which makes 1 channels of 1"),
        (refusing, r"spandrel cannot read it \('conv_first.weight'\)"),
    ],
)
def test_other_networks_are_refused_by_name(
    doubling: tuple[Doubling, Path],
    monkeypatch: pytest.MonkeyPatch,
    describe: Callable[[nn.Module], Any],
    word: str,
) -> None:
    monkeypatch.setitem(sys.modules, "spandrel", stand_in(describe))
    with pytest.raises(UnknownModel, match=word):
        load_upscaler(doubling[1])


def test_what_spandrel_does_not_know_either_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_file({"x": torch.zeros(1)}, tmp_path / "x.safetensors")
    monkeypatch.setitem(sys.modules, "spandrel", stand_in())
    with pytest.raises(
        UnknownModel, match=r"no upscaler of a known kind .*; spandrel does not know it either"
    ):
        load_upscaler(tmp_path / "x.safetensors")


def test_without_spandrel_the_extra_is_named(
    doubling: tuple[Doubling, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "spandrel", None)
    with pytest.raises(UnknownModel, match=r"is not installed: pip install '\.\[upscalers\]'") as caught:
        load_upscaler(doubling[1])
    assert "Stable Diffusion" not in str(caught.value), "other kinds of models are no help here"


def test_a_spandrel_that_does_not_import_is_named_with_its_reason(
    doubling: tuple[Doubling, Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "packages").mkdir()
    word = "operator torchvision::nms does not exist"
    (tmp_path / "packages" / "spandrel.py").write_text(f"raise RuntimeError({word!r})\n")
    monkeypatch.delitem(sys.modules, "spandrel", raising=False)
    monkeypatch.syspath_prepend(tmp_path / "packages")
    with pytest.raises(UnknownModel, match=rf"does not import \({word}\): it needs a torchvision"):
        load_upscaler(doubling[1])


def test_a_damaged_file_of_our_own_kinds_keeps_its_own_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tensors = {"conv_first.weight": torch.zeros(8, 3, 3, 3), "conv_last.weight": torch.zeros(3, 8, 3, 3)}
    save_file({**tensors, "body.0.rdb1.conv1.weight": torch.zeros(4, 8, 3, 3)}, tmp_path / "u.safetensors")
    for package in (None, stand_in()):
        monkeypatch.setitem(sys.modules, "spandrel", package)
        with pytest.raises(FileProblem, match="tensors are missing, such as"):
            load_upscaler(tmp_path / "u.safetensors")


# With the package


def span() -> nn.Module:
    """A small SPAN: plain convolutions, weighted by themselves."""
    from spandrel.architectures.SPAN import SPAN

    return SPAN(num_in_ch=3, num_out_ch=3, feature_channels=8, upscale=2)


def swinir() -> nn.Module:
    """A small SwinIR: attention in windows."""
    from spandrel.architectures.SwinIR import SwinIR

    sizes = {"img_size": 16, "window_size": 8, "embed_dim": 12, "depths": [2, 2], "num_heads": [2, 2]}
    return SwinIR(**sizes, mlp_ratio=2.0, upscale=2, upsampler="pixelshuffle", img_range=1.0)


def dat() -> nn.Module:
    """A small DAT: attention over places and over channels."""
    from spandrel.architectures.DAT import DAT

    sizes = {"img_size": 16, "split_size": [4, 8], "embed_dim": 32, "depth": [2], "num_heads": [2]}
    return DAT(**sizes, expansion_factor=2.0, upscale=2, upsampler="pixelshuffledirect", img_range=1.0)


def hat() -> nn.Module:
    """A small HAT: attention in overlapping windows."""
    from spandrel.architectures.HAT import HAT

    sizes = {"img_size": 16, "window_size": 8, "embed_dim": 60, "depths": [2], "num_heads": [2]}
    return HAT(**sizes, mlp_ratio=2.0, upscale=2, upsampler="pixelshuffle", img_range=1.0)


NETWORKS = {"span": span, "swinir": swinir, "dat": dat, "hat": hat}


def file_of(module: nn.Module, path: Path, kind: str) -> Path:
    """A file of a network as its authors publish it."""
    tensors = {name: each.contiguous() for name, each in module.state_dict().items()}
    if kind == "pth":
        torch.save({"params_ema": tensors}, path.with_suffix(".pth"))
        return path.with_suffix(".pth")
    save_file(tensors, path.with_suffix(".safetensors"))
    return path.with_suffix(".safetensors")


def shaped(build: Callable[[], nn.Module]) -> nn.Module:
    """A network whose pictures stay within 0…1: around grey, and not too far from it."""
    module = seeded(build, 1)
    last = [each for each in module.modules() if isinstance(each, nn.Conv2d)][-1]
    assert last.bias is not None
    with torch.no_grad():
        last.weight.mul_(0.1 / module(pictures(32, 32).movedim(-1, 1)).std())
    last.bias.fill_(0.5)
    return module


theirs_warn = pytest.mark.filterwarnings("ignore:torch.meshgrid", "ignore:Initializing zero-element tensors")


@theirs_warn
@pytest.mark.parametrize("kind", ["safetensors", "pth"])
@pytest.mark.parametrize("name", NETWORKS)
def test_a_network_of_spandrels_gives_its_picture(
    tmp_path: Path, name: str, kind: str, package: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = shaped(NETWORKS[name])
    path = file_of(module, tmp_path / name, kind)
    monkeypatch.setattr(torch, "load", lambda *_, **__: pytest.fail("a file was unpickled"))
    loaded = load_upscaler(path, on_processor("bf16"))
    assert loaded.scale == 2
    described = package.ModelLoader().load_from_state_dict(dict(module.state_dict()))
    expected = torch.cat([described(each[None].movedim(-1, 1)) for each in pictures()]).movedim(1, -1)
    found = loaded.enlarged(pictures())
    assert found.shape == (2, 40, 56, 3)
    assert found.std() > 0.005
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
    loaded.resident.residency.free()
    torch.testing.assert_close(loaded.enlarged(pictures()), found)


@theirs_warn
@pytest.mark.parametrize("name", NETWORKS)
def test_tiles_of_spandrels_networks_join_without_a_seam(
    tmp_path: Path, name: str, package: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = file_of(shaped(NETWORKS[name]), tmp_path / name, "safetensors")
    loaded = load_upscaler(path, on_processor())
    image = pictures(96, 144)
    whole = loaded.enlarged(image)
    monkeypatch.setattr(upscaler, "TILE", 64)
    monkeypatch.setattr(upscaler, "SMALLEST_TILE", 64)
    tiled = loaded.enlarged(image)
    off = (tiled - whole).abs()
    assert off.max() < 0.01
    for axis in (1, 2):
        steps = tiled.diff(dim=axis).abs()
        assert steps.max() < 1.1 * whole.diff(dim=axis).abs().max() + 0.002
