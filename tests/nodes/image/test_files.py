"""Pictures and latents from files and into files, through the nodes."""

import io
import json
import re
import struct
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image as PIL
from safetensors.torch import save_file

from execution.declare.node import Run
from execution.declare.registry import Registry
from execution.errors import FileMissing, OutsideRoot
from execution.events import Preview
from execution.files.folders import Folders
from nodes.image.encoding import Embedding
from nodes.library import native_types
from pictures.budget import FLOATS, Budgets, OverBudget
from pictures.texts import png_texts
from tests.server.attacks import chunk, png

PROMPT = {"9": {"class_type": "SaveImage", "inputs": {"filename_prefix": "x"}}}
PROVIDED = {Embedding: Embedding(), Budgets: Budgets()}
EXTRA = {"extra_pnginfo": {"workflow": {"nodes": []}}}


@pytest.fixture
def folders(tmp_path: Path) -> Folders:
    """ComfyUI's folders, empty, in a temporary place."""
    found = Folders(tmp_path)
    found.input.mkdir()
    return found


@pytest.fixture
def call(folders: Folders) -> Any:
    """Calls a node by its name: `call("LoadImage", image="x.png")` gives its outputs, or what it shows."""
    registry = Registry(native_types("image.files"), provide=PROVIDED | {Folders: folders})

    def call(name: str, run: Run | None = None, **inputs: Any) -> Any:
        run = run or Run(prompt=PROMPT, extra_data=EXTRA)
        outcome = registry.types[name](inputs, run)
        return outcome.outputs or outcome.ui

    return call


def pixels(height: int = 5, width: int = 4, bands: int = 3) -> np.ndarray:  # type: ignore[type-arg] # of bytes
    """Random 8-bit pixels."""
    shape = (height, width, bands) if bands > 1 else (height, width)
    return np.random.default_rng(7).integers(0, 256, shape, dtype=np.uint8)


def test_a_picture_comes_as_colours_and_transparency(call: Any, folders: Folders) -> None:
    rgba = pixels(bands=4)
    PIL.fromarray(rgba).save(folders.input / "a.png")
    image, mask = call("LoadImage", image="a.png")
    np.testing.assert_allclose(image[0], rgba[..., :3] / 255, atol=1e-6)
    np.testing.assert_allclose(mask[0], 1 - rgba[..., 3] / 255, atol=1e-6)


@pytest.mark.parametrize("mode", ["L", "P", "LA", "RGB", "CMYK", "1"])
def test_any_kind_of_picture_becomes_three_channels(call: Any, folders: Folders, mode: str) -> None:
    name = "a.tiff" if mode == "CMYK" else "a.png"
    PIL.fromarray(pixels()).convert(mode).save(folders.input / name)
    image, mask = call("LoadImage", image=name)
    assert image.shape == (1, 5, 4, 3)
    assert image.dtype == torch.float32
    assert mask.shape == ((1, 5, 4) if mode == "LA" else (1, 64, 64))
    assert mask.max() == 0


def test_sixteen_bits_of_grey_are_kept(call: Any, folders: Folders) -> None:
    grey = np.array([[0, 1, 256], [32768, 65534, 65535]], dtype=np.uint16)
    PIL.fromarray(grey).save(folders.input / "deep.png")
    image, _ = call("LoadImage", image="deep.png")
    np.testing.assert_allclose(image[0, ..., 1], grey / 65535, atol=1e-7)


def test_a_photograph_is_turned_upright(call: Any, folders: Folders) -> None:
    exif = PIL.Exif()
    exif[0x0112] = 6  # the camera was held on its side
    PIL.fromarray(pixels(4, 6)).save(folders.input / "a.jpg", exif=exif)
    assert call("LoadImage", image="a.jpg")[0].shape == (1, 6, 4, 3)
    assert call("LoadImageMask", image="a.jpg", channel="red")[0].shape == (1, 6, 4)


def test_a_palettes_transparent_colour_is_in_the_mask(call: Any, folders: Folders) -> None:
    picture = PIL.new("P", (2, 1))
    picture.putpalette([255, 0, 0, 0, 255, 0])
    picture.putdata([0, 1])
    picture.save(folders.input / "a.png", transparency=1)
    image, mask = call("LoadImage", image="a.png")
    assert image[0, 0].tolist() == [[1, 0, 0], [0, 1, 0]]
    assert mask[0, 0].tolist() == [0, 1]


