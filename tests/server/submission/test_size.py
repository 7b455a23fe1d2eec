"""Nodes are counted with all subgraphs opened, and never opened for it."""

from typing import Any

from server.submission.size import count_nodes


def workflow(*types: str, **subgraphs: list[str]) -> dict[str, Any]:
    inner = [{"id": name, "nodes": nodes_of(kinds)} for name, kinds in subgraphs.items()]
    return {"nodes": nodes_of(types), "links": [], "definitions": {"subgraphs": inner}}


def nodes_of(types: Any) -> list[dict[str, Any]]:
    return [{"id": index, "type": kind} for index, kind in enumerate(types)]


def test_a_prompt_has_the_nodes_it_has() -> None:
    assert count_nodes({"1": {}, "2": {}}, 10) == 2


def test_subgraphs_count_as_often_as_they_are_used() -> None:
    assert count_nodes(workflow("A", "s", "s", s=["B", "t"], t=["C", "C"]), 100) == 3 + 2 * (2 + 2)


def test_subgraphs_that_grow_without_bound_are_counted_at_once() -> None:
    levels = {f"s{level}": [f"s{level + 1}"] * 10 for level in range(40)}
    assert count_nodes(workflow("s0", **levels), 1000) > 1000
