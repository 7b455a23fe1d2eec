"""Nodes of old types as nodes of the types that took their place, in prompts and in the editor's workflows.

The program and packs say what replaces what by `{"new_node_id", "old_node_id", "old_widget_ids",
"input_mapping", "output_mapping"}`. A node is replaced only where its own type is not there and
the new one is.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Listed = Mapping[str, Sequence[Mapping[str, Any]]]
"""Replacements by the old type, as they are told."""


@dataclass(frozen=True)
class Replacement:
    """How a node of type `old` becomes one of type `new`.

    inputs: the new input's name with the old one's, or with None and a constant; None keeps all as they are.
    outputs: the new place of an output by its old one; others keep theirs.
    widgets: the names of the old node's widgets, in the order in which workflows keep their values.
    """

    old: str
    new: str
    widgets: tuple[str, ...] = ()
    inputs: tuple[tuple[str, str | None, Any], ...] | None = None
    outputs: Mapping[int, int] | None = None

    @classmethod
    def of(cls, told: Mapping[str, Any]) -> Replacement:
        """Read what was told; entries that make no sense are left out."""
        inputs, outputs = told.get("input_mapping"), told.get("output_mapping")
        return cls(
            str(told["old_node_id"]),
            str(told["new_node_id"]),
            tuple(map(str, told.get("old_widget_ids") or ())),
            None if inputs is None else tuple(
                (str(each["new_id"]), each.get("old_id"), each.get("set_value"))
                for each in inputs
                if isinstance(each, Mapping) and "new_id" in each
            ),
            None if outputs is None else {
                each["old_idx"]: each["new_idx"]
                for each in outputs
                if isinstance(each, Mapping) and "old_idx" in each and "new_idx" in each
            },
        )  # fmt: skip

    def renamed(self, inputs: Mapping[str, Any]) -> dict[str, Any]:
        """Inputs, or whatever is kept by their names, under the new names, with the constants."""
        if self.inputs is None:
            return dict(inputs)
        named = {new: inputs[old] for new, old, _ in self.inputs if old is not None and old in inputs}
        return {**named, **self.constants()}

    def constants(self) -> dict[str, Any]:
        """New inputs that the old node had no part of."""
        return {new: value for new, old, value in self.inputs or () if old is None}

    def new_name(self, old: str) -> str | None:
        """The new name of an old input; None when it has none."""
        if self.inputs is None:
            return old
        return next((new for new, name, _ in self.inputs if name == old), None)

    def output(self, place: Any) -> Any:
        """The new place of an output."""
        return (self.outputs or {}).get(place, place) if isinstance(place, int) else place


def by_old_type(told: Iterable[Mapping[str, Any]]) -> dict[str, list[Mapping[str, Any]]]:
    """Replacements by the old type, in the order in which they are tried."""
    listed: dict[str, list[Mapping[str, Any]]] = {}
    for each in told:
        listed.setdefault(str(each.get("old_node_id")), []).append(each)
    return listed


def replacement_for(kind: Any, listed: Listed, known: Container[str]) -> Replacement | None:
    """What replaces a type that is not there, if something that is there does."""
    if not isinstance(kind, str) or kind in known:
        return None
    for told in listed.get(kind, ()):
        if told.get("new_node_id") in known:
            return Replacement.of(told)
    return None


def replaced_prompt(prompt: Mapping[str, Any], listed: Listed, known: Container[str]) -> Mapping[str, Any]:
    """The prompt with replaced nodes; the same one if there are none."""
    found = {
        name: replacement
        for name, node in prompt.items()
        if isinstance(node, dict)
        and (replacement := replacement_for(node.get("class_type"), listed, known)) is not None
    }
    if not found:
        return prompt
    result: dict[str, Any] = {}
    for name, node in prompt.items():
        inputs = node.get("inputs") if isinstance(node, dict) else None
        if not isinstance(inputs, dict):
            result[name] = node
            continue
        inputs = {key: relinked(value, found) for key, value in inputs.items()}
        if name in found:
            result[name] = {**node, "class_type": found[name].new, "inputs": found[name].renamed(inputs)}
        else:
            result[name] = {**node, "inputs": inputs}
    return result


def relinked(value: Any, found: Mapping[str, Replacement]) -> Any:
    """An input's value; a link to a replaced node goes to the output's new place."""
    if isinstance(value, list) and len(value) == 2 and isinstance(value[0], str) and value[0] in found:
        return [value[0], found[value[0]].output(value[1])]
    return value


def replaced_workflow(
    workflow: Mapping[str, Any], listed: Listed, known: Container[str]
) -> Mapping[str, Any]:
    """The editor's workflow with replaced nodes, also in its subgraphs; the same one if there are none."""
    graphs = [workflow, *subgraphs(workflow)]
    if not any(replaceable(graph, listed, known) for graph in graphs):
        return workflow
    result = replaced_graph(workflow, listed, known)
    inner = [replaced_graph(graph, listed, known) for graph in graphs[1:]]
    if inner:
        result["definitions"] = {**workflow["definitions"], "subgraphs": inner}
    return result