def test_the_frames_of_an_animation_make_a_batch(call: Any, folders: Folders) -> None:
    frames = [PIL.new("RGB", (4, 3), colour) for colour in ("red", "lime", "blue")]
    frames[0].save(folders.input / "a.png", save_all=True, append_images=frames[1:])
    image, _ = call("LoadImage", image="a.png")
    assert image[:, 0, 0].tolist() == [[1, 0, 0], [0, 1, 0], [0, 0, 1]]


@pytest.mark.parametrize("channel", ["alpha", "red", "green", "blue"])
def test_a_mask_is_one_channel_of_a_picture(call: Any, folders: Folders, channel: str) -> None:
    rgba = pixels(bands=4)
    PIL.fromarray(rgba).save(folders.input / "a.png")
    (mask,) = call("LoadImageMask", image="a.png", channel=channel)
    band = rgba[..., ("red", "green", "blue", "alpha").index(channel)] / 255
    np.testing.assert_allclose(mask[0], 1 - band if channel == "alpha" else band, atol=1e-6)


def test_a_saved_picture_can_be_loaded_by_its_annotated_name(call: Any, folders: Folders) -> None:
    folders.output.mkdir()
    PIL.fromarray(pixels()).save(folders.output / "a.png")
    assert call("LoadImageOutput", image="a.png [output]")[0].shape == (1, 5, 4, 3)
    assert call("LoadImage", image="a.png [output]")[0].shape == (1, 5, 4, 3)


def test_what_is_no_picture_is_named_with_advice(call: Any, folders: Folders) -> None:
    (folders.input / "a.png").write_text("<html>")
    with pytest.raises(ValueError, match=r"'a.png' is not a picture.*PNG"):
        call("LoadImage", image="a.png")


def test_a_picture_cut_short_is_named(call: Any, folders: Folders) -> None:
    file = io.BytesIO()
    PIL.fromarray(pixels(64, 64)).save(file, "PNG")
    (folders.input / "a.png").write_bytes(file.getvalue()[:200])
    with pytest.raises(ValueError, match=r"'a.png' cannot be read"):
        call("LoadImage", image="a.png")


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize(("frames", "size"), [(1, 10_000), (60, 10_000), (60, 8_000)])
def test_pictures_beyond_the_budget_are_refused_by_their_headers(
    call: Any, folders: Folders, frames: int, size: int
) -> None:
    (folders.input / "a.png").write_bytes(animation(frames, size))
    for name, more in (("LoadImage", {}), ("LoadImageMask", {"channel": "red"})):
        if name == "LoadImageMask" and size < 10_000:
            continue  # its first picture alone is not too large
        with pytest.raises(OverBudget, match=rf"{size}×{size} pixels: decoded, .* MB is all that"):
            call(name, image="a.png", **more)


def animation(frames: int, size: int) -> bytes:
    """An APNG that claims to be large, and holds nothing."""
    control = chunk(b"acTL", struct.pack(">II", frames, 0)) if frames > 1 else b""
    return png(size, size, before=control)


def test_the_pictures_of_a_run_share_its_budget(folders: Folders) -> None:
    PIL.fromarray(pixels(64, 64)).save(folders.input / "a.png")
    budget = Budgets(64 * 64 * 38)
    provide = PROVIDED | {Folders: folders, Budgets: budget}
    load = Registry(native_types("image.files"), provide).types["LoadImage"]
    load({"image": "a.png"}, Run(job="one"))
    load({"image": "a.png"}, Run(job="one"))
    with pytest.raises(OverBudget, match="of others"):
        load({"image": "a.png"}, Run(job="one"))
    load({"image": "a.png"}, Run(job="two"))
    assert budget.of("two").taken == 64 * 64 * FLOATS, "only what is left of it counts"


@pytest.mark.parametrize("name", ["../a.png", "/etc/passwd", "..\\a.png", "sub/../../a.png"])
def test_a_name_that_leads_out_of_the_folder_is_refused(call: Any, name: str) -> None:
    with pytest.raises(OutsideRoot):
        call("LoadImage", image=name)


def test_a_missing_picture_is_named_with_the_nearest(call: Any, folders: Folders) -> None:
    PIL.fromarray(pixels()).save(folders.input / "portrait.png")
    with pytest.raises(FileMissing, match=r"portrait\.png"):
        call("LoadImage", image="potrait.png")


