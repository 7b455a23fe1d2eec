"""Which input a bypassed node hands on."""

from typing import Any

import pytest

from execution.declare.spec import InputSpec, NodeSpec, OutputSpec
from workflows.bypass import bypass


def node(inputs: list[tuple[str, str]], outputs: list[str]) -> dict[str, Any]:
    return {
        "inputs": [{"name": name, "type": kind, "link": index} for index, (name, kind) in enumerate(inputs)],
        "outputs": [{"name": kind, "type": kind} for kind in outputs],
    }


@pytest.mark.parametrize(
    ("inputs", "outputs", "slot", "wanted", "handed"),
    [
        ([("model", "MODEL"), ("clip", "CLIP")], ["MODEL", "CLIP"], 1, "CLIP", "clip"),
        ([("mask", "MASK"), ("image", "IMAGE")], ["IMAGE"], 0, "IMAGE", "image"),
        ([("mask", "MASK")], ["IMAGE"], 0, "IMAGE", None),
        ([("any", "*")], ["IMAGE"], 0, "IMAGE", "any"),
        ([("a", "IMAGE,MASK"), ("b", "IMAGE")], ["MASK", "IMAGE"], 0, "MASK", "a"),
        ([("a", "INT"), ("b", "FLOAT")], ["STRING"], 0, "*", "a"),
        ([], ["IMAGE"], 0, "*", None),
    ],
)
def test_the_input_that_fits_is_handed_on(
    inputs: list[tuple[str, str]], outputs: list[str], slot: int, wanted: str, handed: str | None
) -> None:
    found = bypass(node(inputs, outputs), slot, wanted, None)
    assert (found["name"] if found else None) == handed


def test_with_a_spec_sockets_stand_before_widgets() -> None:
    spec = NodeSpec(
        "A",
        "A",
        inputs=(InputSpec("text", "STRING", {}), InputSpec("image", "IMAGE")),
        outputs=(OutputSpec("IMAGE", "IMAGE"),),
    )
    found = bypass(node([("text", "STRING"), ("image", "IMAGE")], ["IMAGE"]), 0, "IMAGE", spec)
    assert found is not None
    assert (found["name"], found["link"]) == ("image", 1)
