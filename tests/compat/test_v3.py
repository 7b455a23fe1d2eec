"""V3 schemas as node types."""

from __future__ import annotations

import pytest

from compat.v3.adapter import gathered, is_v3, outcome_of_output
from compat.v3.schema import NodeOutput, Schema, io_names
from execution.node import ExecutionBlocker

from .conftest import PACKS


@pytest.fixture
def modern(load):
    return load({}, PACKS, only={"modern"})


def test_a_rejected_schema_leaves_the_nodes_after_it(modern) -> None:
    (report,) = [each for each in modern.reports if each.name == "modern"]
    assert report.nodes == ("Everything", "Half", "Choose", "Grow", "Preview", "Unfold", "State")
    (problem,) = report.problems
    assert (problem.where, problem.reason) == ("node Rejected", "TypeError: this schema is of the future")


def test_object_info_shows_a_schema_as_comfyui_does(modern) -> None:
    info = {each.spec.name: each.spec.object_info() for each in modern.node_types}
    assert info["Everything"] == {
        "input": {
            "required": {
                "count": ["INT", {"tooltip": "How many.", "default": 1, "min": 0, "max": 10, "step": 1,
                                  "control_after_generate": True}],
                "amount": ["FLOAT", {"default": 0.5, "min": 0.0, "max": 1.0, "round": 0.01,
                                     "display": "slider"}],
                "words": ["STRING", {"multiline": True, "dynamicPrompts": True, "placeholder": "say"}],
                "on": ["BOOLEAN", {"default": True, "label_on": "yes", "label_off": "no"}],
                "mode": ["COMBO", {"default": "Soft", "multiselect": False, "options": ["Soft", "Hard"]}],
                "file": ["COMBO", {"multiselect": False, "options": ["a.png"], "image_upload": True}],
                "several": ["COMBO", {"default": ["x"], "multiselect": True, "options": ["x", "y"]}],
            },
            "optional": {
                "cheese": ["CHEESE", {"forceInput": True}],
                "either": ["IMAGE,MASK"],
                "any": ["*", {"lazy": True, "future_keyword": 3}],
            },
            "hidden": {"unique_id": ["UNIQUE_ID"]},
        },
        "input_order": {
            "required": ["count", "amount", "words", "on", "mode", "file", "several"],
            "optional": ["cheese", "either", "any"],
            "hidden": ["unique_id"],
        },
        "output": ["INT", "CHEESE", "STRING"],
        "output_is_list": [False, False, True],
        "output_name": ["number", "CHEESE", "STRING"],
        "output_tooltips": ["The count.", "", ""],
        "name": "Everything",
        "display_name": "Everything At Once",
        "description": "All kinds of inputs.",
        "python_module": "custom_nodes.modern",
        "category": "modern",
        "output_node": False,
        "experimental": True,
        "search_aliases": ["all"],
    }  # fmt: skip
    assert info["Half"]["display_name"] is None
    assert info["Preview"]["input"]["hidden"] == {"prompt": ["PROMPT"], "extra_pnginfo": ["EXTRA_PNGINFO"]}
    assert info["Choose"]["input"]["required"]["a"][0] == "*"


def test_validation_and_any_name_are_in_the_spec(modern) -> None:
    specs = {each.spec.name: each.spec for each in modern.node_types}
    assert specs["Half"].custom_validation == {"value"}
    assert specs["Grow"].accepts_extra_inputs
    assert not specs["Half"].accepts_extra_inputs
    assert specs["Grow"].by_name["numbers"].group == "optional"
    template = specs["Grow"].by_name["numbers"].options["template"]
    assert template == {
        "input": {"required": {"number": ["INT", {}]}},
        "min": 1,
        "prefix": "number",
        "max": 5,
    }
    assert specs["Grow"].by_name["how"].options["options"][1] == {
        "key": "scaled",
        "inputs": {"required": {"scale": ["INT", {"default": 1}]}},
    }


def test_parts_are_gathered_under_their_whole() -> None:
    inputs = {"a.x": 1, "a.y.z": 2, "b": "key", "b.p": 3, "c": 4, "d.e": 5}
    assert gathered(inputs, {"a": None, "b": None, "n": None}) == {
        "a": {"x": 1, "y.z": 2},
        "b": {"b": "key", "p": 3},
        "n": {},
        "c": 4,
        "d.e": 5,
    }


def test_schemas_keep_what_they_do_not_know() -> None:
    schema = Schema("X", category="c", is_output_node=None, from_the_future=[1])
    assert (schema.node_id, schema.category, schema.is_output_node, schema.inputs) == ("X", "c", False, [])
    assert schema.more == {"from_the_future": [1]}
    with pytest.raises(AttributeError, match="nonsense"):
        print(schema.nonsense)


def test_outputs_of_both_kinds_become_outcomes() -> None:
    assert outcome_of_output(NodeOutput(1, 2, ui={"a": [1]})).outputs == (1, 2)
    assert outcome_of_output((1,)).outputs == (1,)
    blocked = outcome_of_output(NodeOutput(block_execution="why")).blocked
    assert isinstance(blocked, ExecutionBlocker)
    assert blocked.message == "why"
    from_dict = NodeOutput.from_dict({"result": ExecutionBlocker("no"), "ui": {"a": [1]}})
    assert (from_dict.block_execution, from_dict.ui, from_dict.result) == ("no", {"a": [1]}, None)
    assert NodeOutput.from_dict({"result": (1,)}).result == (1,)


async def test_bases_ask_to_be_written() -> None:
    names = io_names()
    node = names["ComfyNode"]
    for missing in (node.GET_SCHEMA, node.execute):
        with pytest.raises(NotImplementedError, match="ComfyNode has no"):
            missing()
    from compat.v3.schema import ComfyExtension

    with pytest.raises(NotImplementedError, match="get_node_list"):
        await ComfyExtension().get_node_list()
    assert is_v3(type("Own", (node,), {}))
    assert not is_v3(object)
    assert not is_v3(3)


def test_every_type_has_inputs_outputs_and_a_name() -> None:
    for name in ("Image", "Model", "SVG", "WanCameraEmbedding", "AnyType"):
        kind = io_names()[name]
        assert kind.Input("x").get_io_type() == kind.Output().get_io_type() == kind.io_type
        assert kind.Type is not None
    own = io_names()["Custom"]("MINE").Input("x", "Shown", True, "Tip")
    assert (own.get_io_type(), own.optional, own.options()) == (
        "MINE",
        True,
        {"display_name": "Shown", "tooltip": "Tip"},
    )
    widened = io_names()["MultiType"].Input(io_names()["Float"].Input("f", default=1.0), [io_names()["Int"]])
    assert (widened.id, widened.get_io_type(), widened.options()) == ("f", "FLOAT,INT", {"default": 1.0})
