"""Rows of links that share a number: each counts for the input that names it."""

import json
from typing import Any

from workflows.prompt import to_prompt
from workflows.scopes import scopes_of


def image(number: int) -> dict[str, Any]:
    return {"id": number, "type": "EmptyImage", "outputs": [{"name": "IMAGE", "type": "IMAGE", "links": [1]}]}


def save(number: int, link: Any = 1) -> dict[str, Any]:
    return {"id": number, "type": "SaveImage", "inputs": [{"name": "images", "type": "IMAGE", "link": link}]}


def sources(links: list[Any], nodes: list[dict[str, Any]] | None = None, **more: Any) -> list[Any]:
    """What the pictures of nodes 2 and 4 come from."""
    document = {"nodes": nodes or [image(1), image(3), save(2), save(4)], "links": links, **more}
    before = json.dumps(document)
    prompt, extra = to_prompt(document, {})
    assert json.dumps(extra["extra_pnginfo"]["workflow"]) == before
    return [prompt[number]["inputs"].get("images") for number in ("2", "4")]


def test_each_row_counts_for_the_input_that_names_it() -> None:
    rows = [[1, 1, 0, 2, 0, "IMAGE"], [1, 3, 0, 4, 0, "IMAGE"]]
    assert sources(rows) == [["1", 0], ["3", 0]]
    assert sources(rows[::-1]) == [["1", 0], ["3", 0]]
    assert sources([[1, 1, 0, 2, 7, "IMAGE"], rows[1]]) == [["1", 0], ["3", 0]]
    assert sources([*rows, [1, 3, 0, 8, 0, "IMAGE"]]) == [["1", 0], ["3", 0]]


def test_of_rows_to_one_input_and_of_those_that_none_names_the_last_counts() -> None:
    assert sources([[1, 1, 0, 2, 0, "IMAGE"], [1, 3, 0, 2, 0, "IMAGE"]])[0] == ["3", 0]
    scope = next(scopes_of({"nodes": [image(1)], "links": [[1, 1, 0, 7, 0, "A"], [1, 1, 0, 8, 0, "A"]]}, 100))
    assert [link.target for link in scope.links.values()] == ["8"]


def test_rows_that_lead_out_of_a_subgraph_are_told_apart() -> None:
    def row(
        number: int, origin: int, target: int, origin_slot: int = 0, target_slot: int = 0
    ) -> dict[str, Any]:
        return {
            "id": number, "origin_id": origin, "origin_slot": origin_slot,
            "target_id": target, "target_slot": target_slot, "type": "IMAGE",
        }  # fmt: skip

    both = {
        "id": "both", "name": "Both", "inputs": [], "outputs": [{"name": "a"}, {"name": "b"}],
        "nodes": [image(1), image(3)], "links": [row(1, 1, -20), row(1, 3, -20, target_slot=1)],
    }  # fmt: skip
    use = {"id": 9, "type": "both", "outputs": [{"name": "a", "links": [5]}, {"name": "b", "links": [6]}]}
    found = sources(
        [row(5, 9, 2), row(6, 9, 4, origin_slot=1)],
        [use, save(2, 5), save(4, 6)],
        definitions={"subgraphs": [both]},
    )
    assert found == [["9:1", 0], ["9:3", 0]]
