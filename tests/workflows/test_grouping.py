"""Old group nodes in the shape of subgraphs."""

from typing import Any

from execution.declare.spec import InputSpec, NodeSpec
from workflows.grouping import INPUT_NODE, OUTPUT_NODE, group_definition, group_values

GROUP: dict[str, Any] = {
    "nodes": [
        {"type": "text", "inputs": [{"name": "clip"}], "outputs": [{"name": "COND"}]},
        {"type": "sample", "inputs": [{"name": "clip"}, {"name": "cond"}], "outputs": [{"name": "LATENT"}]},
    ],
    "links": [[0, 0, 1, 1, 1, "COND"], [None, 0, 0, 0, 9, "CLIP"]],
}
SPECS = {
    "text": NodeSpec("text", "Text", inputs=(InputSpec("text", "STRING", {}),)),
    "sample": NodeSpec(
        "sample",
        "Sample",
        inputs=(InputSpec("seed", "INT", {"control_after_generate": True}), InputSpec("steps", "INT", {})),
    ),
}


def test_members_get_their_positions_as_ids_and_links_by_name() -> None:
    made = group_definition(GROUP)
    assert [each["id"] for each in made["nodes"]] == [0, 1]
    inner = next(link for link in made["links"] if link["id"] == "g0")
    assert (inner["origin_id"], inner["target_id"], inner["target_slot"]) == (0, 1, 1)
    assert made["nodes"][1]["inputs"][1]["link"] == "g0"


def test_what_nothing_inside_feeds_is_an_input_and_a_taken_name_gets_its_members() -> None:
    made = group_definition(GROUP)
    assert made["inputs"] == [{"name": "clip"}, {"name": "sample clip"}]
    ends = [
        (link["target_id"], link["target_slot"]) for link in made["links"] if link["origin_id"] == INPUT_NODE
    ]
    assert ends == [(0, 0), (1, 0)]


def test_outputs_that_nothing_inside_takes_lead_out_unless_the_file_says_otherwise() -> None:
    def out(group: dict[str, Any]) -> list[tuple[int, int]]:
        links = group_definition(group)["links"]
        return [
            (each["origin_id"], each["origin_slot"]) for each in links if each["target_id"] == OUTPUT_NODE
        ]

    assert out(GROUP) == [(1, 0)]
    assert out({**GROUP, "external": [[0, 0, "COND"]]}) == [(0, 0), (1, 0)]
    assert out({**GROUP, "config": {"1": {"output": {"0": {"visible": False}}}}}) == []


def test_one_list_holds_the_values_of_all_members() -> None:
    made = group_definition(GROUP)
    values = group_values({"widgets_values": ["a cat", 7, "fixed", 20]}, made, SPECS)
    assert values == {"0": {"text": "a cat"}, "1": {"seed": 7, "steps": 20}}
    assert group_values({}, made, SPECS) == {}
