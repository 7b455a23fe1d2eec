"""One node of a run: what it is given, where it stands, who waits for it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from pathlib import Path
from typing import Any

from execution.declare.conversion import converted_or_same
from execution.declare.dynamic import opened
from execution.declare.node import NodeType
from execution.declare.outcome import Outcome
from execution.declare.spec import NodeSpec
from execution.errors import GraphError
from execution.events import Place
from execution.run.cache import Entry, Shown
from execution.run.graph import Graph, PromptNode, is_link, unwrapped
from execution.run.keys import Key, Parts, Source, ValueKey, fresh_key, key_of

Link = tuple[str, int]


class State(IntEnum):
    """Where a task stands. `EXPANDED`: it has run, and its outputs come from other nodes."""

    NEW = 0
    WAITING = 1
    READY = 2
    RUNNING = 3
    EXPANDED = 4
    DONE = 5


@dataclass(eq=False, slots=True)
class Task:
    """One node of a run."""

    id: str
    node_type: NodeType
    graph: Graph
    spec: NodeSpec
    constants: dict[str, Any] = field(default_factory=dict)
    links: dict[str, Link] = field(default_factory=dict)
    sources: tuple[str, ...] = ()
    """The nodes whose values it may be given, lazy ones too, raw links not."""
    fingerprint: Any = None
    names: dict[int, str] | None = None
    """What its constants that are no plain values are called in keys, by their `id`."""
    key: Key = b""
    volatile: bool = False
    order: tuple[int, int] = (0, 0)
    """Smaller runs first: newest expansion, then depth first from the targets."""

    state: State = State.NEW
    revealed: frozenset[str] = frozenset()
    """The lazy inputs it has asked for. It is not given others, whether or not their values are at hand."""
    asked: bool = False
    """Whether it has said that it wants no more lazy inputs."""
    waits: int = 0
    """For how many values it waits."""
    waiters: list[Task] = field(default_factory=list)
    followers: tuple[Task, ...] = ()
    """Tasks with the same key, which take its result."""
    callbacks: tuple[Callable[[], None], ...] = ()

    entry: Entry | None = None
    """Its result, while somebody may need it."""
    seconds: float = 0.0
    notices: tuple[str, ...] = ()
    """What it has told the person."""
    written: frozenset[Path] = frozenset()
    """The files that it, or nodes in its expansion, said to have written."""
    outcomes: tuple[Outcome[Any], ...] = ()
    outputs_from: tuple[str, ...] = ()
    """The nodes that its outcomes point to."""
    shown: list[Shown] | None = None
    """What output nodes in its expansion show, once it is expanded."""

    needed: int = 0
    """How many others may still want its value."""
    holds: bool = False
    """Whether it counts in `needed` of its sources."""
    watched: int = 0
    """How many of those behind it may still name it in an expansion."""
    _place: Place | None = None

    @property
    def place(self) -> Place:
        """Who it is, for events."""
        if self._place is None:
            graph = self.graph
            display, parent = graph.get_display_node_id(self.id), graph.get_parent_node_id(self.id)
            self._place = Place(self.id, display, parent, graph.get_real_node_id(self.id), self.spec.name)
        return self._place

    @property
    def strong(self) -> list[str]:
        """The nodes whose values must be there before this one is called, lazy ones left out."""
        late = self.spec.lazy_inputs | self.spec.raw_inputs
        if not late:
            return list(self.sources)
        return list(dict.fromkeys(node_id for name, (node_id, _) in self.links.items() if name not in late))

    @property
    def lazy_links(self) -> dict[str, Link]:
        """The linked lazy inputs by name."""
        return {name: self.links[name] for name in self.spec.lazy_inputs if name in self.links}

    @property
    def all_sources(self) -> list[str]:
        """The nodes it is linked from, by raw links too."""
        if not self.spec.raw_inputs:
            return list(self.sources)
        return list(dict.fromkeys(node_id for node_id, _ in self.links.values()))

    @property
    def is_live(self) -> bool:
        """Whether nodes above it may still be named by an expansion of it or of something behind it."""
        return self.watched > 0 or (self.spec.reads_graph and self.state < State.EXPANDED)

    def parts(self, tasks: Mapping[str, Task]) -> Parts:
        """What goes into the key, once the parents have theirs."""
        spec = self.spec
        links = {name: Source(tasks[node_id].key, slot) for name, (node_id, slot) in self.links.items()}
        own_id = self.id if spec.keyed_by_id else None
        return Parts(spec.name, spec.code, self.constants, links, self.fingerprint, own_id)

    def set_key(self, tasks: Mapping[str, Task], value_key: ValueKey) -> None:
        """Compute the key, once the parents have theirs."""
        key = key_of(self.parts(tasks), value_key)
        self.volatile = key is None or any(tasks[node_id].volatile for node_id, _ in self.links.values())
        self.key = fresh_key() if key is None else key


def make_task(node_id: str, graph: Graph, types: Mapping[str, NodeType]) -> Task:
    """The task of a node of the graph.

    Raises:
        GraphError: there is no such node, or no such type.
    """
    node = graph.get_node(node_id)
    class_type = node.get("class_type", "")
    node_type = types.get(class_type)
    if node_type is None:
        raise GraphError(f"node {node_id!r} has the type {class_type!r}, which does not exist here")
    spec = opened(node_type.spec, node.get("inputs", {}))
    task = Task(node_id, node_type, graph, spec)
    _read_inputs(task, node)
    return task


def _read_inputs(task: Task, node: PromptNode) -> None:
    known, extra = task.spec.fillable, task.spec.accepts_extra_inputs
    for name, value in node.get("inputs", {}).items():
        each = known.get(name)
        if each is None and not extra:
            continue
        if type(value) is list and is_link(value):
            task.links[name] = (str(value[0]), int(value[1]))
        else:
            value = unwrapped(value)
            task.constants[name] = value if each is None else converted_or_same(each.type, value)
    raw = task.spec.raw_inputs
    task.sources = tuple(dict.fromkeys(link[0] for name, link in task.links.items() if name not in raw))