def test_saved_pictures_are_numbered_and_carry_the_workflow(call: Any, folders: Folders) -> None:
    images = torch.rand(2, 6, 8, 3)
    shown = call("SaveImage", images=images, filename_prefix="cats/x")
    names = [each["filename"] for each in shown["images"]]
    assert names == ["x_00001_.png", "x_00002_.png"]
    assert {(each["subfolder"], each["type"]) for each in shown["images"]} == {("cats", "output")}
    with PIL.open(folders.output / "cats" / names[1]) as saved:
        np.testing.assert_array_equal(np.asarray(saved), (images[1].numpy() * 255).astype(np.uint8))
        assert json.loads(saved.info["prompt"]) == PROMPT
        assert json.loads(saved.info["workflow"]) == {"nodes": []}
    again = call("SaveImage", images=images, filename_prefix="cats/x")
    assert [each["filename"] for each in again["images"]] == ["x_00003_.png", "x_00004_.png"]


def test_names_are_filled_from_size_date_and_widgets(call: Any, folders: Folders) -> None:
    shown = call(
        "SaveImage",
        images=torch.zeros(2, 6, 8, 3),
        filename_prefix="%date:yyyy%/%width%x%height%-%SaveImage.filename_prefix%-%batch_num%",
    )
    year = time.strftime("%Y")
    assert [(each["subfolder"], each["filename"]) for each in shown["images"]] == [
        (year, "8x6-x-0_00001_.png"),
        (year, "8x6-x-1_00002_.png"),
    ]


def test_a_prefix_that_leads_out_of_the_folder_is_refused(call: Any, tmp_path: Path) -> None:
    for prefix in ("../x", "/tmp/x", "a/../../x"):
        with pytest.raises(OutsideRoot):
            call("SaveImage", images=torch.zeros(1, 2, 2, 3), filename_prefix=prefix)


@pytest.mark.parametrize(("channels", "mode"), [(1, "L"), (3, "RGB"), (4, "RGBA")])
def test_pictures_are_saved_with_the_channels_they_have(
    call: Any, folders: Folders, channels: int, mode: str
) -> None:
    call("SaveImage", images=torch.zeros(1, 2, 2, channels), filename_prefix="x")
    with PIL.open(folders.output / "x_00001_.png") as saved:
        assert saved.mode == mode


def test_values_that_are_no_numbers_are_saved_as_black_and_said(call: Any, folders: Folders) -> None:
    images = torch.full((2, 2, 2, 3), 0.5)
    images[1, 0, 0, 0] = torch.nan
    shown = call("SaveImage", images=images, filename_prefix="x")
    assert re.search(r"1 of 2 images hold values that are not numbers", shown["text"][0])
    with PIL.open(folders.output / "x_00002_.png") as saved:
        assert saved.getpixel((0, 0)) == (0, 127, 127)


def test_an_embedding_that_is_off_leaves_no_trace_of_the_workflow(folders: Folders) -> None:
    provide = PROVIDED | {Folders: folders, Embedding: Embedding(False)}
    registry = Registry(native_types("image.files"), provide)
    run = Run(prompt=PROMPT, extra_data=EXTRA)
    registry.types["SaveImage"]({"images": torch.zeros(1, 2, 2, 3)}, run)
    with PIL.open(folders.output / "ComfyUI_00001_.png") as saved:
        assert not saved.info


@pytest.mark.parametrize(
    ("name", "inputs"),
    [("PreviewImage", {"images": torch.ones(1, 3, 2, 3)}), ("MaskPreview", {"mask": torch.ones(1, 3, 2)})],
)
def test_previews_go_to_the_temporary_folder(
    call: Any, folders: Folders, name: str, inputs: dict[str, Any]
) -> None:
    first, second = (call(name, **inputs)["images"][0] for _ in range(2))
    assert first["type"] == "temp"
    assert first["filename"] != second["filename"]
    with PIL.open(folders.temp / first["filename"]) as saved:
        assert saved.size == (2, 3)
        assert saved.getpixel((0, 0)) == (255, 255, 255)


class Listener:
    """The engine's side of a run that keeps what it is told."""

    def __init__(self) -> None:
        self.told: list[tuple[float, float, Any]] = []

    def progress(self, value: float, maximum: float, preview: Any) -> None:
        """Keep it."""
        self.told.append((value, maximum, preview))


