"""V3 schemas as node types."""

from __future__ import annotations

import pytest

from compat.host import Host
from compat.v3.adapter import gathered, is_v3, outcome_of_output
from compat.v3.schema import NodeOutput, Schema, io_names
from compat.v3.ui import ui_names
from execution.declare.node import ExecutionBlocker
from execution.events import Blocked
from execution.files.folders import Folders
from tests.compat.conftest import PACKS, Bench, graph


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
    assert info["Choose"]["input"]["required"]["a"] == [
        "COMFY_MATCHTYPE_V3",
        {"lazy": True, "template": {"template_id": "T", "allowed_types": "*"}},
    ]
    assert info["Choose"]["output"] == ["COMFY_MATCHTYPE_V3"]
    assert info["Choose"]["output_matchtypes"] == ["T"]


def test_v1_nodes_find_inputs_of_v3_nodes_in_their_shape(modern, host) -> None:
    assert host.classes["Half"].INPUT_TYPES() == {
        "required": {"value": ("INT", {"default": 2})},
        "optional": {},
    }


def test_validation_and_any_name_are_in_the_spec(modern) -> None:
    specs = {each.spec.name: each.spec for each in modern.node_types}
    assert specs["Half"].custom_validation == {"value"}
    assert specs["Grow"].accepts_extra_inputs
    assert not specs["Half"].accepts_extra_inputs
    assert specs["Grow"].by_name["numbers"].group == "required"
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
    assert gathered(inputs, {"a", "b", "n"}) == {
        "a": {"x": 1, "y.z": 2},
        "b": {"b": "key", "p": 3},
        "n": {},
        "c": 4,
        "d.e": 5,
    }


def test_a_choice_inside_of_a_branch_is_gathered_too() -> None:
    inputs = {"format": "video", "format.codec": "h264", "format.codec.quality": 3, "format.rate": 24}
    codec = {"codec": "h264", "quality": 3}
    whole = {"format": {"format": "video", "codec": codec, "rate": 24}}
    assert gathered(inputs, {"format", "format.codec", "format.other"}) == whole


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


# Through the engine


def test_hidden_facts_and_lists_come_through(behaviours: Bench) -> None:
    inputs = {
        "count": 4,
        "amount": 0.5,
        "words": "",
        "on": True,
        "mode": "Hard",
        "file": "a.png",
        "several": ["y"],
    }
    assert behaviours.run(graph(e=("Everything", inputs)), "e")["e"] == ([4], ["e"], ["Hard", "y"])


async def test_validation_names_the_input(behaviours: Bench) -> None:
    prompt = graph(h=("Half", {"value": 13}), s=("Show", {"value": ("h", 0)}))
    validation = await behaviours.validated(prompt)
    assert validation.node_errors["h"]["errors"][0]["details"] == "value - 13 brings bad luck"


def test_fingerprints_decide_whether_a_node_runs_again(behaviours: Bench) -> None:
    ran = []
    for value in (98, 98, 100, 99, 99):
        behaviours.engine.run_sync(behaviours.job(graph(h=("Half", {"value": value})), "h"))
        ran.append(bool(behaviours.ran))
    assert ran == [True, False, True, True, True]


def test_a_blocked_execution_stops_what_follows(behaviours: Bench) -> None:
    prompt = graph(h=("Half", {"value": 3}), s=("Show", {"value": ("h", 0)}))
    result = behaviours.engine.run_sync(behaviours.job(prompt))
    assert (result.status, behaviours.ran) == ("success", ["h"])
    assert [event.message for event in behaviours.of(Blocked)] == ["odd"]


@pytest.mark.parametrize("first", [True, False])
def test_lazy_inputs_of_one_type_are_computed_when_chosen(behaviours: Bench, first: bool) -> None:
    prompt = graph(
        a=("Add", {"a": 1, "b": 0}),
        b=("Add", {"a": 2, "b": 0}),
        c=("Choose", {"first": first, "a": ("a", 0), "b": ("b", 0)}),
    )
    assert behaviours.run(prompt, "c")["c"] == ([1 if first else 2],)
    assert ("a" in behaviours.ran, "b" in behaviours.ran) == (first, not first)


def test_growing_and_branching_inputs_arrive_as_dicts(behaviours: Bench) -> None:
    numbers = {"numbers.number0": ("a", 0), "numbers.number1": ("b", 0)}
    prompt = graph(
        a=("Add", {"a": 1, "b": 0}),
        b=("Add", {"a": 5, "b": 0}),
        sum=("Grow", {**numbers, "how": "sum"}),
        scaled=("Grow", {**numbers, "how": "scaled", "how.scale": 10}),
    )
    outputs = behaviours.run(prompt, "sum", "scaled")
    assert (outputs["sum"], outputs["scaled"]) == (([6],), ([60],))


def test_texts_are_shown_and_expansions_run(behaviours: Bench) -> None:
    prompt = graph(p=("Preview", {"words": "hello"}), u=("Unfold", {"value": 12}))
    result = behaviours.engine.run_sync(behaviours.job(prompt, "p", "u"))
    assert list(result.ui["p"]["text"]) == ["hello"]
    assert result.outputs["u"] == ([6],)


def test_what_a_call_writes_to_its_class_is_gone_in_the_next(behaviours: Bench) -> None:
    prompt = graph(a=("State", {"value": 1}), b=("State", {"value": 2}))
    outputs = behaviours.run(prompt, "a", "b")
    assert (outputs["a"], outputs["b"]) == (([1],), ([1],))


def test_pictures_sounds_and_masks_are_shown_from_temporary_files(host: Host, folders: Folders) -> None:
    import wave
    from types import SimpleNamespace

    import torch
    from PIL import Image

    ui = ui_names(host)
    cls = SimpleNamespace(hidden=SimpleNamespace(prompt={"1": {}}, extra_pnginfo={"workflow": {}}))
    shown = ui["PreviewImage"](torch.rand(2, 4, 6, 3), cls=cls, animated=True).as_dict()
    assert shown["animated"] == (True,)
    assert [each["type"] for each in shown["images"]] == ["temp", "temp"]
    with Image.open(folders.temp / shown["images"][1]["filename"]) as picture:
        assert (picture.size, picture.text["prompt"]) == ((6, 4), '{"1": {}}')
    grey = ui["PreviewMask"](torch.ones(1, 4, 6)).values[0]
    with Image.open(folders.temp / grey.filename) as picture:
        assert picture.getpixel((0, 0)) == (255, 255, 255)
    sound = ui["PreviewAudio"]({"waveform": torch.zeros(1, 2, 100), "sample_rate": 8000}).values[0]
    with wave.open(str(folders.temp / sound.filename)) as file:
        assert (file.getnchannels(), file.getnframes(), file.getframerate()) == (2, 100, 8000)
    saved = ui["ImageSaveHelper"].get_save_images_ui(torch.rand(1, 4, 4, 3), "kept/x", cls=cls).as_dict()
    assert saved == {"images": [{"filename": "x_00001_.png", "subfolder": "kept", "type": "output"}]}
    assert ui["PreviewText"]("a").as_dict() == {"text": ["a"]}
