"""The editor's workflow files, turned into prompts: what the editor itself would send.

Reads ComfyUI's formats 0.4 (links as lists) and 1.0 (links as objects): subgraphs, group nodes of old,
reroutes, muted and bypassed nodes, primitive nodes, notes, `Set`/`Get` pairs. Nodes inside a subgraph or
group get ids such as `12:5`. Nothing here recurses, so nesting costs no stack.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from execution.errors import WorkflowError
from execution.grouping import group_definition, group_values
from execution.spec import NodeSpec
from execution.widgets import widget_values

MUTED, BYPASSED = 2, 4
INPUT_NODE, OUTPUT_NODE = -10, -20
"""The ids that stand for a subgraph's own inputs and outputs in its links."""
GROUP_PREFIXES = ("workflow/", "workflow>")
PASSING = frozenset({"Reroute", "Reroute (rgthree)", "SetNode"})
"""Node types of the editor that hand their first input on."""
UNSENT = PASSING | {
    "Note",
    "MarkdownNote",
    "PrimitiveNode",
    "GetNode",
    "Label (rgthree)",
    "Bookmark (rgthree)",
}
"""Node types that exist in the editor only."""
MOST_NODES = 100_000
"""Nodes of one workflow, those inside each use of a subgraph counted."""

Choose = Callable[[Sequence[str]], str]
Node = Mapping[str, Any]


def is_workflow(document: Any) -> bool:
    """Whether a JSON document is of the editor's form (a list of nodes) rather than a prompt."""
    return isinstance(document, Mapping) and isinstance(document.get("nodes"), Sequence)


