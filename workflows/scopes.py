"""A workflow file as scopes: the top graph, and one for each use of a subgraph or group node."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from execution.declare.spec import InputSpec
from execution.errors import WorkflowError
from workflows.grouping import group_definition

MUTED, BYPASSED = 2, 4
INPUT_NODE, OUTPUT_NODE = -10, -20
"""The ids that stand for a subgraph's own inputs and outputs in its links."""
GROUP_PREFIXES = ("workflow/", "workflow>")

Node = Mapping[str, Any]


@dataclass(frozen=True)
class Link:
    """From an output slot to an input slot, by node id within one scope."""

    origin: str
    origin_slot: int
    target: str
    target_slot: int


Promoted = tuple[str, str, InputSpec]
"""A widget inside a subgraph: its node, its name, and what it is."""


@dataclass
class Scope:
    """The top graph, or one use of a subgraph. `path` is the prefix of its nodes' ids, such as `"12:"`.

    `given` and `promoted` are filled in once they are asked for: the values that the use keeps for the nodes
    inside, and the inputs that feed a widget there.
    """

    path: str
    nodes: dict[str, Node]
    links: dict[str, Link]
    definitions: Mapping[str, Mapping[str, Any]]
    inputs: Sequence[Mapping[str, Any]] = ()
    parent: Scope | None = None
    instance: Node = field(default_factory=dict)
    muted: bool = False
    inners: dict[str, Scope] = field(default_factory=dict)
    given: dict[str, dict[str, Any]] | None = None
    promoted: dict[str, Promoted] | None = None

    def inner(self, node: Node) -> Scope | None:
        """The scope inside a node, if it is a use of a subgraph."""
        return self.inners.get(id_of(node))


def scopes_of(document: Mapping[str, Any], most_nodes: int) -> Iterator[Scope]:
    """The top scope and all within, outer ones first; all are linked before the first is given."""
    found = [_open("", document, _definitions(document))]
    count = len(found[0].nodes)
    for scope in found:
        for node in scope.nodes.values():
            definition = scope.definitions.get(type_of(node))
            if definition is None:
                continue
            if _is_within(scope, type_of(node)):
                raise WorkflowError(
                    f"subgraph {definition.get('name') or type_of(node)!r} contains itself, "
                    f"at node {scope.path}{id_of(node)}; remove that node from it"
                )
            count += len(definition.get("nodes") or ())
            if count > most_nodes:
                raise WorkflowError(
                    f"the workflow has more than {most_nodes} nodes in its subgraphs; split it"
                )
            inner = _open(f"{scope.path}{id_of(node)}:", definition, scope.definitions)
            inner.parent, inner.instance = scope, node
            inner.muted = scope.muted or mode_of(node) in (MUTED, BYPASSED)
            scope.inners[id_of(node)] = inner
            found.append(inner)
    yield from found


def _is_within(scope: Scope | None, kind: str) -> bool:
    """Whether the scope is a use of the subgraph `kind`, or inside one."""
    while scope is not None and scope.parent is not None:
        if type_of(scope.instance) == kind:
            return True
        scope = scope.parent
    return False


def _definitions(document: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """Subgraphs by id, and group nodes of old by both spellings of their type."""
    subgraphs = (document.get("definitions") or {}).get("subgraphs") or ()
    found = {str(each["id"]): each for each in subgraphs if isinstance(each, Mapping) and "id" in each}
    groups = (document.get("extra") or {}).get("groupNodes") or {}
    for name, group in groups.items():
        for prefix in GROUP_PREFIXES:
            found[prefix + name] = group_definition(group)
    return found


def _open(path: str, graph: Mapping[str, Any], definitions: Mapping[str, Mapping[str, Any]]) -> Scope:
    nodes = {}
    for node in graph.get("nodes") or ():
        if not isinstance(node, Mapping) or "id" not in node or not isinstance(node.get("type"), str):
            raise WorkflowError(f"a node of the workflow has no `id` or no `type`: {str(node)[:80]}")
        nodes[id_of(node)] = node
    links = _distinct([_link(each) for each in graph.get("links") or () if each is not None], nodes)
    return Scope(path, nodes, _mended(links, nodes), definitions, graph.get("inputs") or ())


def _distinct(rows: list[tuple[str, Link]], nodes: dict[str, Node]) -> dict[str, Link]:
    """Links by number. Where several rows have one, each counts for the input of its target that names it.

    The first keeps the number, the others get one of their own, in their inputs too. Of several rows that
    no input names, and of those to one input, the last counts.
    """
    links: dict[str, Link] = {}
    again: dict[str, dict[tuple[str, int], Link]] = {}
    for number, link in rows:
        if number in links:
            again.setdefault(number, dict(_named(number, links[number], nodes))).update(
                _named(number, link, nodes)
            )
        links[number] = link
    for number, named in again.items():
        for index, ((target, slot), link) in enumerate(named.items()):
            own = f"{number}/{index}" if index else number
            links[own] = link
            if target in nodes and index:
                slots = [dict(each) for each in slots_of(nodes[target], "inputs")]
                slots[slot]["link"] = own
                nodes[target] = {**nodes[target], "inputs": slots}
    return links


def _named(number: str, link: Link, nodes: Mapping[str, Node]) -> Iterator[tuple[tuple[str, int], Link]]:
    """The link with the input that names it; one that leads out of a subgraph names its output itself."""
    if link.target == str(OUTPUT_NODE):
        yield (link.target, link.target_slot), link
        return
    slots = slots_of(nodes[link.target], "inputs") if link.target in nodes else ()
    named = [slot for slot, each in enumerate(slots) if str(each.get("link")) == number]
    if named:
        yield (link.target, link.target_slot if link.target_slot in named else named[0]), link


def _mended(links: dict[str, Link], nodes: Mapping[str, Node]) -> dict[str, Link]:
    """Old files hold slot numbers from before an input was added; the node's own word counts."""
    for target, node in nodes.items():
        for slot, each in enumerate(slots_of(node, "inputs")):
            link = links.get(str(each.get("link")))
            if link is not None and link.target == target and link.target_slot != slot:
                links[str(each["link"])] = replace(link, target_slot=slot)
    return links


def _link(link: Any) -> tuple[str, Link]:
    try:
        if isinstance(link, Mapping):
            names = ("id", "origin_id", "origin_slot", "target_id", "target_slot")
            number, origin, origin_slot, target, target_slot = (link[name] for name in names)
        else:
            number, origin, origin_slot, target, target_slot = link[:5]
        return str(number), Link(str(origin), int(origin_slot), str(target), int(target_slot))
    except (KeyError, TypeError, ValueError) as error:
        raise WorkflowError(f"a link of the workflow is malformed: {str(link)[:80]}") from error


def id_of(node: Node) -> str:
    return str(node["id"])


def type_of(node: Node) -> str:
    return str(node["type"])


def mode_of(node: Node) -> int:
    mode = node.get("mode")
    return mode if isinstance(mode, int) else 0


def slots_of(node: Node, name: str) -> Sequence[Mapping[str, Any]]:
    """The node's `inputs` or `outputs`."""
    return [each for each in node.get(name) or () if isinstance(each, Mapping)]
