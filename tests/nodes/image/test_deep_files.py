"""Images saved with a choice of depth: what is in the files, and what cannot be saved."""

from pathlib import Path
from typing import Any

import av
import numpy as np
import OpenEXR
import pytest
import torch

from execution.declare.node import Run
from execution.declare.registry import Registry
from execution.files.folders import Folders
from nodes.image import deep_files
from nodes.image.encoding import Embedding
from nodes.library import native_types
from pictures.texts import png_texts

PROMPT = {"1": {"class_type": "SaveImageAdvanced", "inputs": {}}}


@pytest.fixture
def call(tmp_path: Path) -> Any:
    """Saves images; gives the files' paths and the node's outputs."""
    folders = Folders(tmp_path)
    registry = Registry(native_types("image.deep_files"), provide={Folders: folders, Embedding: Embedding()})

    def call(images: torch.Tensor, **inputs: Any) -> tuple[list[Path], tuple[Any, ...]]:
        given = {name.replace("__", "."): value for name, value in inputs.items()}
        outcome = registry.types["SaveImageAdvanced"]({"images": images, **given}, Run(prompt=PROMPT))
        shown = outcome.ui["images"]  # type: ignore[union-attr, index]
        return [folders.output / each["filename"] for each in shown], outcome.outputs  # type: ignore[union-attr]

    return call


def ramp(count: int = 1, channels: int = 3) -> torch.Tensor:
    """A smooth picture of 64×32."""
    return torch.linspace(0, 1, 64).expand(count, 32, 64)[..., None].repeat(1, 1, 1, channels)


def test_a_png_of_16_bits_has_the_workflow_and_its_images_go_on(call: Any) -> None:
    images = ramp(2)
    paths, outputs = call(images, format="png", format__bit_depth="16-bit")
    assert outputs[0] is images
    assert [path.suffix for path in paths] == [".png", ".png"]
    assert "SaveImageAdvanced" in png_texts(paths[0].read_bytes())["prompt"]
    with av.open(str(paths[0])) as container:
        frame = next(container.decode(container.streams.video[0])).to_ndarray()
    assert np.abs(frame / 65535 - images[0].numpy()).max() < 1e-5


@pytest.mark.parametrize(
    ("space", "light"), [("sRGB", 0.2140), ("linear", 0.5), ("linear ACEScg", 0.5), ("HDR", 1 / 12)]
)
def test_exr_holds_light(call: Any, space: str, light: float) -> None:
    """Half of sRGB is 21.4 % of the light; half of the hybrid log-gamma signal is a twelfth (BT.2100)."""
    half = torch.full((1, 4, 4, 3), 0.5)
    options = {"format__bit_depth": "32-bit float", "format__input_color_space": space}
    paths, _ = call(half, format="exr", **options)
    with OpenEXR.File(str(paths[0]), separate_channels=True) as file:
        assert float(file.channels()["R"].pixels[0, 0]) == pytest.approx(light, abs=1e-4)
        assert "SaveImageAdvanced" in file.header()["prompt"]


def test_avif_is_one_file_for_each_image_or_one_that_moves(call: Any) -> None:
    still, _ = call(ramp(2), format="avif", format__save_mode="still images")
    assert len(still) == 2
    moving, _ = call(ramp(3), format="avif", format__save_mode="animated", format__save_mode__fps=5.0)
    assert len(moving) == 1
    with av.open(str(moving[0])) as container:
        assert len(list(container.decode(container.streams.video[-1]))) == 3


def test_what_a_format_cannot_hold_is_said_before_anything_is_written(call: Any, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"4 channels; \.avif"):
        call(ramp(1, 4), format="avif")
    assert not list(tmp_path.rglob("*.avif"))


def test_a_missing_package_is_named_with_its_command(call: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deep_files, "find_spec", lambda name: None)
    with pytest.raises(ValueError, match=r"pip install 'nodeloom\[hdr\]'"):
        call(ramp(), format="exr")
