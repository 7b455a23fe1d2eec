"""Each example in web/examples runs, on the shipped checkpoint and on small stand-ins for other models."""

import asyncio
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image as PIL

from diffusion.residency.budget import Residency
from diffusion.residency.precision import Precision
from execution.check.validation import validate_with
from execution.engine import Engine, Result
from execution.files.folders import Folders
from execution.job import Job
from nodes.program import build_registry
from server.examples import examples as listed
from tests.nodes import example_inputs, example_models

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "web" / "examples"
NAMES = sorted(path.stem for path in FOLDER.glob("*.json"))
Prompt = Mapping[str, Mapping[str, Any]]
TEXTS: Mapping[str, Mapping[str, str]] = {
    "change-a-film": {"Pictures a second": "8.0"},
    "image-sizes": {"Width": "128", "Height": "128", "How many": "1"},
    "lists": {"How many": "3"},
    "regular-expressions": {
        "Is there a text?": "true",
        "What they show": "apple\nlemon",
        "Without zeros": "apple 12.png\nlemon 7.png\nnotes.txt",
    },
    "strings": {
        "Put together": "a quiet harbour at dusk, soft light",
        "Its start": "a quiet harbour",
        "How long": "23",
        "Is it at the sea?": "true",
        "Is it late?": "true",
    },
    "while-loop": {"What comes out": "very, very, very, very"},
    "wildcards": {"What was drawn by lot": "an apple on a yellow background"},
}
"""What nodes show as text, by example and title."""
SIZES: Mapping[str, Mapping[str, list[tuple[int, int]]]] = {
    "choices": {"The sky": [(64, 64)], "The boat": [(32, 16)]},
    "crop-and-stitch": {"The whole again": [(256, 256)]},
    "crop-flip-and-turn": {"A piece": [(64, 48)], "Side by side": [(264, 128)]},
    "deep-shrink": {"Larger than it was trained for": [(192, 192)]},
    "for-each": {"The strip": [(152, 48)], "Each inverted": [(48, 48)] * 3},
    "image-batches": {"Four": [(64, 64)] * 4, "The two in the middle": [(64, 64)] * 2},
    "image-sizes": {
        "To a size": [(160, 96)],
        "By a factor": [(192, 192)],
        "To so many pixels": [(102, 102)],
        "To the longer side": [(96, 96)],
        "With a border": [(192, 96)],
    },
    "latent-mixtures": {"Side by side": [(256, 128)], "The middle of both": [(128, 128)]},
    "latent-shapes": {"A piece": [(64, 64)], "To a size": [(160, 96)], "By a factor": [(96, 96)]},
    "lists": {"The last": [(128, 64)], "One batch": [(48, 32)] * 3, "Apart again": [(32, 48)] * 3},
    "other-views": {"From the right": [(128, 128)], "From all sides": [(128, 128)] * 4},
    "outpaint": {"Wider": [(192, 128)]},
    "pictures-to-learn-from": {"The pictures": [(128, 96)] * 2, "At one size": [(64, 64)] * 2},
    "primitives": {"Two squares": [(128, 64)]},
    "samplers-solvers": {"Growing while sampled": [(192, 192)]},
    "save-images": {"PNG": [(128, 128)], "WebP": [(128, 128)], "JPEG": [(128, 128)], "AVIF": [(128, 128)]},
    "tiny-vae": {"By the checkpoint's own VAE": [(128, 128)], "By the tiny one": [(128, 128)]},
    "upscale-with-a-network": {"Enlarged": [(256, 256)]},
    "x4-upscaler": {"Four times as large": [(128, 128)]},
}
"""How large the pictures are that nodes show, by example and title."""


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Folders:
    """A data folder with the models and files that the examples name."""
    base = tmp_path_factory.mktemp("data")
    folders = Folders(base)
    example_models.make(folders.models_root)
    for kind in ("checkpoints", "controlnet", "loras"):
        folders.add_models(kind, ROOT / "models" / kind)
    example_inputs.make(folders)
    return folders


