"""Links, walking without recursion, and who stands for whom in an expanded graph."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from execution.errors import DependencyCycle, DuplicateNode, GraphError
from execution.run.graph import Graph, is_link, ordered, ordered_with_cycles, unwrapped
from tests.execution.toys import node


def test_a_link_is_an_id_and_a_slot() -> None:
    for link in (["a", 0], ["5:3", 2], [5, 1], ["a", 0.0]):
        assert is_link(link), link
    for other in (
        ["a"],
        ["a", "b"],
        ["a", 0, 1],
        ("a", 0),
        [1.5, 0],
        [["a"], 0],
        "a0",
        None,
        {"a": 0},
        ["a", True],
    ):
        assert not is_link(other), other


def test_a_wrapped_list_is_a_constant() -> None:
    assert unwrapped({"__value__": ["a", 0]}) == ["a", 0]
    assert unwrapped({"value": 1}) == {"value": 1}
    assert unwrapped(3) == 3


@given(
    st.dictionaries(st.integers(0, 30), st.lists(st.integers(0, 30), max_size=4)),
    st.lists(st.integers(0, 30)),
)
def test_walking_gives_all_that_is_above_once_sources_first(
    links: dict[int, list[int]], starts: list[int]
) -> None:
    below = {str(name): [str(each) for each in sources if each < name] for name, sources in links.items()}
    order = ordered(map(str, starts), lambda name: below.get(name, []))
    assert len(order) == len(set(order))
    assert set(map(str, starts)) <= set(order)
    for name in order:
        for source in below.get(name, []):
            assert order.index(source) < order.index(name)


@given(st.dictionaries(st.integers(0, 12), st.lists(st.integers(0, 12), max_size=3)))
def test_a_round_is_found_exactly_when_there_is_one(links: dict[int, list[int]]) -> None:
    below = {str(name): list(map(str, sources)) for name, sources in links.items()}
    order, rounds = ordered_with_cycles(below, lambda name: below.get(name, []))
    assert set(below) <= set(order)
    for each in rounds:
        for here, there in zip(each, [*each[1:], each[0]], strict=True):
            assert there in below[here]
    assert bool(rounds) == has_round(below)


def has_round(below: Mapping[str, list[str]]) -> bool:
    """By taking away nodes that need nothing, until none or only rounds are left."""
    left = {name: set(sources) & below.keys() for name, sources in below.items()}
    while free := [name for name, sources in left.items() if not sources]:
        for name in free:
            del left[name]
        left = {name: sources - set(free) for name, sources in left.items()}
    return bool(left)


def test_a_round_is_named_in_the_order_in_which_its_nodes_wait() -> None:
    below = {"a": ["b"], "b": ["c"], "c": ["b"]}
    with pytest.raises(DependencyCycle, match="b -> c -> b") as caught:
        ordered(["a"], below.__getitem__)
    assert caught.value.nodes == ("b", "c")


def test_a_hundred_thousand_deep_is_no_problem() -> None:
    order = ordered(["100000"], lambda name: [str(int(name) - 1)] if name != "0" else [])
    assert (len(order), order[0]) == (100_001, "0")


def test_a_prompt_has_to_be_nodes_with_types() -> None:
    assert Graph.from_prompt({"1": node("A")}).get_node("1") == node("A")
    for bad in ({"1": 3}, {"1": {}}, {"1": {"class_type": 3}}):
        with pytest.raises(GraphError, match="node '1' has no class_type"):
            Graph.from_prompt(bad)  # type: ignore[arg-type]  # that is the point


def test_expanded_nodes_know_their_parent_their_origin_and_where_they_are_shown() -> None:
    prompt = {"1": node("A"), "2": node("B")}
    graph = Graph(prompt)
    graph.expand("1", {"1.a": node("C"), "1.b": {**node("D"), "override_display_id": "2"}})
    graph.expand("1.a", {"1.a.x": node("E")})
    table = {
        each: (graph.get_parent_node_id(each), graph.get_real_node_id(each), graph.get_display_node_id(each))
        for each in sorted(graph.all_node_ids())
    }
    assert table == {
        "1": (None, "1", "1"),
        "1.a": ("1", "1", "1"),
        "1.a.x": ("1.a", "1", "1"),
        "1.b": ("1", "1", "2"),
        "2": (None, "2", "2"),
    }
    assert graph.has_node("1.a.x")
    assert not graph.has_node("3")
    assert graph.get_original_prompt() == prompt == {"1": node("A"), "2": node("B")}
    with pytest.raises(GraphError, match="node '3' is not in the graph"):
        graph.get_node("3")


def test_an_id_can_be_added_once_and_nodes_not_without_end() -> None:
    graph = Graph({"1": node("A")}, most_nodes=2)
    with pytest.raises(DuplicateNode, match="duplicate node '1'"):
        graph.expand("1", {"1": node("B")})
    graph.expand("1", {"2": node("B"), "3": node("B")})
    with pytest.raises(GraphError, match="more than 2 nodes"):
        graph.expand("1", {"4": node("B")})


def test_constants_that_weigh_something_can_be_let_go() -> None:
    graph = Graph({})
    big: Any = object()
    graph.expand("", {"1": node("A", a=1, b=("x", 0)) | {"extra": 1}})
    graph.get_node("1")["inputs"]["c"] = big
    graph.strip("1")
    assert graph.get_node("1") == {"class_type": "A", "inputs": {"a": 1, "b": ["x", 0]}, "extra": 1}