def to_prompt(
    document: Mapping[str, Any],
    specs: Mapping[str, NodeSpec],
    choose: Choose = random.choice,
    most_nodes: int = MOST_NODES,
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The prompt in API form, and the `extra_data` to send with it (the workflow, for the metadata).

    `choose` picks among `{a|b}` alternatives of texts that have them.

    Raises:
        WorkflowError: the document is not a workflow, or one with more than `most_nodes` nodes; names the
            node or link at fault.
    """
    if not is_workflow(document):
        raise WorkflowError("this is not a workflow: it has no list of `nodes`")
    prompt = {}
    for scope in _scopes(document, most_nodes):
        for node in scope.nodes.values():
            if scope.muted or _mode(node) in (MUTED, BYPASSED) or _type(node) in UNSENT or scope.inner(node):
                continue
            prompt[scope.path + _id(node)] = _prompt_node(scope, node, specs, choose)
    return _without_dangling(prompt), {"extra_pnginfo": {"workflow": document}}


# --- the document, scope by scope ---


@dataclass(frozen=True)
class Link:
    """From an output slot to an input slot, by node id within one scope."""

    origin: str
    origin_slot: int
    target: str
    target_slot: int


@dataclass
class Scope:
    """The top graph, or one use of a subgraph. `path` is the prefix of its nodes' ids, such as `"12:"`."""

    path: str
    nodes: dict[str, Node]
    links: dict[str, Link]
    definitions: Mapping[str, Mapping[str, Any]]
    inputs: Sequence[Mapping[str, Any]] = ()
    parent: Scope | None = None
    instance: Node = field(default_factory=dict)
    muted: bool = False
    inners: dict[str, Scope] = field(default_factory=dict)

    def inner(self, node: Node) -> Scope | None:
        """The scope inside a node, if it is a use of a subgraph."""
        return self.inners.get(_id(node))


def _scopes(document: Mapping[str, Any], most_nodes: int) -> Iterator[Scope]:
    """The top scope and all within, outer ones first; all are linked before the first is given."""
    found = [_open("", document, _definitions(document))]
    count = len(found[0].nodes)
    for scope in found:
        for node in scope.nodes.values():
            definition = scope.definitions.get(_type(node))
            if definition is None:
                continue
            if _is_within(scope, _type(node)):
                raise WorkflowError(
                    f"subgraph {definition.get('name') or _type(node)!r} contains itself, "
                    f"at node {scope.path}{_id(node)}; remove that node from it"
                )
            count += len(definition.get("nodes") or ())
            if count > most_nodes:
                raise WorkflowError(
                    f"the workflow has more than {most_nodes} nodes in its subgraphs; split it"
                )
            inner = _open(f"{scope.path}{_id(node)}:", definition, scope.definitions)
            inner.parent, inner.instance = scope, node
            inner.muted = scope.muted or _mode(node) in (MUTED, BYPASSED)
            scope.inners[_id(node)] = inner
            found.append(inner)
    yield from found


def _is_within(scope: Scope | None, kind: str) -> bool:
    """Whether the scope is a use of the subgraph `kind`, or inside one."""
    while scope is not None and scope.parent is not None:
        if _type(scope.instance) == kind:
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
        nodes[_id(node)] = node
    links = dict(_link(each) for each in graph.get("links") or () if each is not None)
    return Scope(path, nodes, links, definitions, graph.get("inputs") or ())


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


def _id(node: Node) -> str:
    return str(node["id"])


def _type(node: Node) -> str:
    return str(node["type"])


def _mode(node: Node) -> int:
    mode = node.get("mode")
    return mode if isinstance(mode, int) else 0


def _slots(node: Node, name: str) -> Sequence[Mapping[str, Any]]:
    """The node's `inputs` or `outputs`."""
    return [each for each in node.get(name) or () if isinstance(each, Mapping)]


# --- one node ---


def _prompt_node(scope: Scope, node: Node, specs: Mapping[str, NodeSpec], choose: Choose) -> dict[str, Any]:
    spec = specs.get(_type(node))
    values = widget_values(node, spec) | _promoted(scope, node, specs)
    inputs = {name: _sent(name, value, spec, choose) for name, value in values.items()}
    for slot in _slots(node, "inputs"):
        if slot.get("link") is None:
            continue
        source = _source(scope, str(slot["link"]))
        if isinstance(source, Constant):
            inputs[str(slot["name"])] = _sent(str(slot["name"]), source.value, spec, choose)
        elif source is not None:
            inputs[str(slot["name"])] = list(source)
    title = node.get("title") or (spec.display_name if spec else None) or _type(node)
    return {"inputs": inputs, "class_type": _type(node), "_meta": {"title": title}}


def _sent(name: str, value: Any, spec: NodeSpec | None, choose: Choose) -> Any:
    """The form in which a value travels: lists are wrapped, so that none is taken for a link."""
    if isinstance(value, list):
        return {"__value__": value}
    given = next((each for each in spec.inputs if each.name == name), None) if spec else None
    if isinstance(value, str) and given is not None and (given.options or {}).get("dynamicPrompts"):
        return with_choices_made(value, choose)
    return value


ALTERNATIVES = re.compile(r"(?<!\\)\{((?:[^{}\\]|\\.)*)\}")
COMMENT = re.compile(r"/\*.*?\*/|(?<!:)//[^\n]*", re.DOTALL)


def with_choices_made(text: str, choose: Choose) -> str:
    """A text with every `{a|b}` replaced by one of its alternatives, innermost first, and without comments.

    `\\{` and `\\}` stand for braces.
    """
    text = COMMENT.sub("", text)
    found = 1
    while found:
        text, found = ALTERNATIVES.subn(lambda match: choose(match[1].split("|")), text)
    return text.replace(r"\{", "{").replace(r"\}", "}")


def _promoted(scope: Scope, node: Node, specs: Mapping[str, NodeSpec]) -> dict[str, Any]:
    """Values that a use of a subgraph or group keeps for widgets of the node inside it."""
    if scope.parent is not None and _type(scope.instance).startswith(GROUP_PREFIXES):
        definition = scope.definitions[_type(scope.instance)]
        return group_values(scope.instance, definition, specs).get(_id(node), {})
    proxies = (scope.instance.get("properties") or {}).get("proxyWidgets") or ()
    values = scope.instance.get("widgets_values")
    if not isinstance(values, list):
        return {}
    pairs = zip(proxies, values, strict=False)
    return {str(pair[1]): value for pair, value in pairs if str(pair[0]) == _id(node) and value is not None}


# --- where a link comes from ---


@dataclass(frozen=True)
class Constant:
    """A link that ends in a value: of a primitive node or of a promoted widget."""

    value: Any


Source = tuple[str, int] | Constant | None


def _source(scope: Scope, number: str) -> Source:
    """What a link stands for: the output it comes from in the prompt, a constant, or nothing.

    Follows reroutes, `Get`s, bypassed nodes, and the borders of subgraphs, in both directions.
    """
    place: tuple[Scope, str] | Source = (scope, number)
    seen: set[tuple[str, str]] = set()
    while isinstance(place, tuple) and isinstance(place[0], Scope):
        scope, number = place[0], str(place[1])
        if (scope.path, number) in seen:
            raise WorkflowError(
                f"link {number} of the workflow runs in a circle; reroute nodes feed one another"
            )
        seen.add((scope.path, number))
        link = scope.links.get(number)
        place = _step(scope, link) if link else None
    return place


def _step(scope: Scope, link: Link) -> tuple[Scope, str] | Source:
    """One move upstream: to another link, or to where it ends."""
    if link.origin == str(INPUT_NODE):
        return _outside(scope, link.origin_slot)
    node = scope.nodes.get(link.origin)
    if node is None or scope.muted or _mode(node) == MUTED:
        return None
    if _mode(node) == BYPASSED:
        return _linked(scope, _bypass(node, link.origin_slot))
    inner = scope.inner(node)
    if inner is not None:
        ends = (key for key, each in inner.links.items() if each.target == str(OUTPUT_NODE))
        number = next((key for key in ends if inner.links[key].target_slot == link.origin_slot), None)
        return (inner, number) if number else None
    if _type(node) == "PrimitiveNode":
        values = node.get("widgets_values")
        return Constant(values[0]) if isinstance(values, list) and values else None
    if _type(node) in PASSING:
        return _linked(scope, next(iter(_slots(node, "inputs")), None))
    if _type(node) == "GetNode":
        return _kept(scope, node)
    return scope.path + _id(node), link.origin_slot


def _linked(scope: Scope, slot: Mapping[str, Any] | None) -> tuple[Scope, str] | None:
    return (scope, str(slot["link"])) if slot and slot.get("link") is not None else None


def _outside(scope: Scope, index: int) -> tuple[Scope, str] | Source:
    """From a subgraph's own input to what its use has there: a link, or the value of a promoted widget."""
    if scope.parent is None or index >= len(scope.inputs):
        return None
    name = str(scope.inputs[index].get("name"))
    slots = _slots(scope.instance, "inputs")
    slot = next(
        (each for each in slots if each.get("name") == name), slots[index] if index < len(slots) else None
    )
    linked = _linked(scope.parent, slot)
    if linked or slot is None or not isinstance(slot.get("widget"), Mapping):
        return linked
    values = _instance_values(scope.instance)
    return Constant(values[name]) if values.get(name) is not None else None


def _instance_values(instance: Node) -> dict[str, Any]:
    """The values that a use of a subgraph keeps for its own inputs, by name."""
    values = instance.get("widgets_values")
    if isinstance(values, Mapping):
        return dict(values)
    if not isinstance(values, list):
        return {}
    proxies = (instance.get("properties") or {}).get("proxyWidgets")
    if proxies:
        names = [str(pair[1]) if str(pair[0]) == "-1" else "" for pair in proxies]
    else:
        names = [str(each["name"]) for each in _slots(instance, "inputs") if each.get("widget")]
    return {name: value for name, value in zip(names, values, strict=False) if name}


def _bypass(node: Node, slot: int) -> Mapping[str, Any] | None:
    """The input that a bypassed node hands on: the one in the same place, else the first of the same type."""
    outputs, inputs = _slots(node, "outputs"), _slots(node, "inputs")
    kind = outputs[slot].get("type") if slot < len(outputs) else None
    ordered = [*inputs[slot : slot + 1], *inputs]
    return next((each for each in ordered if each.get("type") == kind and each.get("link") is not None), None)


def _kept(scope: Scope, node: Node) -> tuple[Scope, str] | None:
    """From a `GetNode` to the link into the `SetNode` of the same name, here or in a scope around."""
    here: Scope | None = scope
    name = (node.get("widgets_values") or [None])[0]
    while here is not None:
        for each in here.nodes.values():
            if _type(each) == "SetNode" and (each.get("widgets_values") or [None])[0] == name:
                return _linked(here, next(iter(_slots(each, "inputs")), None))
        here = here.parent
    return None


def _without_dangling(prompt: dict[str, Any]) -> dict[str, Any]:
    """The prompt without links to nodes that are not sent."""
    for node in prompt.values():
        node["inputs"] = {
            name: value
            for name, value in node["inputs"].items()
            if not isinstance(value, list) or value[0] in prompt
        }
    return prompt
