"""Values that no spec declares: a table that the editor's own rules are held to as well."""

import json
from pathlib import Path
from typing import Any

import pytest

from execution.declare.spec import NodeSpec
from workflows.prompt import to_prompt

DATA = Path(__file__).parents[1] / "web" / "data"
CASES = json.loads((DATA / "undeclared.json").read_text())


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_undeclared_values_travel_under_their_names(case: dict[str, Any]) -> None:
    spec = NodeSpec.from_object_info("Dynamic", case["spec"])
    node = {"id": 1, "type": "Dynamic", "mode": 0, **case["node"]}
    prompt, _ = to_prompt({"nodes": [node], "links": []}, {"Dynamic": spec})
    sent = prompt["1"]["inputs"]
    assert sent.pop("steps") == 3
    assert sent == {name: wrapped(value) for name, value in case["named"].items()}


def wrapped(value: Any) -> Any:
    return {"__value__": value} if isinstance(value, list) else value
