"""Every node we have is declared as the reference declares it, and explained in our own words."""

import json
from pathlib import Path
from typing import Any

import pytest

from execution.node import NativeNode
from nodes.library import native_types

REFERENCE: dict[str, Any] = json.loads((Path(__file__).parent / "object_info.json").read_text())
OURS = {each.spec.name: each for each in native_types()}
PRESENTATION = {"name", "description", "python_module", "search_aliases", "output_tooltips"}
BEYOND = {
    "SaveImageWebsocket",  # the reference ships it as an example pack, so the recording lacks it
    "CropAroundMask",
    "StitchBack",
    "SavePicture",
    "CLIPTextEncodeModes",
    "WildcardText",
    *("ScribbleHint", "LineArtHint", "TileHint", "BlurHint", "RecolourHint", "DepthHint", "NormalHint"),
    *("IfElse", "SwitchValue", "MakeList", "BatchToList", "ListToBatch", "ListItem", "ListLength"),
    *("ForEachStart", "ForEachEnd", "WhileStart", "WhileEnd", "WhileRound", "LoopItem", "LoopGather"),
}
LISTS_FILES = {"image": ["example.png"], "vae_name": ["pixel_space"]}  # what lay in the recorded folders


def without_tooltips(shape: Any) -> Any:
    """An input's shape without tooltips, and without options that were nothing else."""
    if isinstance(shape, dict):
        return {key: without_tooltips(value) for key, value in shape.items() if key != "tooltip"}
    if isinstance(shape, list):
        parts = [without_tooltips(each) for each in shape]
        return parts[:1] if len(parts) == 2 and parts[1] == {} else parts
    return shape


def without_files(name: str, shape: Any) -> Any:
    """An input's shape without the files that happened to lie in a folder."""
    if isinstance(shape, list) and shape[0] == LISTS_FILES.get(name):
        return [[], *shape[1:]]
    return shape


@pytest.mark.parametrize("name", sorted(OURS))
def test_object_info_equals_the_recorded_one(name: str) -> None:
    if name in BEYOND:
        assert name not in REFERENCE
        return
    ours = json.loads(json.dumps(OURS[name].spec.object_info()))
    theirs = REFERENCE[name]
    assert set(ours) - PRESENTATION == set(theirs) - PRESENTATION
    for key in set(theirs) - {"input"}:
        assert ours[key] == theirs[key], key
    assert list(ours["input"]) == list(theirs["input"])
    for group, inputs in theirs["input"].items():
        expected = {each: without_files(each, shape) for each, shape in inputs.items()}
        found = {
            each: without_files(each, without_tooltips(shape)) for each, shape in ours["input"][group].items()
        }
        assert found == expected
        assert list(found) == list(expected)


@pytest.mark.parametrize("node", OURS.values(), ids=lambda node: node.spec.name)
def test_every_node_and_input_is_explained(node: NativeNode) -> None:
    spec = node.spec
    assert spec.description.endswith("."), "a description is whole sentences"
    for each in spec.inputs:
        if each.group != "hidden":
            tooltip = str((each.options or {}).get("tooltip", ""))
            assert tooltip.endswith("."), f"input {each.name!r} has no tooltip that is a sentence"


def test_explanations_are_short() -> None:
    for node in OURS.values():
        assert len(node.spec.description) < 500, node.spec.name
        for each in node.spec.inputs:
            assert len(str((each.options or {}).get("tooltip", ""))) < 240, (node.spec.name, each.name)
