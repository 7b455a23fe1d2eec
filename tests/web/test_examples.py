"""Each bundled template and example becomes a prompt in the editor, and runs on what is shipped; examples in
files open in the editor, and come back as they are.
"""

import copy
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from PIL import Image as PIL
from PIL import ImageStat

from diffusion.residency.budget import Residency
from diffusion.residency.precision import Precision
from execution.engine import Engine
from execution.files.folders import Folders
from execution.job import Job
from nodes.program import build_registry
from tests.web.chromium import NEEDS_CHROMIUM, place, until
from tests.web.node import NEEDS_NODE, NODE

ROOT = Path(__file__).parents[2]
MAKER = """
import { readFileSync } from "node:fs";
import { EXAMPLES } from "./web/core/examples.js";
import { TEMPLATES } from "./web/core/starter.js";
import { toPrompt } from "./web/core/prompt.js";
import { Library } from "./web/core/specs.js";
import { Catalogue } from "./web/core/catalogue.js";
const library = new Library(JSON.parse(readFileSync(0, "utf8")));
const all = [...TEMPLATES, ...EXAMPLES];
const made = all.map(({ name, build }) => [name, toPrompt(new Catalogue(build(library), library))]);
console.log(JSON.stringify(Object.fromEntries(made)));
"""
OPENER = """
import { readFileSync } from "node:fs";
import { Catalogue } from "./web/core/catalogue.js";
import { toPrompt } from "./web/core/prompt.js";
import { readPrompt } from "./web/core/prompt_import.js";
import { Library } from "./web/core/specs.js";
const { described, prompts } = JSON.parse(readFileSync(0, "utf8"));
const library = new Library(described);
const again = (prompt) => toPrompt(new Catalogue(readPrompt(prompt, library), library), { random: () => 0 });
const all = Object.entries(prompts).map(([name, prompt]) => [name, again(prompt)]);
console.log(JSON.stringify(Object.fromEntries(all)));
"""
TEMPLATES = (
    "Text to image",
    "Four at once",
    "Image to image",
    "Inpaint",
    "Enlarge",
    "Two passes",
    "Along edges",
    "From a scribble",
    "In a style",
)

EXAMPLES = (
    "For each",
    "While",
    "If",
    "Text that changes",
    "File formats",
    "Inpaint in place",
    "Hints",
    "Film and sound",
)
NAMES = TEMPLATES + EXAMPLES
SIDES = {
    "Inpaint": 128,
    "Image to image": 128,
    "Enlarge": 256,
    "Two passes": 192,
    "Inpaint in place": 300,
    "From a scribble": 128,
    "In a style": 128,
}
"""How wide a template's picture is, drawn from one of 300×200 whose left half is to be painted."""
BLUE = (74, 134, 236)
pytestmark = NEEDS_NODE


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Folders:
    """Folders beside the shipped models; the input is a blue picture whose left half is transparent."""
    folders = Folders(tmp_path_factory.mktemp("data"), models=ROOT / "models")
    folders.input.mkdir(parents=True, exist_ok=True)
    picture = PIL.new("RGBA", (300, 200), (*BLUE, 255))
    picture.paste((*BLUE, 0), (0, 0, 150, 200))
    picture.save(folders.input / "blue.png")
    return folders


@pytest.fixture(scope="module")
def engine(folders: Folders) -> Any:
    """The program's nodes over the shipped checkpoint."""
    registry = build_registry(folders, Residency(Precision("fp32"), "cpu"))
    with Engine(registry) as found:
        yield found


@pytest.fixture(scope="module")
def described(engine: Engine, folders: Folders) -> dict[str, Any]:
    """What the server tells the editor about the node types."""
    return {name: each.describe().object_info(folders.list) for name, each in engine.registry.types.items()}


@pytest.fixture(scope="module")
def prompts(described: dict[str, Any]) -> dict[str, Any]:
    """The prompts that the editor makes of the examples."""
    return asked(MAKER, described)


