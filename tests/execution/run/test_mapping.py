"""How lists on links decide the calls of a node, and how calls become lists again."""

from __future__ import annotations

from typing import Any

from execution.declare.outcome import ExecutionBlocker, Outcome
from execution.declare.spec import NodeSpec, OutputSpec
from execution.run.mapping import blocker_among, calls_for, joined, joined_ui

SPEC = NodeSpec("A", outputs=(OutputSpec("a", "INT"), OutputSpec("b", "INT", is_list=True)))


def test_the_longest_list_decides_and_shorter_ones_repeat_their_last_item() -> None:
    cases: list[tuple[dict[str, list[Any]], list[dict[str, Any]]]] = [
        ({}, [{}]),
        ({"a": [1]}, [{"a": 1}]),
        ({"a": [1], "b": [2]}, [{"a": 1, "b": 2}]),
        ({"a": [1, 2, 3], "b": [4, 5]}, [{"a": 1, "b": 4}, {"a": 2, "b": 5}, {"a": 3, "b": 5}]),
        ({"a": [], "b": [1]}, []),
        ({"a": [], "b": [1, 2]}, []),
        ({"a": []}, []),
    ]
    for lists, calls in cases:
        assert calls_for(lists, takes_lists=False) == calls, lists


def test_a_node_that_takes_lists_is_called_once_with_all_of_them() -> None:
    lists = {"a": [1, 2], "b": []}
    assert calls_for(lists, takes_lists=True) == [lists]


def test_blockers_are_found_among_arguments_and_in_lists_that_are_arguments() -> None:
    blocker = ExecutionBlocker("x")
    assert blocker_among({"a": 1, "b": blocker}, takes_lists=False) is blocker
    assert blocker_among({"a": 1, "b": [blocker]}, takes_lists=False) is None
    assert blocker_among({"a": [1], "b": [2, blocker]}, takes_lists=True) is blocker
    assert blocker_among({"a": [1]}, takes_lists=True) is None


def test_outputs_of_all_calls_become_lists() -> None:
    blocker = ExecutionBlocker(None)
    cases: list[tuple[list[Outcome[Any]], tuple[list[Any], ...]]] = [
        ([], ([], [])),
        ([Outcome((1, [2, 3]))], ([1], [2, 3])),
        ([Outcome((1, [2])), Outcome((4, []))], ([1, 4], [2])),
        ([Outcome((1, (2, 3)))], ([1], [2, 3])),
        ([Outcome((1, blocker))], ([1], [blocker])),
        ([Outcome(blocked=blocker), Outcome((1, [2]))], ([blocker, 1], [blocker, 2])),
        ([Outcome((1,))], ([1],)),
        ([Outcome((1, [2], 3))], ([1], [2], [3])),
    ]
    for outcomes, expected in cases:
        assert joined(outcomes, SPEC) == expected, outcomes


def test_links_of_an_expansion_are_followed_and_other_lists_are_not() -> None:
    values = {"x": [7, 8], "y": [9]}
    outcomes: list[Outcome[Any]] = [
        Outcome((["x", 0], ["y", 0]), expand={}),
        Outcome((["x", 0], [5]), expand=None),
    ]
    follow = lambda link: values[link[0]]  # noqa: E731  # shorter than a function here
    assert joined(outcomes, SPEC, follow) == ([7, 8, ["x", 0]], [9, 5])


def test_what_calls_show_becomes_one_list_for_each_kind() -> None:
    assert joined_ui([]) is None
    assert joined_ui([None, None]) is None
    assert joined_ui([{}]) == {}
    assert joined_ui([{"images": [1]}, None, {"images": (2,), "text": ["a"]}]) == {
        "images": [1, 2],
        "text": ["a"],
    }
    assert joined_ui([{"text": "ab", "value": 3.5}]) == {"text": ["a", "b"], "value": [3.5]}
