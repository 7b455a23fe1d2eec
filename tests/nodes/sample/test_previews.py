"""Pictures of what is being sampled."""

import io
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from PIL import Image as PIL
from safetensors.torch import save_file

from diffusion.latents.latent_format import SD1, LatentFormat
from diffusion.residency.budget import Residency
from diffusion.residency.precision import Precision
from diffusion.samplers import Step
from execution.declare.node import Run
from execution.files.folders import Folders
from nodes.sample.previews import Method, Previews


def previews(tmp_path: Path, method: Method = "auto", size: int = 512) -> Previews:
    """Previews over an empty models folder."""
    return Previews(Folders(tmp_path), Residency(Precision("fp32"), "cpu"), method, size)


@pytest.mark.parametrize(
    ("rows", "columns", "size", "expected"),
    [(8, 6, 512, (48, 64)), (128, 64, 512, (256, 512)), (100, 100, 64, (64, 64)), (200, 1, 64, (1, 64))],
)
def test_a_preview_is_a_jpeg_no_larger_than_asked(
    tmp_path: Path, rows: int, columns: int, size: int, expected: tuple[int, int]
) -> None:
    make = previews(tmp_path, size=size).of(SD1, torch.randn(3, 4, rows, columns))
    assert make is not None
    preview = make()
    assert preview.size == expected
    assert PIL.open(io.BytesIO(preview.data)).size == expected


def test_nothing_is_made_where_nothing_can_be_shown(tmp_path: Path) -> None:
    latent = torch.zeros(1, 4, 8, 8)
    assert previews(tmp_path, "none").of(SD1, latent) is None
    assert previews(tmp_path).of(LatentFormat("strange", channels=16), latent) is None
    assert previews(tmp_path).of(SD1, torch.zeros(1, 4, 8)) is None


def test_of_a_clip_the_first_frame_is_shown(tmp_path: Path) -> None:
    clip = torch.randn(1, 4, 3, 8, 8)
    film, picture = (previews(tmp_path).of(SD1, latent) for latent in (clip, clip[:, :, 0]))
    assert film is not None
    assert picture is not None
    assert film().data == picture().data


def test_without_a_tiny_decoder_the_linear_map_is_used(tmp_path: Path) -> None:
    latent = torch.randn(1, 4, 8, 8)
    linear, tiny = previews(tmp_path).of(SD1, latent), previews(tmp_path, "taesd").of(SD1, latent)
    assert linear is not None
    assert tiny is not None
    assert linear().data == tiny().data


def test_a_broken_tiny_decoder_is_said_and_the_linear_map_used(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "models" / "vae_approx"
    folder.mkdir(parents=True)
    save_file({"x": torch.zeros(1)}, folder / "taesd_decoder.safetensors")
    make = previews(tmp_path, "taesd").of(SD1, torch.randn(1, 4, 8, 8))
    assert make is not None
    assert make().size == (64, 64)
    assert "No TAESD previews" in caplog.text


def test_a_tiny_decoder_is_used_where_there_is_one(tmp_path: Path) -> None:
    folder = tmp_path / "models" / "vae_approx"
    folder.mkdir(parents=True)
    weights = {"1.weight": torch.randn(8, 4, 3, 3), "1.bias": torch.zeros(8)}
    weights |= {f"3.conv.{i}.{kind}": torch.zeros(8, 8, 3, 3) if kind == "weight" else torch.zeros(8)
                for i in (0, 2, 4) for kind in ("weight", "bias")}  # fmt: skip
    weights |= {"5.weight": torch.randn(3, 8, 3, 3), "5.bias": torch.zeros(3)}
    save_file(weights, folder / "taesd_decoder.safetensors")
    latent = torch.randn(1, 4, 8, 8)
    linear, tiny = previews(tmp_path).of(SD1, latent), previews(tmp_path, "taesd").of(SD1, latent)
    assert linear is not None
    assert tiny is not None
    assert linear().data != tiny().data


@pytest.mark.parametrize(("asked", "seen"), [(None, True), ("none", False), ("latent2rgb", True), (7, True)])
def test_a_prompt_may_choose_how_its_previews_are_made(tmp_path: Path, asked: object, seen: bool) -> None:
    told: list[Any] = []
    seat = SimpleNamespace(progress=lambda value, maximum, preview: told.append(preview))
    run = Run(extra_data={"preview_method": asked}, seat=seat)  # type: ignore[arg-type] # one method of it
    latent = torch.zeros(1, 4, 8, 8)
    model = SimpleNamespace(latent_format=SD1)
    previews(tmp_path).watch(run, model)(0, 1, Step(latent, latent, torch.ones(1)))  # type: ignore[arg-type]
    assert [preview is not None for preview in told] == [seen]
