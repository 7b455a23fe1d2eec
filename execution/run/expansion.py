"""Joining the graph that a node gave to the one that runs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from execution.declare.node import NodeType
from execution.declare.outcome import Outcome
from execution.errors import GraphError
from execution.run.graph import PLAIN, Graph, PromptNode
from execution.run.keys import ValueKey
from execution.run.schedule import Schedule, links_out
from execution.run.task import Task


def add_nodes(graph: Graph, parent: str, outcomes: Iterable[Outcome[Any]]) -> list[str]:
    """Add the nodes of all expansions of `parent` to the graph; gives their ids.

    Raises:
        GraphError: what was given is no graph, or an id exists already.
    """
    added: list[str] = []
    for outcome in outcomes:
        for node_id, node in (outcome.expand or {}).items():
            if not isinstance(node, dict) or not isinstance(node.get("class_type"), str):
                raise GraphError(f"the expansion of node {parent} has a node {node_id!r} without class_type")
        graph.expand(parent, outcome.expand or {})
        added += outcome.expand or {}
    return added


def starts_of(
    graph: Graph, added: Iterable[str], outcomes: Sequence[Outcome[Any]], types: Mapping[str, NodeType]
) -> list[str]:
    """What of an expansion has to run: what the outputs point to, and output nodes."""
    nodes: dict[str, PromptNode] = {node_id: graph.get_node(node_id) for node_id in added}
    showing = [
        node_id
        for node_id, node in nodes.items()
        if node["class_type"] in types and types[node["class_type"]].spec.output_node
    ]
    return [*links_out(outcomes), *showing]


def value_key_within(task: Task, schedule: Schedule, value_key: ValueKey) -> ValueKey:
    """How to name constants of an expansion: values that the task was given itself are named by where from.

    So a loop that hands a tensor on to its next round needs no hash of the tensor.
    """
    origins = dict(task.names or {})
    for node_id, slot in task.links.values():
        source = schedule.tasks[node_id]
        if source.entry is not None and slot < len(source.entry.outputs):
            for item, value in enumerate(source.entry.outputs[slot]):
                if not isinstance(value, PLAIN):
                    origins[id(value)] = f"{source.key.hex()}.{slot}.{item}"

    def named(value: Any) -> str | None:
        return origins.get(id(value)) or value_key(value)

    return named
