"""The table of workflow files that the editor's own conversion is held to, held against the server's."""

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from execution.declare.spec import NodeSpec
from workflows.prompt import to_prompt

DATA = Path(__file__).parents[1] / "web" / "data"
CASES = json.loads((DATA / "conversions.json").read_text())
INFO = json.loads((DATA / "object_info.json").read_text())
SPECS = {name: NodeSpec.from_object_info(name, shape) for name, shape in INFO.items()}


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_a_workflow_becomes_the_prompt_that_the_editor_sends(case: dict[str, Any]) -> None:
    own = {name: NodeSpec.from_object_info(name, shape) for name, shape in case.get("info", {}).items()}
    now = datetime(2024, 5, 6, 7, 8, 9)
    prompt, _ = to_prompt(case["workflow"], {**SPECS, **own}, lambda choices: choices[0], now=now)
    assert {number: node["inputs"] for number, node in prompt.items()} == case["inputs"]
    for number, title in case.get("titles", {}).items():
        assert prompt[number]["_meta"]["title"] == title
    for number, kind in case.get("types", {}).items():
        assert prompt[number]["class_type"] == kind
