"""Graphs that nodes give join the one that runs."""

from typing import Any

import pytest

from execution.declare.outcome import Outcome
from execution.errors import DuplicateNode, GraphError
from execution.run.expansion import add_nodes, starts_of
from execution.run.graph import Graph
from tests.execution.toys import node, toys

TYPES = {each.spec.name: each for each in toys()}


def outcome(*links: Any, **nodes: Any) -> Outcome[Any]:
    return Outcome(tuple(links), expand=nodes)


def test_the_nodes_of_all_expansions_are_added_and_know_their_parent() -> None:
    graph = Graph({"1": node("Number", value=1)})
    added = add_nodes(
        graph, "1", [outcome(a=node("Number", value=2)), Outcome((3,)), outcome(b=node("Show"))]
    )
    assert added == ["a", "b"]
    assert graph.get_node("a")["inputs"] == {"value": 2}
    assert graph.get_parent_node_id("b") == "1"


@pytest.mark.parametrize("wrong", [3, {}, {"class_type": 7}])
def test_what_is_no_node_is_named(wrong: Any) -> None:
    with pytest.raises(GraphError, match="node 1 has a node 'a' without class_type"):
        add_nodes(Graph({"1": node("Number", value=1)}), "1", [outcome(a=wrong)])


def test_an_id_that_exists_is_refused() -> None:
    with pytest.raises(DuplicateNode):
        add_nodes(Graph({"1": node("Number", value=1)}), "1", [outcome(**{"1": node("Number", value=2)})])


def test_what_outputs_point_to_and_what_shows_has_to_run() -> None:
    graph = Graph({"1": node("Number", value=1)})
    outcomes = [
        outcome(["a", 0], 5, a=node("Number", value=2), b=node("Number", value=3), c=node("Show", value=1))
    ]
    assert starts_of(graph, add_nodes(graph, "1", outcomes), outcomes, TYPES) == ["a", "c"]
