"""Values that uses of subgraphs and group nodes keep for the widgets of nodes inside them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from execution.declare.spec import InputSpec
from workflows.grouping import group_values
from workflows.scopes import GROUP_PREFIXES, INPUT_NODE, Node, Promoted, Scope, id_of, slots_of, type_of
from workflows.shown_values import Making, widget_behind
from workflows.widgets import CONTROLS, controls_behind


def given_inside(scope: Scope, number: str, making: Making) -> dict[str, Any]:
    """Values that a use of a subgraph or group, or one around it, keeps for widgets of a node inside it."""
    if scope.given is None:
        around: list[Scope] = [scope]
        while around[-1].parent is not None and around[-1].parent.given is None:
            around.append(around[-1].parent)
        for each in reversed(around):
            each.given = _all_given(each, making)
    return (scope.given or {}).get(number, {})


def _all_given(scope: Scope, making: Making) -> dict[str, dict[str, Any]]:
    """What a scope's use keeps for all nodes inside; what is around the scope has been found already."""
    if scope.parent is None:
        return {}
    if type_of(scope.instance).startswith(GROUP_PREFIXES):
        return group_values(scope.instance, scope.definitions[type_of(scope.instance)], making.specs)
    kept = kept_values(scope, making) | (scope.parent.given or {}).get(id_of(scope.instance), {})
    found: dict[str, dict[str, Any]] = {}
    for member, name, shown in _proxies(scope, making):
        if kept.get(shown) is not None:
            found.setdefault(member, {})[name] = kept[shown]
    return found


def _proxies(scope: Scope, making: Making) -> list[tuple[str, str, str]]:
    """Widgets promoted by name: the node inside, its widget, and the name under which the use shows it."""
    listed = (scope.instance.get("properties") or {}).get("proxyWidgets")
    found = []
    for each in listed if isinstance(listed, list) else ():
        if isinstance(each, list) and len(each) > 1:
            member, name, *source = (str(part) for part in each)
            inner = scope.inners.get(member)
            further_in = inner is not None and bool(source) and name not in promoted_inputs(inner, making)
            shown = f"{member}: {name}"
            found.append((member, f"{source[0]}: {name}" if further_in else name, shown))
    return found


def kept_values(scope: Scope, making: Making) -> dict[str, Any]:
    """The values that a use of a subgraph keeps: of its own inputs by name, of others by the shown name.

    They are listed in the order of `proxyWidgets`, where `-1` stands for the use itself; own inputs that are
    not listed there come first.
    """
    values = scope.instance.get("widgets_values")
    if isinstance(values, Mapping):
        return dict(values)
    if not isinstance(values, list):
        return {}
    own = promoted_inputs(scope, making)
    order = []
    for member, name, shown in _proxies(scope, making):
        mine = next(
            (port for port, (inner, widget, _) in own.items() if (inner, widget) == (member, name)), None
        )
        order.append(name if member == "-1" else mine or shown)
    names = [*(port for port in own if port not in order), *order]
    return _by_name(names, values, {port: widget for port, (_, _, widget) in own.items()})


def _by_name(names: Sequence[str], values: Sequence[Any], widgets: Mapping[str, InputSpec]) -> dict[str, Any]:
    """Values by name; a rule for a seed has no name and is passed over."""
    found, position = {}, 0
    for name in names:
        if position >= len(values):
            break
        found[name] = values[position]
        position += 1
        if name in widgets and position < len(values) and _is_rule(values[position]):
            position += controls_behind(widgets[name])
    return found


def _is_rule(value: Any) -> bool:
    return isinstance(value, str) and value in CONTROLS


def promoted_inputs(scope: Scope, making: Making) -> dict[str, Promoted]:
    """The inputs of a subgraph that feed a widget inside: by name, the node, its widget, and what it is."""
    if scope.promoted is None:
        scope.promoted = {}
        for link in scope.links.values():
            target = scope.nodes.get(link.target)
            if link.origin != str(INPUT_NODE) or target is None or link.origin_slot >= len(scope.inputs):
                continue
            slots = slots_of(target, "inputs")
            slot = slots[link.target_slot] if link.target_slot < len(slots) else {}
            widget = _promoted_widget(scope, target, slot, making)
            if widget is not None:
                name = str(scope.inputs[link.origin_slot].get("name"))
                scope.promoted.setdefault(name, (id_of(target), str(slot.get("name")), widget))
    order = {str(each.get("name")): index for index, each in enumerate(scope.inputs)}
    return dict(sorted(scope.promoted.items(), key=lambda item: order[item[0]]))


def _promoted_widget(scope: Scope, target: Node, slot: Node, making: Making) -> InputSpec | None:
    """The widget behind an input of a node inside, at any depth."""
    inner = scope.inner(target)
    while inner is not None:
        name = slot.get("name")
        port = next((n for n, each in enumerate(inner.inputs) if each.get("name") == name), None)
        ends = (each for each in inner.links.values() if each.origin == str(INPUT_NODE))
        link = next((each for each in ends if each.origin_slot == port), None)
        if link is None or link.target not in inner.nodes:
            return None
        target = inner.nodes[link.target]
        slots = slots_of(target, "inputs")
        slot = slots[link.target_slot] if link.target_slot < len(slots) else {}
        inner = inner.inner(target)
    return widget_behind(slot, making.spec(target))
