"""Nodes of types that have gone become nodes of those that took their place, in prompts and workflows."""

from typing import Any

from workflows.replacements import by_old_type, replaced_prompt, replaced_workflow

KNOWN = {"Resize", "Save", "Old", "Number"}
LISTED = by_old_type(
    [
        {"old_node_id": "ScaleBy", "new_node_id": "Absent"},
        {
            "old_node_id": "ScaleBy",
            "new_node_id": "Resize",
            "old_widget_ids": ["method", "factor"],
            "input_mapping": [
                {"new_id": "input", "old_id": "image"},
                {"new_id": "resize_type", "set_value": "by"},
                {"new_id": "resize_type.factor", "old_id": "factor"},
                {"new_id": "scale_method", "old_id": "method"},
            ],
            "output_mapping": [{"old_idx": 0, "new_idx": 1}],
        },
        {"old_node_id": "Old", "new_node_id": "Number"},
        {"old_node_id": "Typo", "new_node_id": "Number"},
    ]
)


def test_a_prompt_has_the_new_node_with_its_inputs_and_outputs_mapped() -> None:
    prompt: dict[str, Any] = {
        "1": {"class_type": "Old", "inputs": {"x": 1}},
        "2": {"class_type": "ScaleBy", "inputs": {"image": ["1", 0], "factor": 2.0, "method": "area"},
              "_meta": {"title": "mine"}},
        "3": {"class_type": "Save", "inputs": {"images": ["2", 0], "other": ["1", 0], "list": [1, 2]}},
        "4": {"class_type": "Typo", "inputs": {"x": 3}},
    }  # fmt: skip
    replaced = replaced_prompt(prompt, LISTED, KNOWN)
    assert replaced["1"] == prompt["1"], "a type that is there is not replaced"
    assert replaced["2"] == {
        "class_type": "Resize",
        "inputs": {"input": ["1", 0], "resize_type.factor": 2.0, "scale_method": "area", "resize_type": "by"},
        "_meta": {"title": "mine"},
    }
    assert replaced["3"]["inputs"] == {"images": ["2", 1], "other": ["1", 0], "list": [1, 2]}
    assert replaced["4"] == {"class_type": "Number", "inputs": {"x": 3}}, "a plain renaming keeps its inputs"


def test_a_prompt_without_old_nodes_is_left_as_it_is() -> None:
    prompt = {"1": {"class_type": "Save", "inputs": {}}, "2": "no node", "3": {"class_type": 7}}
    assert replaced_prompt(prompt, LISTED, KNOWN) is prompt
    assert replaced_prompt(prompt, {}, KNOWN) is prompt
    odd = {**prompt, "4": {"class_type": "Typo"}, "5": {"class_type": "Typo", "inputs": []}}
    assert replaced_prompt(odd, LISTED, KNOWN)["2"] == "no node", "what is wrong is for the validation to say"


def workflow(links_as_objects: bool = False) -> dict[str, Any]:
    link = {"id": 5, "origin_id": 2, "origin_slot": 0, "target_id": 3, "target_slot": 0, "type": "IMAGE"}
    nodes = [
        {"id": 2, "type": "ScaleBy", "widgets_values": ["area", 2.0], "pos": [1, 2],
         "inputs": [{"name": "image", "link": 4},
                    {"name": "factor", "link": 6, "widget": {"name": "factor"}},
                    {"name": "gone", "link": 7}]},
        {"id": 3, "type": "Save", "inputs": [{"name": "images", "link": 5}]},
    ]  # fmt: skip
    return {"nodes": nodes, "links": [link if links_as_objects else list(link.values())]}


def test_a_workflow_keeps_places_and_links_and_names_its_values() -> None:
    for objects in (False, True):
        replaced = replaced_workflow(workflow(objects), LISTED, KNOWN)
        node = replaced["nodes"][0]
        assert (node["type"], node["pos"]) == ("Resize", [1, 2])
        expected = {"resize_type.factor": 2.0, "scale_method": "area", "resize_type": "by"}
        assert node["widgets_values"] == expected
        assert node["inputs"] == [
            {"name": "input", "link": 4},
            {"name": "resize_type.factor", "link": 6, "widget": {"name": "resize_type.factor"}},
            {"name": "gone", "link": None},
        ]
        link = replaced["links"][0]
        assert (link["origin_slot"] if objects else link[2]) == 1
        assert replaced["nodes"][1] == workflow()["nodes"][1]


def test_subgraphs_are_replaced_too() -> None:
    outer = {"nodes": [], "links": [], "definitions": {"subgraphs": [workflow(True)], "other": 1}}
    replaced = replaced_workflow(outer, LISTED, KNOWN)
    assert replaced["definitions"]["subgraphs"][0]["nodes"][0]["type"] == "Resize"
    assert replaced["definitions"]["other"] == 1
    plain = {"nodes": [{"id": 1, "type": "Save"}], "links": []}
    assert replaced_workflow(plain, LISTED, KNOWN) is plain