def test_pictures_for_a_client_travel_as_previews(call: Any) -> None:
    listener = Listener()
    call("SaveImageWebsocket", Run(seat=listener), images=torch.ones(2, 3, 4, 3))  # type: ignore[arg-type] # one method of it
    assert [told[:2] for told in listener.told] == [(1, 2), (2, 2)]
    preview = listener.told[1][2]
    assert isinstance(preview, Preview)
    assert (preview.kind, preview.size) == ("png", (4, 3))
    assert PIL.open(io.BytesIO(preview.data)).size == (4, 3)


def test_a_latent_survives_the_way_to_a_file_and_back(call: Any, folders: Folders) -> None:
    samples = torch.randn(2, 4, 3, 5)
    shown = call("SaveLatent", samples={"samples": samples})["latents"][0]
    assert shown == {"filename": "ComfyUI_00001_.latent", "subfolder": "latents", "type": "output"}
    (folders.output / "latents" / shown["filename"]).rename(folders.input / "a.latent")
    (loaded,) = call("LoadLatent", latent="a.latent")
    torch.testing.assert_close(loaded["samples"], samples)


def test_an_old_latent_file_is_brought_to_todays_scale(call: Any, folders: Folders) -> None:
    save_file({"latent_tensor": torch.full((1, 4, 2, 2), 0.18215)}, folders.input / "old.latent")
    (loaded,) = call("LoadLatent", latent="old.latent")
    torch.testing.assert_close(loaded["samples"], torch.ones(1, 4, 2, 2))


def test_a_file_without_a_latent_is_named(call: Any, folders: Folders) -> None:
    save_file({"other": torch.zeros(1)}, folders.input / "x.latent")
    with pytest.raises(ValueError, match=r"'x.latent' holds no 'latent_tensor'"):
        call("LoadLatent", latent="x.latent")


def test_the_cameras_picture_is_read(call: Any, folders: Folders) -> None:
    folders.temp.mkdir()
    PIL.fromarray(pixels()).save(folders.temp / "a.png")
    (image,) = call("WebcamCapture", image="a.png [temp]", width=0, height=0)
    np.testing.assert_allclose(image[0], pixels() / 255, atol=1e-6)
    (camera,) = [each for each in native_types("image.files") if each.spec.name == "WebcamCapture"]
    assert camera.bind(PROVIDED | {Folders: folders}).fingerprint({"image": "a.png [temp]"}, Run())[1] > 0
    with pytest.raises(ValueError, match="no picture yet"):
        call("WebcamCapture", image="")


def test_pages_with_and_without_transparency_make_one_batch(call: Any, folders: Folders) -> None:
    opaque, clear = PIL.new("RGB", (4, 3), "red"), PIL.new("RGBA", (4, 3), (0, 255, 0, 51))
    opaque.save(folders.input / "a.tiff", save_all=True, append_images=[clear])
    image, mask = call("LoadImage", image="a.tiff")
    assert image[:, 0, 0].tolist() == [[1, 0, 0], [0, 1, 0]]
    assert mask.shape == (2, 3, 4)
    torch.testing.assert_close(mask[:, 0, 0], torch.tensor([0.0, 0.8]))


def test_a_ramp_of_floats_is_a_ramp(call: Any, folders: Folders) -> None:
    ramp = np.linspace(-0.5, 1.5, 9, dtype=np.float32)[None]
    PIL.fromarray(ramp).save(folders.input / "depth.tiff")
    image, _ = call("LoadImage", image="depth.tiff")
    np.testing.assert_allclose(image[0, ..., 2], ramp.clip(0, 1), atol=1e-6)
    (mask,) = call("LoadImageMask", image="depth.tiff", channel="red")
    np.testing.assert_allclose(mask[0], ramp.clip(0, 1), atol=1e-6)


def test_a_picture_is_saved_with_texts_under_any_key(call: Any, folders: Folders) -> None:
    run = Run(prompt=PROMPT, extra_data={"extra_pnginfo": {"workflow": {}, "помощь": {"a": "б"}}})
    (shown,) = call("SaveImage", run, images=torch.rand(1, 4, 4, 3), filename_prefix="x")["images"]
    texts = png_texts((folders.output / shown["filename"]).read_bytes())
    assert json.loads(texts["помощь"]) == {"a": "б"}
    assert json.loads(texts["prompt"]) == PROMPT
