"""docs/custom-nodes.md tells the truth: its examples load and run, and its tables name what is there."""

from __future__ import annotations

import inspect
import re
from dataclasses import fields
from pathlib import Path

import pytest

from compat.reports import PackProblem, PackReport

DOCUMENT = (Path(__file__).parents[2] / "docs" / "custom-nodes.md").read_text("utf-8")
EXAMPLES = re.findall(r"```python\n(.*?)```", DOCUMENT, re.DOTALL)
RUNS = {
    # node of an example: its inputs and what it gives
    "BlendNumbers": ({"a": 1.0, "b": 3.0, "weight": 0.25}, 1.5),
    "BlendNumbersV3": ({"a": 1.0, "b": 3.0, "weight": 0.25}, 1.5),
    "Power": ({"base": 3, "exponent": 4}, 81),
    "Patience": ({"steps": 4}, 4),
}


@pytest.mark.parametrize("number", range(len(EXAMPLES)))
def test_every_example_loads_without_a_problem(load, number: int) -> None:
    packs = load({"example.py": EXAMPLES[number]})
    (report,) = packs.reports
    assert (report.state, report.problems) == ("loaded", ())
    assert set(report.nodes) & set(RUNS)


@pytest.mark.parametrize("name", RUNS)
def test_every_example_gives_what_it_promises(bench, load, name: str) -> None:
    load({f"example{number}.py": code for number, code in enumerate(EXAMPLES)})
    inputs, expected = RUNS[name]
    assert bench.run({"1": {"class_type": name, "inputs": inputs}}, "1")["1"] == ([expected],)


def table(heading: str) -> str:
    return DOCUMENT.partition(heading)[2].partition("\n## ")[0]


def test_every_part_of_a_report_is_documented() -> None:
    documented = set(re.findall(r"`(\w+)`", table("## When a pack fails")))
    assert {each.name for each in fields(PackReport)} <= documented
    assert {each.name for each in fields(PackProblem)} <= documented


def test_every_documented_name_of_a_value_is_there() -> None:
    from compat.values.clip import Clip
    from compat.values.model import DiffusionModel
    from compat.values.vae import Vae

    rows = dict(re.findall(r"^\| `(CLIP|VAE|MODEL)` \| (.*?) \|$", DOCUMENT, re.MULTILINE))
    for name, kind in {"CLIP": Clip, "VAE": Vae, "MODEL": DiffusionModel}.items():
        source = Path(inspect.getfile(kind)).read_text("utf-8")
        for attribute in re.findall(r"`(\w+)`", re.sub(r"\(.*?\)", "", rows[name])):
            assert hasattr(kind, attribute) or f"self.{attribute}" in source, (name, attribute)


def test_every_documented_module_can_be_imported(load) -> None:
    names = re.findall(
        r"`([a-z_.]+)`",
        "".join(re.findall(r"^\| (.*?) \|", table("## Which of ComfyUI's modules"), re.MULTILINE)),
    )
    modules = [name for name in names if not name.endswith(".")]
    assert len(modules) > 8
    packs = load(
        {"imports.py": "".join(f"import {name}\n" for name in modules) + "NODE_CLASS_MAPPINGS = {}\n"}
    )
    assert packs.reports[0].problems == ()