def subgraphs(workflow: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The definitions of a workflow's subgraphs."""
    definitions = workflow.get("definitions")
    found = definitions.get("subgraphs") if isinstance(definitions, Mapping) else None
    return [graph for graph in found if isinstance(graph, Mapping)] if isinstance(found, list) else []


def replaceable(graph: Mapping[str, Any], listed: Listed, known: Container[str]) -> dict[str, Replacement]:
    """The replacements of a graph's nodes, by their ids as text."""
    nodes = graph.get("nodes")
    return {
        str(node.get("id")): replacement
        for node in (nodes if isinstance(nodes, list) else ())
        if isinstance(node, Mapping)
        and (replacement := replacement_for(node.get("type"), listed, known)) is not None
    }


def replaced_graph(graph: Mapping[str, Any], listed: Listed, known: Container[str]) -> dict[str, Any]:
    """One graph with its own nodes replaced."""
    found = replaceable(graph, listed, known)
    nodes = [
        replaced_node(node, found[str(node["id"])])
        if isinstance(node, Mapping) and str(node.get("id")) in found
        else node
        for node in graph.get("nodes") or ()
    ]
    links = graph.get("links")
    moved = list(moved_links(links, found)) if isinstance(links, list) else links
    return {**graph, "nodes": nodes, **({} if links is None else {"links": moved})}


def moved_links(links: Sequence[Any], found: Mapping[str, Replacement]) -> Iterator[Any]:
    """Links, as lists or objects, from the outputs' new places."""
    for link in links:
        if isinstance(link, list) and len(link) > 2 and str(link[1]) in found:
            yield [*link[:2], found[str(link[1])].output(link[2]), *link[3:]]
        elif isinstance(link, Mapping) and str(link.get("origin_id")) in found:
            place = found[str(link["origin_id"])].output(link.get("origin_slot"))
            yield {**link, "origin_slot": place}
        else:
            yield link


def replaced_node(node: Mapping[str, Any], replacement: Replacement) -> dict[str, Any]:
    """A node of a workflow as one of the new type. Its values are kept by name from now on; places of inputs
    stay, as links count them, and those that are no inputs any more lose their links.
    """
    values = node.get("widgets_values")
    if isinstance(values, list):
        values = dict(zip(replacement.widgets, values, strict=False)) if replacement.widgets else values
    if isinstance(values, Mapping):
        values = replacement.renamed(values)
    elif values is None and replacement.constants():
        values = replacement.constants()
    inputs = node.get("inputs")
    slots = [renamed_slot(slot, replacement) for slot in (inputs if isinstance(inputs, list) else ())]
    changed = {"type": replacement.new, "inputs": slots}
    return {**node, **changed, **({} if values is None else {"widgets_values": values})}


def renamed_slot(slot: Any, replacement: Replacement) -> Any:
    """An input of a node under its new name; without its link when it has none."""
    if not isinstance(slot, Mapping) or "name" not in slot:
        return slot
    name = replacement.new_name(str(slot["name"]))
    if name is None:
        return {**slot, "link": None}
    widget = slot.get("widget")
    named = {"widget": {**widget, "name": name}} if isinstance(widget, Mapping) else {}
    return {**slot, "name": name, **named}
