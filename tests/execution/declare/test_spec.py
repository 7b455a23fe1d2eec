"""Specs in ComfyUI's shape and in our own, both ways, also all that ComfyUI was recorded to say."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from execution.declare.spec import InputSpec, NodeSpec, OutputSpec

RECORDED = Path(__file__).parents[2] / "nodes" / "object_info.json"

SPEC = NodeSpec(
    name="Thing",
    display_name="A Thing",
    category="a/b",
    description="Does things.",
    inputs=(
        InputSpec("model", "MODEL"),
        InputSpec("count", "INT", {"default": 1, "min": 0}),
        InputSpec("mode", ("a", "b")),
        InputSpec("file", ("none",), {"tooltip": "t"}),
        InputSpec("other_file", "COMBO", {"multiselect": False, "options": []}),
        InputSpec("mask", "MASK", {"lazy": True}, "optional"),
        InputSpec("raw", "*", {"rawLink": True, "forceInput": True}, "optional"),
        InputSpec("prompt", "PROMPT", None, "hidden"),
        InputSpec("id", "UNIQUE_ID", {}, "hidden"),
    ),
    outputs=(OutputSpec("IMAGE", "IMAGE", True, "all of them"), OutputSpec("choice", ("a", "b"))),
    output_node=True,
    deprecated=True,
    python_module="pack.module",
    search_aliases=("stuff",),
    folders={"file": "vae", "other_file": "loras"},
    custom_validation=frozenset({"count"}),
    code="abc",
)


def listing(kind: str) -> list[str]:
    return {"vae": ["x.pt", "none"], "loras": ["l.pt"]}[kind]


def test_a_spec_shows_itself_as_comfyui_would() -> None:
    assert SPEC.object_info(listing) == {
        "input": {
            "required": {
                "model": ["MODEL"],
                "count": ["INT", {"default": 1, "min": 0}],
                "mode": [["a", "b"]],
                "file": [["x.pt", "none"], {"tooltip": "t"}],
                "other_file": ["COMBO", {"multiselect": False, "options": ["l.pt"]}],
            },
            "optional": {
                "mask": ["MASK", {"lazy": True}],
                "raw": ["*", {"rawLink": True, "forceInput": True}],
            },
            "hidden": {"prompt": "PROMPT", "id": ["UNIQUE_ID"]},
        },
        "input_order": {
            "required": ["model", "count", "mode", "file", "other_file"],
            "optional": ["mask", "raw"],
            "hidden": ["prompt", "id"],
        },
        "output": ["IMAGE", ["a", "b"]],
        "output_is_list": [True, False],
        "output_name": ["IMAGE", "choice"],
        "output_tooltips": ["all of them", ""],
        "name": "Thing",
        "display_name": "A Thing",
        "description": "Does things.",
        "python_module": "pack.module",
        "category": "a/b",
        "output_node": True,
        "deprecated": True,
        "search_aliases": ["stuff"],
    }


def test_without_folders_only_the_fixed_choices_are_shown() -> None:
    required = SPEC.object_info()["input"]["required"]
    assert required["file"] == [["none"], {"tooltip": "t"}]
    assert required["other_file"][1]["options"] == []
    plain = NodeSpec("A")
    assert plain.listed(listing) is plain
    assert plain.object_info()["input"] == {"required": {}}


def test_a_spec_survives_json_whole() -> None:
    for spec in (SPEC, NodeSpec("Empty")):
        shape = json.loads(json.dumps(spec.to_json()))
        assert NodeSpec.from_json(shape) == spec
        assert NodeSpec.from_json({**shape, "added_later": 1}) == spec


def test_inputs_answer_what_the_engine_asks() -> None:
    by_name = SPEC.by_name
    assert [name for name, each in by_name.items() if each.is_combo] == ["mode", "file", "other_file"]
    assert by_name["mode"].choices == ("a", "b")
    assert by_name["other_file"].choices == ()
    assert by_name["model"].choices is None
    assert InputSpec("remote", "COMBO", {"remote": {}}).choices is None
    assert (by_name["mode"].socket, by_name["model"].socket, SPEC.outputs[1].socket) == (
        "COMBO",
        "MODEL",
        "COMBO",
    )
    assert by_name["raw"].raw_link
    assert by_name["raw"].force_input
    assert not by_name["model"].force_input
    assert SPEC.lazy_inputs == {"mask"}
    assert SPEC.raw_inputs == {"raw"}
    assert [each.name for each in SPEC.required] == ["model", "count", "mode", "file", "other_file"]


@pytest.mark.parametrize(
    ("spec", "keyed", "reads"),
    [
        (NodeSpec("A"), False, False),
        (NodeSpec("A", not_idempotent=True), True, False),
        (NodeSpec("A", inputs=(InputSpec("i", "UNIQUE_ID", None, "hidden"),)), True, False),
        (NodeSpec("A", inputs=(InputSpec("d", "DYNPROMPT", None, "hidden"),)), True, True),
        (NodeSpec("A", inputs=(InputSpec("p", "PROMPT", None, "hidden"),)), False, False),
        (NodeSpec("A", inputs=(InputSpec("r", "*", {"rawLink": True}),)), False, True),
    ],
)
def test_some_types_are_keyed_by_id_and_some_read_the_graph(spec: NodeSpec, keyed: bool, reads: bool) -> None:
    assert (spec.keyed_by_id, spec.reads_graph) == (keyed, reads)


def test_comfyuis_shape_is_read_also_where_it_is_odd() -> None:
    shape: dict[str, Any] = {
        "input": {"required": {"b": ["INT"], "a": [["x"], {}]}, "hidden": {"p": "PROMPT", "q": ["PROMPT"]}},
        "output": ["IMAGE", ["x", "y"]],
        "experimental": True,
        "api_node": True,
    }
    spec = NodeSpec.from_object_info("Odd", shape)
    assert [each.name for each in spec.inputs] == ["b", "a", "p", "q"]
    assert [each.options for each in spec.inputs] == [None, {}, None, {}]
    assert [(each.name, each.type) for each in spec.outputs] == [
        ("IMAGE", "IMAGE"),
        ("['x', 'y']", ("x", "y")),
    ]
    assert spec.experimental
    assert spec.object_info()["api_node"] is True
    assert NodeSpec.from_object_info("Nothing", {}) == NodeSpec("Nothing")


def test_recorded_specs_come_out_as_they_went_in() -> None:
    everything = json.loads(RECORDED.read_text())
    assert len(everything) > 300
    for name, recorded in everything.items():
        shown = NodeSpec.from_object_info(name, recorded).object_info()
        assert {key: shown.get(key, False) for key in recorded} == recorded
