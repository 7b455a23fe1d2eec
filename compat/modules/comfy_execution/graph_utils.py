"""ComfyUI's `comfy_execution.graph_utils`: building the sub-graph a node expands into.

Ids are deterministic: `NODE.CALL.GRAPH.NAME`, where NODE is the node that expands, CALL the item of the list
it is called for, GRAPH the number of the builder within the call, and NAME given by the caller or counted.
The same expansion thus has the same ids in every run, as caches and progress displays need. Ids that loops
make longer with every round are cut short and end in a digest instead.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from contextvars import ContextVar
from typing import Any

from compat.current import current_call
from compat.host import Host

LONGEST_ID = 200
KEPT_OF_LONG_ID = 64


def short(id: str) -> str:
    """An id as it is, or, beyond `LONGEST_ID`, its beginning and a digest of all of it."""
    if len(id) <= LONGEST_ID:
        return id
    return f"{id[:KEPT_OF_LONG_ID]}~{hashlib.blake2b(id.encode(), digest_size=16).hexdigest()}"


def is_link(value: object) -> bool:
    """Whether an input is a link: a list of a node's id and the number of an output."""
    if not isinstance(value, list) or len(value) != 2:
        return False
    node, slot = value
    return isinstance(node, str) and isinstance(slot, int | float) and not isinstance(slot, bool)


class Node:
    """One node of a graph being built."""

    def __init__(self, id: str, class_type: str, inputs: dict[str, Any]) -> None:
        self.id = id
        self.class_type = class_type
        self.inputs = inputs
        self.override_display_id: str | None = None

    def out(self, index: int) -> list[Any]:
        """The link to output `index`."""
        return [self.id, index]

    def set_input(self, key: str, value: Any) -> None:
        """Set an input to a constant or link; None takes the input away."""
        if value is None:
            self.inputs.pop(key, None)
        else:
            self.inputs[key] = value

    def get_input(self, key: str) -> Any:
        """The input's constant or link, or None."""
        return self.inputs.get(key)

    def set_override_display_id(self, override_display_id: str) -> None:
        """Report this node's progress and errors at another node."""
        self.override_display_id = override_display_id

    def serialize(self) -> dict[str, Any]:
        """The node in API format."""
        shape: dict[str, Any] = {"class_type": self.class_type, "inputs": self.inputs}
        if self.override_display_id is not None:
            shape["override_display_id"] = self.override_display_id
        return shape


class GraphBuilder:
    """Collects nodes under a prefix of their own and gives them as a prompt."""

    _default: ContextVar[list[Any] | None] = ContextVar("graph_builder_prefix", default=None)

    def __init__(self, prefix: str | None = None) -> None:
        self.prefix = self.alloc_prefix() if prefix is None else prefix
        self.nodes: dict[str, Node] = {}
        self.id_gen = 1

    @classmethod
    def set_default_prefix(cls, prefix_root: str, call_index: int, graph_index: int = 0) -> None:
        """Choose the prefix of the builders made after this, instead of the running node's."""
        cls._default.set([prefix_root, call_index, graph_index])

    @classmethod
    def alloc_prefix(
        cls, root: str | None = None, call_index: int | None = None, graph_index: int | None = None
    ) -> str:
        """A prefix no other builder of this call has; parts that are given are taken as they are."""
        default = cls._next_default()
        given = (root, call_index, graph_index)
        parts = [ours if theirs is None else theirs for ours, theirs in zip(default, given, strict=True)]
        return "".join(f"{part}." for part in parts)

    @classmethod
    def _next_default(cls) -> tuple[str, int, int]:
        chosen, call = cls._default.get(), current_call()
        if chosen is None and call is not None:
            call.graphs += 1
            return call.run.node, call.index, call.graphs - 1
        if chosen is None:
            chosen = ["", 0, 0]
            cls._default.set(chosen)
        chosen[2] += 1
        return chosen[0], chosen[1], chosen[2] - 1

    def _full(self, id: str) -> str:
        return short(self.prefix + id)

    def node(self, class_type: str, id: str | None = None, **kwargs: Any) -> Node:
        """Add a node; its id is the prefix and `id`, or a number. A known id gives the node that has it."""
        if id is None:
            id = str(self.id_gen)
            self.id_gen += 1
        full = self._full(id)
        if full not in self.nodes:
            self.nodes[full] = Node(full, class_type, kwargs)
        return self.nodes[full]

    def lookup_node(self, id: str) -> Node | None:
        """The node that was added under `id`, or None."""
        return self.nodes.get(self._full(id))

    def finalize(self) -> dict[str, dict[str, Any]]:
        """The graph in API format."""
        return {id: node.serialize() for id, node in self.nodes.items()}

    def replace_node_output(self, node_id: str, index: int, new_value: Any) -> None:
        """Replace every link to one output; None takes the inputs away that had it."""
        full = self._full(node_id)
        for node in self.nodes.values():
            linked = [k for k, v in node.inputs.items() if is_link(v) and v[0] == full and v[1] == index]
            for key in linked:
                node.set_input(key, new_value)

    def remove_node(self, id: str) -> None:
        """Take the node added under `id` out again."""
        del self.nodes[self._full(id)]


def add_graph_prefix(
    graph: Mapping[str, Mapping[str, Any]], outputs: list[Any] | tuple[Any, ...], prefix: str
) -> tuple[dict[str, dict[str, Any]], tuple[Any, ...]]:
    """A graph in API format and links into it, with `prefix` before every node id."""

    def moved(value: Any) -> Any:
        return [prefix + value[0], value[1]] if is_link(value) else value

    prefixed = {
        prefix + id: {**node, "inputs": {key: moved(value) for key, value in node.get("inputs", {}).items()}}
        for id, node in graph.items()
    }
    return prefixed, tuple(moved(output) for output in outputs)


def names(host: Host) -> Mapping[str, Any]:
    """What packs import."""
    from execution.declare.node import ExecutionBlocker

    return {
        "ExecutionBlocker": ExecutionBlocker,
        "GraphBuilder": GraphBuilder,
        "Node": Node,
        "add_graph_prefix": add_graph_prefix,
        "is_link": is_link,
    }
