"""Where a link of a workflow file comes from in the end: through reroutes, bypassed nodes and subgraphs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from execution.errors import WorkflowError
from workflows.bypass import bypass
from workflows.file_names import with_names_replaced
from workflows.promotion import given_inside, kept_values, promoted_inputs
from workflows.scopes import (
    BYPASSED,
    GROUP_PREFIXES,
    INPUT_NODE,
    MUTED,
    OUTPUT_NODE,
    Link,
    Node,
    Scope,
    id_of,
    mode_of,
    slots_of,
    type_of,
)
from workflows.shown_values import Making, shown_values, value_named

PASSING = frozenset({"Reroute", "Reroute (rgthree)", "SetNode", "easy setNode"})
"""Node types of the editor that hand their first input on."""
SETTERS: Mapping[str, str] = {"GetNode": "SetNode", "easy getNode": "easy setNode"}
"""Node types of the editor that give what the node of the other type and the same name takes."""
UNSENT = (
    PASSING
    | SETTERS.keys()
    | {"Note", "MarkdownNote", "PrimitiveNode", "Label (rgthree)", "Bookmark (rgthree)"}
    | {"Fast Muter (rgthree)", "Fast Bypasser (rgthree)", "Fast Actions Button (rgthree)"}
    | {"Fast Groups Muter (rgthree)", "Fast Groups Bypasser (rgthree)", "Node Collector (rgthree)"}
    | {"Mute / Bypass Repeater (rgthree)", "Mute / Bypass Relay (rgthree)", "Random Unmuter (rgthree)"}
)
"""Node types that exist in the editor only."""


@dataclass(frozen=True)
class Constant:
    """A link that ends in the value of a promoted widget, which travels as it is."""

    value: Any


@dataclass(frozen=True)
class Written:
    """A link that ends in the value of a primitive node, which the input's own widget makes its own."""

    value: Any


@dataclass(frozen=True)
class End:
    """Where a link ends: the type wanted there, and whether a value could stand there."""

    kind: Any
    is_widget: bool


Source = tuple[str, int] | Constant | Written | None


def source_of(scope: Scope, slot: Node, is_widget: bool, making: Making) -> Source:
    """What the link of an input stands for: the output it comes from in the prompt, a value, or nothing.

    Follows reroutes, `Get`s, bypassed nodes, and the borders of subgraphs, in both directions.
    """
    end = End(slot.get("type"), is_widget)
    place: tuple[Scope, str] | Source = (scope, str(slot["link"]))
    seen: set[tuple[str, str]] = set()
    while isinstance(place, tuple) and isinstance(place[0], Scope):
        scope, number = place[0], str(place[1])
        if (scope.path, number) in seen:
            raise WorkflowError(
                f"link {number} of the workflow runs in a circle; reroute nodes feed one another"
            )
        seen.add((scope.path, number))
        link = scope.links.get(number)
        place = _step(scope, link, end, making) if link else None
    return place


def _step(scope: Scope, link: Link, end: End, making: Making) -> tuple[Scope, str] | Source:
    """One move upstream: to another link, or to where it ends."""
    if link.origin == str(INPUT_NODE):
        return _outside(scope, link.origin_slot, making)
    node = scope.nodes.get(link.origin)
    if node is None:
        return None
    if type_of(node) == "PrimitiveNode":
        return _primitive(scope, node, making) if end.is_widget else None
    if mode_of(node) == MUTED:
        return None
    if mode_of(node) == BYPASSED:
        return _linked(scope, bypass(node, link.origin_slot, end.kind, making.spec(node)))
    inner = scope.inner(node)
    if inner is not None:
        ends = (key for key, each in inner.links.items() if each.target == str(OUTPUT_NODE))
        number = next((key for key in ends if inner.links[key].target_slot == link.origin_slot), None)
        return (inner, number) if number else None
    if type_of(node) in PASSING:
        return _linked(scope, next(iter(slots_of(node, "inputs")), None))
    if type_of(node) in SETTERS:
        return _kept(scope, node)
    return None if type_of(node) in UNSENT else (scope.path + id_of(node), link.origin_slot)


def _linked(scope: Scope, slot: Mapping[str, Any] | None) -> tuple[Scope, str] | None:
    return (scope, str(slot["link"])) if slot and slot.get("link") is not None else None


def _primitive(scope: Scope, node: Node, making: Making) -> Written | None:
    """The value of a primitive node, which a group around it may keep."""
    given = given_inside(scope, id_of(node), making)
    if "value" in given:
        return Written(given["value"])
    values = node.get("widgets_values")
    if not isinstance(values, list) or not values:
        return None
    if isinstance(values[0], str) and (node.get("properties") or {}).get("Run widget replace on values"):
        return Written(
            with_names_replaced(
                values[0], making.now, lambda title, widget: value_named(scope, title, widget, making)
            )
        )
    return Written(values[0])


def _outside(scope: Scope, index: int, making: Making) -> tuple[Scope, str] | Source:
    """From a subgraph's own input to what its use has there: a link, or the value of a promoted widget."""
    if scope.parent is None or index >= len(scope.inputs):
        return None
    name = str(scope.inputs[index].get("name"))
    slots = slots_of(scope.instance, "inputs")
    names = {str(each.get("name")) for each in scope.inputs}
    other = slots[index] if index < len(slots) and slots[index].get("name") not in names else None
    slot = next((each for each in slots if each.get("name") == name), other)
    linked = _linked(scope.parent, slot)
    if linked or type_of(scope.instance).startswith(GROUP_PREFIXES):
        return linked
    if name not in promoted_inputs(scope, making):
        return None
    value = (kept_values(scope, making) | given_inside(scope.parent, id_of(scope.instance), making)).get(name)
    if value is None:
        value = _inner_value(scope, name, making)
    return None if value is None else Constant(value)


def _inner_value(scope: Scope, name: str, making: Making) -> Any:
    """The value of the widget that a promoted input feeds, as it stands inside."""
    number, widget, _ = promoted_inputs(scope, making)[name]
    target = scope.nodes[number]
    if scope.inner(target) is not None:
        return kept_values(scope.inners[number], making).get(widget)
    return shown_values(target, making.spec(target)).get(widget)


def _kept(scope: Scope, node: Node) -> tuple[Scope, str] | None:
    """From a `GetNode` to the link into the `SetNode` of the same name, here or in a scope around."""
    here: Scope | None = scope
    name = (node.get("widgets_values") or [None])[0]
    while here is not None:
        for each in here.nodes.values():
            if type_of(each) == SETTERS[type_of(node)] and (each.get("widgets_values") or [None])[0] == name:
                return _linked(here, next(iter(slots_of(each, "inputs")), None))
        here = here.parent
    return None
