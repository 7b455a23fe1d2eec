"""The graph that runs: a prompt's nodes, and those that expansions add, with who stands for whom.

Nodes are the prompt's own JSON objects, `{"class_type": …, "inputs": {name: constant | [id, slot]}}`.
Everything here walks without recursion, so depth costs nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from execution.errors import DependencyCycle, DuplicateNode, GraphError

PLAIN = (str, int, float, bool, bytes, type(None))
"""Constants that need nobody to name them and weigh nothing."""
MOST_NODES = 500_000
"""How many nodes expansions may add to a graph; more is a loop without end."""
PromptNode = dict[str, Any]
Prompt = Mapping[str, PromptNode]


def is_link(value: Any) -> bool:
    """Whether an input's value is a link `[id, slot]` rather than a constant."""
    return (
        type(value) is list
        and len(value) == 2
        and type(value[0]) in (str, int)
        and type(value[1]) in (int, float)
    )


def unwrapped(value: Any) -> Any:
    """A constant, out of the `{"__value__": …}` that keeps a list from being taken for a link."""
    return value["__value__"] if type(value) is dict and "__value__" in value else value


class Graph:
    """Nodes by id, with parents and display nodes of those that expansions brought; a node's `GraphView`."""

    def __init__(self, prompt: Prompt, most_nodes: int = MOST_NODES) -> None:
        """Start with the nodes of a prompt, which is not changed; expansions may add up to `most_nodes`."""
        self._most_nodes = most_nodes
        self._prompt = dict(prompt)
        self._nodes = dict(prompt)
        self._parents: dict[str, str] = {}
        self._display: dict[str, str] = {}
        self._real: dict[str, str] = {}

    @classmethod
    def from_prompt(cls, prompt: Prompt) -> Graph:
        """The graph of a prompt.

        Raises:
            GraphError: it is not an object of nodes with a `class_type` each.
        """
        for node_id, node in prompt.items():
            if not isinstance(node, dict) or not isinstance(node.get("class_type"), str):
                raise GraphError(f"node {node_id!r} has no class_type")
        return cls(prompt)

    def expand(self, parent: str, nodes: Mapping[str, PromptNode]) -> None:
        """Add the nodes of an expansion of `parent`.

        Raises:
            DuplicateNode: an id exists already.
            GraphError: there are too many nodes.
        """
        if len(self._parents) + len(nodes) > self._most_nodes:
            message = (
                f"node {parent} brings the graph to more than {self._most_nodes} nodes; does its loop end?"
            )
            raise GraphError(message)
        display, real = self.get_display_node_id(parent), self.get_real_node_id(parent)
        for node_id, node in nodes.items():
            if node_id in self._nodes:
                raise DuplicateNode(node_id)
            self._nodes[node_id] = node
            self._parents[node_id] = parent
            override = node.get("override_display_id")
            self._display[node_id] = self.get_display_node_id(str(override)) if override else display
            self._real[node_id] = real

    def strip(self, node_id: str) -> None:
        """Let go of the constants of a node that are no plain values, once nobody can ask for it."""
        node = self._nodes[node_id]
        inputs = {
            name: value
            for name, value in node["inputs"].items()
            if isinstance(value, PLAIN) or is_link(value)
        }
        self._nodes[node_id] = {**node, "inputs": inputs}

    def get_node(self, node_id: str) -> PromptNode:
        """The node's object.

        Raises:
            GraphError: there is no such node.
        """
        if node_id not in self._nodes:
            raise GraphError(f"node {node_id!r} is not in the graph")
        return self._nodes[node_id]

    def has_node(self, node_id: str) -> bool:
        """Whether there is such a node."""
        return node_id in self._nodes

    def get_parent_node_id(self, node_id: str) -> str | None:
        """The node whose expansion brought this one; None for a node of the prompt."""
        return self._parents.get(node_id)

    def get_display_node_id(self, node_id: str) -> str:
        """The node on which a person sees this one's progress."""
        return self._display.get(node_id, node_id)

    def get_real_node_id(self, node_id: str) -> str:
        """The node of the prompt from which this one came."""
        return self._real.get(node_id, node_id)

    def all_node_ids(self) -> set[str]:
        """All ids."""
        return set(self._nodes)

    def get_original_prompt(self) -> dict[str, PromptNode]:
        """The prompt the graph began with."""
        return self._prompt


def ordered(starts: Iterable[str], sources: Callable[[str], Iterable[str]]) -> list[str]:
    """All that `starts` depend on and they themselves, sources before what needs them, depth first.

    Raises:
        DependencyCycle: some of them wait for one another.
    """
    order, rounds = ordered_with_cycles(starts, sources)
    if rounds:
        raise DependencyCycle(rounds[0])
    return order


def ordered_with_cycles(
    starts: Iterable[str], sources: Callable[[str], Iterable[str]]
) -> tuple[list[str], list[list[str]]]:
    """Like `ordered`, but gives the rounds found instead of raising; each is a list of ids."""
    order: list[str] = []
    rounds: list[list[str]] = []
    done: dict[str, bool] = {}  # False while on the path from a start
    path: list[str] = []
    pending: list[tuple[str, bool]] = [(start, False) for start in reversed(list(starts))]
    while pending:
        node_id, finished = pending.pop()
        if finished:
            path.pop()
            done[node_id] = True
            order.append(node_id)
            continue
        state = done.get(node_id)
        if state is None:
            done[node_id] = False
            path.append(node_id)
            pending.append((node_id, True))
            pending += [(source, False) for source in reversed(tuple(sources(node_id)))]
        elif state is False:
            rounds.append(path[path.index(node_id) :])
    return order, rounds
