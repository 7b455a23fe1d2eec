"""Each example in web/examples runs, on the shipped checkpoint and on small stand-ins for other models."""

import asyncio
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image as PIL
from safetensors.torch import save_file

from diffusion.precision import Precision
from diffusion.residency import Residency
from execution.engine import Engine, Job, Result
from execution.folders import Folders
from execution.validation import validate_with
from nodes.program import build_registry
from server.examples import examples as listed
from tests.nodes import example_models

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "web" / "examples"
NAMES = sorted(path.stem for path in FOLDER.glob("*.json"))
Prompt = Mapping[str, Mapping[str, Any]]
TEXTS: Mapping[str, Mapping[str, str]] = {}
"""What nodes show as text, by example and title."""
SIZES: Mapping[str, Mapping[str, tuple[int, int]]] = {}
"""How large the pictures are that nodes show, by example and title."""


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Folders:
    """A data folder with the files that the examples name."""
    base = tmp_path_factory.mktemp("data")
    folders = Folders(base)
    example_models.make(folders.models_root)
    folders.add_models("checkpoints", ROOT / "models" / "checkpoints")
    for root in (folders.input, folders.output):
        root.mkdir()
        picture().save(root / "example.png")
    save_file(
        {"latent_tensor": torch.zeros(1, 4, 8, 8), "latent_format_version_0": torch.tensor([])},
        folders.input / "example.latent",
    )
    return folders


def picture() -> PIL.Image:
    """A gradient whose left half is transparent."""
    rows, columns = np.mgrid[0:96, 0:128].astype(np.uint8)
    alpha = np.where(columns < 64, 0, 255).astype(np.uint8)
    return PIL.fromarray(np.dstack([2 * columns, 2 * rows, 255 - columns, alpha]))


@pytest.fixture(scope="module")
def engine(folders: Folders) -> Iterator[Engine]:
    """The program's nodes; what one example computes, the next finds."""
    with Engine(build_registry(folders, Residency(Precision("fp32"), "cpu"))) as engine:
        yield engine


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
    result = engine.run_sync(Job(name, prompt))
    assert result.status == "success", result.failure
    assert set(outputs(engine, prompt)) <= {*result.executed, *result.cached}
    for title, text in TEXTS.get(name, {}).items():
        assert shown(prompt, result, title)["text"] == [text]
    for title, size in SIZES.get(name, {}).items():
        (file, *_) = shown(prompt, result, title)["images"]
        with PIL.open(folders.roots[file["type"]] / file["subfolder"] / file["filename"]) as found:
            assert found.size == size


def shown(prompt: Prompt, result: Result, title: str) -> Mapping[str, Any]:
    """What the node of a title shows."""
    (key,) = (key for key, node in prompt.items() if node.get("_meta", {}).get("title") == title)
    return result.ui[key]
