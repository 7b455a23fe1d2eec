"""Which inputs of a node type are widgets in the editor, and the values that a workflow file keeps for them.

Files keep widget values as a list by position (`widgets_values`), as an object by name, or both
(`widgets_values_named`). Names win: positions shift when a node type changes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from execution.spec import InputSpec, NodeSpec

WIDGET_TYPES = frozenset({"INT", "FLOAT", "STRING", "BOOLEAN"})
CONTROLS = frozenset({"fixed", "increment", "decrement", "randomize"})
"""What a `control after generate` entry says; it follows the widget it controls in a list of values."""
CONTROLLED_NAMES = frozenset({"seed", "noise_seed"})


def is_widget(given: InputSpec) -> bool:
    """Whether the editor shows this input as a control rather than only as a socket."""
    if given.group == "hidden" or given.force_input:
        return False
    return given.is_combo or given.socket in WIDGET_TYPES


def is_controlled(given: InputSpec) -> bool:
    """Whether the editor adds a `control after generate` entry behind this widget."""
    options = given.options or {}
    return bool(options.get("control_after_generate")) or given.name in CONTROLLED_NAMES


def by_position(values: Sequence[Any], widgets: Iterable[InputSpec]) -> dict[str, Any]:
    """Name a list of values, passing over control entries and what is left at the end (upload buttons)."""
    return take(values, 0, widgets)[0]


def take(values: Sequence[Any], position: int, widgets: Iterable[InputSpec]) -> tuple[dict[str, Any], int]:
    """Name the values from `position` on; gives them and the position behind the last one taken."""
    named: dict[str, Any] = {}
    for widget in widgets:
        if position >= len(values):
            break
        named[widget.name] = values[position]
        position += 1
        if is_controlled(widget) and position < len(values) and _is_control(values[position]):
            position += 1
    return named, position


def _is_control(value: Any) -> bool:
    """Early files keep a boolean there; no seed is followed by a boolean widget of its own."""
    return isinstance(value, bool) or (isinstance(value, str) and value in CONTROLS)


def widget_values(node: Mapping[str, Any], spec: NodeSpec | None) -> dict[str, Any]:
    """The widget values by name that a node of a workflow file holds.

    Without a spec, names come from the node's own input list, as far as it has them.
    """
    values = node.get("widgets_values")
    named: dict[str, Any] = {}
    if isinstance(values, Mapping):
        named = {str(name): value for name, value in values.items()}
    elif isinstance(values, Sequence) and not isinstance(values, str):
        named = by_position(values, widgets_of(node, spec))
    by_name = node.get("widgets_values_named")
    if isinstance(by_name, Mapping):
        named.update(by_name)
    if spec is None or spec.accepts_extra_inputs:
        return named
    known = {each.name for each in spec.inputs if each.group != "hidden"}
    return {name: value for name, value in named.items() if name in known}


def widgets_of(node: Mapping[str, Any], spec: NodeSpec | None) -> list[InputSpec]:
    """The inputs of a file's node that own an entry in its list of values, in order."""
    declared = _declared_widgets(node)
    if spec is None:
        return [InputSpec(name, kind) for name, kind in declared.items()]
    # A type of a pack may have a widget of the pack's own: the file knows.
    return [
        each
        for each in spec.inputs
        if is_widget(each) or (each.name in declared and each.group != "hidden" and not each.force_input)
    ]


def _declared_widgets(node: Mapping[str, Any]) -> dict[str, str]:
    """Names and types of the inputs that the file itself calls widgets, in order."""
    found: dict[str, str] = {}
    for each in node.get("inputs") or ():
        widget = each.get("widget") if isinstance(each, Mapping) else None
        if isinstance(widget, Mapping) and "name" in widget:
            found[str(widget["name"])] = str(each.get("type", "*"))
    return found
