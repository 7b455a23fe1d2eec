"""ComfyUI's official templates of the families we have: each opens whole, and runs to its end on stand-ins.

The package `comfyui-workflow-templates-json` carries them. A template opens whole when every node type in it,
those inside subgraphs and those switched off too, is one of ours.
"""

import asyncio
import json
from collections.abc import Iterator, Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from PIL import Image as PIL

from diffusion.residency.budget import Residency
from diffusion.residency.precision import Precision
from execution.check.validation import validate_with
from execution.engine import Engine, Job
from execution.files.folders import Folders
from nodeloom.documents import document
from nodes.library import native_types
from nodes.program import build_registry
from nodes.replacements import REPLACEMENTS
from tests.nodes import template_models
from workflows.prompt import MOST_NODES
from workflows.scopes import scopes_of, type_of
from workflows.sources import UNSENT

Prompt = dict[str, dict[str, Any]]

FOLDER = Path(str(files("comfyui_workflow_templates_json"))) / "templates"
LISTED: dict[str, dict[str, Any]] = {
    template["name"]: template
    for group in json.loads((FOLDER / "index.json").read_text("utf-8"))
    for template in group["templates"]
    if template.get("openSource") is not False and (FOLDER / f"{template['name']}.json").exists()
}
"""Those that call no service, by name."""
SPECS = {each.spec.name: each.spec for each in native_types()}
FAMILIES = {"FLUX.1", "FLUX.1 Kontext", "FLUX.1 Krea", "SD1.5", "SD3.5", "SDXL", "SVD", "Real-ESRGAN", "None"}
"""What the index calls the models of families we have; `None` is a template without any."""
MISSING: Mapping[str, set[str]] = {
    "basic_image_color_adjustment": {"ColorToRGBInt", "CurveEditor", "GLSLShader", "ImageHistogram"},
    **{
        name: {"LotusConditioning"}
        for name in ("flux_depth_lora_example", "image_lotus_depth_v1_1", "sd3.5_large_depth")
    },
}
"""What they still lack: shaders and curves of colour, and Lotus, which estimates depth."""
LEAST = 73
"""How many of all open whole at least."""


def workflow(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((FOLDER / f"{name}.json").read_text("utf-8"))
    return found


def lacking(name: str) -> set[str]:
    """The node types of a template that are none of ours."""
    scopes = scopes_of(workflow(name), MOST_NODES)
    kinds = {type_of(n) for scope in scopes for n in scope.nodes.values() if not scope.inner(n)}
    return kinds - UNSENT - SPECS.keys()


OURS = sorted(name for name, each in LISTED.items() if FAMILIES & set(each["models"]))
WHOLE = [name for name in OURS if name not in MISSING]


def prompt_of(name: str) -> Prompt:
    """What the editor would send."""
    found = document(name, workflow(name), SPECS, replacements=REPLACEMENTS)
    return json.loads(json.dumps(found.prompt))  # type: ignore[no-any-return]


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Folders:
    """A data folder with the models and files that the templates name."""
    folders = Folders(tmp_path_factory.mktemp("data"))
    template_models.make_models(folders.models_root)
    return folders


@pytest.fixture(scope="module")
def engine(folders: Folders) -> Iterator[Engine]:
    """The program's nodes; what one template computes, the next finds."""
    with Engine(build_registry(folders, Residency(Precision("fp32"), "cpu"))) as engine:
        yield engine


def test_templates_of_our_families_lack_only_what_is_listed() -> None:
    assert {name: each for name in OURS if (each := lacking(name))} == MISSING


def test_no_fewer_templates_open_whole_than_before() -> None:
    whole = {name for name in LISTED if not lacking(name)}
    used = {name: each.get("usage") or 0 for name, each in LISTED.items()}
    share = sum(used[name] for name in whole) / sum(used.values())
    print(f"{len(whole)} of {len(LISTED)} templates open whole: {share:.1%} of their use")
    assert len(whole) >= LEAST


@pytest.mark.parametrize("name", WHOLE)
def test_a_template_runs(engine: Engine, folders: Folders, name: str) -> None:
    prompt = prompt_of(name)
    for kind, file in template_models.named_files(prompt, SPECS):
        template_models.make_input(kind, file, folders)
    validation = asyncio.run(validate_with(prompt, engine.registry, folders=folders))
    assert validation.response() == (200, {"node_errors": {}})
    result = engine.run_sync(Job(name, quick(prompt)))
    assert result.status == "success", result.failure
    outputs = [key for key, node in prompt.items() if SPECS[node["class_type"]].output_node]
    assert set(outputs) == set(validation.outputs) <= {*result.executed, *result.cached}
    for each in filter(None, (result.ui.get(key) for key in outputs)):
        for path in folders.shown_files(each):
            assert path.stat().st_size
            if path.suffix == ".png":
                with PIL.open(path) as picture:
                    picture.load()


def quick(prompt: Prompt) -> Prompt:
    """The same with smaller sizes and fewer steps."""
    found = {}
    for key, node in prompt.items():
        inputs = {name: smaller(name, value, node) for name, value in node["inputs"].items()}
        kind = node["class_type"]
        if kind == "FluxKontextImageScale":  # to a million pixels, whatever it is given
            kind, inputs = "ImageScale", {**inputs, **SMALL}
        found[key] = {**node, "class_type": kind, "inputs": inputs}
    return found


SIDES = {"width", "height", "resize_type.width", "resize_type.height", "x", "y", "largest_size"} | {
    "left", "top", "right", "bottom",
}  # fmt: skip
SMALL = {"width": 64, "height": 64, "upscale_method": "lanczos", "crop": "center"}
MOST: Mapping[str, float] = {"steps": 3, "megapixels": 0.01, "video_frames": 3}


def smaller(name: str, value: Any, node: Mapping[str, Any]) -> Any:
    """A value of a node's input: sides by a sixteenth in whole sixteens, a few steps and frames."""
    if isinstance(value, list | str | bool):
        return value
    if name in SIDES and value >= 256:
        return max(1, value // 256) * 16
    if name in {"start_at_step", "end_at_step"}:
        return round(value * MOST["steps"] / node["inputs"]["steps"])
    return min(value, MOST.get(name, value))