@pytest.fixture(scope="module")
def engine(folders: Folders) -> Iterator[Engine]:
    """The program's nodes; what one example computes, the next finds."""
    with Engine(build_registry(folders, Residency(Precision("fp32"), "cpu"))) as engine:
        yield engine


@pytest.fixture(autouse=True)
def without_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    """A network to be compiled is traced as ever; the compiler itself, which takes minutes, is not run."""
    compiled = torch.compile
    monkeypatch.setattr(torch, "compile", lambda function, backend: compiled(function, backend="eager"))


def prompt_of(name: str) -> Prompt:
    found: Prompt = json.loads((FOLDER / f"{name}.json").read_text())
    return found


def outputs(engine: Engine, prompt: Prompt) -> list[str]:
    """The output nodes of a prompt."""
    types = engine.registry.types
    return [key for key, node in prompt.items() if types[node["class_type"]].spec.output_node]


def links(node: Mapping[str, Any]) -> Iterator[str]:
    """The nodes that a node is linked to."""
    for value in node["inputs"].values():
        if isinstance(value, list) and len(value) == 2 and isinstance(value[0], str):
            yield value[0]


def test_the_server_lists_each_example() -> None:
    answer = listed(FOLDER)
    assert [each["name"] for each in answer["examples"]] == NAMES
    assert not answer["broken"]
    assert len({each["title"] for each in answer["examples"]}) == len(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_an_example_is_tidy(engine: Engine, name: str) -> None:
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", name)
    prompt = prompt_of(name)
    pending = outputs(engine, prompt)
    assert pending
    used = set(pending)
    while pending:
        new = set(links(prompt[pending.pop()])) - used
        used |= new
        pending += new
    assert used == prompt.keys(), "nodes that lead nowhere, or links to nodes that are not there"
    assert all(key.isdigit() for key in prompt)


@pytest.mark.parametrize("name", NAMES)
def test_an_example_runs(engine: Engine, folders: Folders, name: str) -> None:
    prompt = prompt_of(name)
    validation = asyncio.run(validate_with(prompt, engine.registry, folders=folders))
    assert validation.response() == (200, {"node_errors": {}})
    result = engine.run_sync(Job(name, quick(prompt)))
    assert result.status == "success", result.failure
    assert set(outputs(engine, prompt)) <= {*result.executed, *result.cached}
    for title, text in TEXTS.get(name, {}).items():
        assert shown(prompt, result, title)["text"] == [text]
    for title, sizes in SIZES.get(name, {}).items():
        assert [size_of(folders, file) for file in shown(prompt, result, title)["images"]] == sizes


def quick(prompt: Prompt) -> Prompt:
    """The same with fewer steps: two by KSampler, four in schedules."""

    def shorter(node: Mapping[str, Any]) -> Mapping[str, Any]:
        kind, inputs = node["class_type"], node["inputs"]
        if kind != "KSampler" and not kind.endswith("Scheduler"):
            return node
        most = 2 if kind == "KSampler" else 4
        return {**node, "inputs": {**inputs, "steps": min(most, inputs["steps"])}}

    return {key: shorter(node) for key, node in prompt.items()}


def size_of(folders: Folders, file: Mapping[str, str]) -> tuple[int, int]:
    """Width and height of a picture that a node says it wrote."""
    with PIL.open(folders.roots[file["type"]] / file["subfolder"] / file["filename"]) as found:
        return found.size


def shown(prompt: Prompt, result: Result, title: str) -> Mapping[str, Any]:
    """What the node of a title shows."""
    (key,) = (key for key, node in prompt.items() if node.get("_meta", {}).get("title") == title)
    return result.ui[key]


def test_every_native_node_is_in_an_example(engine: Engine) -> None:
    """But for those that loops bring in by themselves."""
    used = {node["class_type"] for name in NAMES for node in prompt_of(name).values()}
    specs = {name: each.spec for name, each in engine.registry.types.items()}
    left_out = {name for name, spec in specs.items() if spec.category == "logic/loops/parts"}
    assert specs.keys() - used == left_out