def asked(script: str, given: Any) -> dict[str, Any]:
    """What a script in the editor's language prints when it is given something."""
    done = subprocess.run(
        [str(NODE), "--input-type=module", "-e", script],
        cwd=ROOT,
        input=json.dumps(given),
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


def saved(folders: Folders, shown: dict[str, str]) -> PIL.Image:
    """The picture that a node shows."""
    return PIL.open(folders.output / shown["subfolder"] / shown["filename"])


def mean(picture: PIL.Image, box: tuple[int, int, int, int]) -> list[float]:
    """The mean colour of a part of a picture."""
    return ImageStat.Stat(picture.convert("RGB").crop(box)).mean


def far(colour: list[float], other: tuple[int, int, int]) -> float:
    """The largest distance of a channel."""
    return max(abs(a - b) for a, b in zip(colour, other, strict=True))


def count_frames(folders: Folders, shown: dict[str, str]) -> int:
    """How many pictures an animation has."""
    with saved(folders, shown) as picture:
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
    if name in SIDES:
        (shown,) = result.ui.values()
        with saved(folders, shown["images"][0]) as picture:
            assert picture.width == SIDES[name]


def test_templates_ask_for_what_the_default_checkpoint_draws_best(prompts: dict[str, Any]) -> None:
    for name in TEMPLATES:
        nodes = list(prompts[name].values())
        (loader,) = (each for each in nodes if each["class_type"] == "CheckpointLoaderSimple")
        assert loader["inputs"]["ckpt_name"] == "nodeloom-emoji.safetensors"
        samplers = [each["inputs"] for each in nodes if each["class_type"] == "KSampler"]
        assert {(each["sampler_name"], each["scheduler"]) for each in samplers} == {("dpmpp_2m", "karras")}
        for each in samplers:
            larger_than_trained = each["denoise"] <= 0.3
            along_lines = name in ("Along edges", "From a scribble")
            assert each["cfg"] == (1 if larger_than_trained else 2.5 if along_lines else 5)
        for each in nodes:
            if each["class_type"] == "EmptyLatentImage":
                assert (each["inputs"]["width"], each["inputs"]["height"]) == (128, 128)


@pytest.mark.parametrize("name", ["Inpaint", "Inpaint in place"])
def test_inpainting_keeps_what_is_not_painted(
    engine: Engine, prompts: dict[str, Any], folders: Folders, name: str
) -> None:
    prompt = copy.deepcopy(prompts[name])
    for node in prompt.values():
        if node["class_type"] == "CLIPTextEncode" and node["inputs"]["text"]:
            node["inputs"]["text"] = "a lemon on a yellow background"
        if node["class_type"] == "KSampler":
            node["inputs"]["steps"] = 20
    result = engine.run_sync(Job(name, prompt))
    assert result.status == "success", result.failure
    (shown,) = result.ui.values()
    with saved(folders, shown["images"][0]) as picture:
        width, height = picture.size
        kept = mean(picture, (width * 3 // 4, 0, width, height))
        painted = mean(picture, (0, 0, width // 2, height))
    assert 4 * far(kept, BLUE) < far(painted, BLUE)


def test_examples_in_files_come_back_from_the_editor_as_they_are(described: dict[str, Any]) -> None:
    files = sorted((ROOT / "web" / "examples").glob("*.json"))
    prompts = {path.stem: json.loads(path.read_text()) for path in files}
    again = asked(OPENER, {"described": described, "prompts": prompts})
    for name, prompt in prompts.items():
        assert prompt.keys() == again[name].keys(), name
        for key, node in prompt.items():
            found = again[name][key]
            assert (name, key, node["class_type"]) == (name, key, found["class_type"])
            assert node["inputs"].items() <= found["inputs"].items(), f"{name}, node {key}"


def opened(page: Any) -> tuple[str, set[str]]:
    """The name of the tab that is shown, and the node types in it."""
    types = page.evaluate("[...nodeloom.editor.workflow.root.nodes.values()].map((node) => node.type)")
    return page.evaluate("nodeloom.editor.tab.name"), set(types)


@NEEDS_CHROMIUM
def test_a_node_leads_to_examples_of_it(page: Any) -> None:
    tabs = page.evaluate("nodeloom.documents.tabs.length")
    decode = "[...nodeloom.editor.workflow.root.nodes.values()].find((node) => node.type === 'VAEDecode').id"
    page.mouse.click(
        *place(page, f"(() => {{ const [x, y] = e.scene.node({decode}).pos; return [x + 60, y - 14]; }})()"),
        button="right",
    )
    page.click(".menu >> text=Open an example")
    until(page, f"nodeloom.documents.tabs.length === {tabs + 1}")
    name, types = opened(page)
    assert name != "Text to image"
    assert "VAEDecode" in types
    page.evaluate(f"nodeloom.editor.select([{decode}])")
    page.keyboard.press("F1")
    page.wait_for_selector(".help-examples button")
    offered = page.eval_on_selector_all(".help-examples button", "all => all.map((each) => each.textContent)")
    assert name in offered
    page.click(f".help-examples button >> text={offered[-1]}")
    until(page, f"nodeloom.documents.tabs.length === {tabs + 2}")
    assert "VAEDecode" in opened(page)[1]


@NEEDS_CHROMIUM
def test_templates_are_searched_by_node(page: Any) -> None:
    page.evaluate("nodeloom.commands.run('templates')")
    page.wait_for_selector("dialog[open] .card")
    count = len(page.query_selector_all(".card"))
    page.keyboard.type("StringTrim")
    until(page, f"document.querySelectorAll('.card').length < {count}")
    page.click(".card >> text=Strings")
    until(page, "nodeloom.editor.tab.name === 'Strings'")
    assert "StringTrim" in opened(page)[1]
    page.evaluate("nodeloom.commands.run('templates')")
    page.fill("dialog[open] input", "no such thing")
    until(page, "document.querySelector('dialog[open]').textContent.includes('Nothing fits')")
