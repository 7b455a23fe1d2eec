"""What a bypassed node of a workflow file hands on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from execution.declare.spec import InputSpec, NodeSpec
from workflows.scopes import Node, slots_of
from workflows.widgets import is_widget

FOLLOWING = "COMFY_MATCHTYPE_V3"
"""A socket whose type is that of what is connected: the file knows it."""


def bypass(node: Node, slot: int, wanted: Any, spec: NodeSpec | None) -> Mapping[str, Any] | None:
    """The input that a bypassed node hands on.

    The one in the place of the output, if it fits; else the first of the type that is wanted where the link
    ends; else the first that fits. To fit is to be connectable to the output and to where the link ends.
    """
    outputs, inputs = slots_of(node, "outputs"), _ordered_inputs(node, spec)
    declared = spec.outputs[slot].socket if spec and slot < len(spec.outputs) else FOLLOWING
    filed = outputs[slot].get("type") if slot < len(outputs) else wanted
    kind = filed if declared == FOLLOWING else declared
    there = inputs[slot] if slot < len(inputs) else None
    if _socket(wanted) == "*":
        return there or next(iter(inputs), None)
    if there is not None and _fits(kind, wanted, there.get("type")):
        return there
    same = (each for each in inputs if _socket(each.get("type")) == _socket(wanted))
    return next(same, None) or next((each for each in inputs if _fits(kind, wanted, each.get("type"))), None)


def _ordered_inputs(node: Node, spec: NodeSpec | None) -> list[Mapping[str, Any]]:
    """The inputs as the editor lines them up: sockets, then widgets, then what the spec does not know."""
    filed = {str(each.get("name")): each for each in slots_of(node, "inputs")}
    if spec is None:
        return list(filed.values())
    visible = list(spec.by_name.values())
    lined = [
        *(each for each in visible if not is_widget(each)),
        *(each for each in visible if is_widget(each)),
    ]
    named = {each.name: {"name": each.name, "type": each.socket, "link": None} for each in lined}
    known = [{**named[each.name], **filed.get(each.name, {}), "type": _plain(each, filed)} for each in lined]
    return [*known, *(each for name, each in filed.items() if name not in named)]


def _plain(given: InputSpec, filed: Mapping[str, Mapping[str, Any]]) -> Any:
    """The type of an input's socket; one that follows what is connected has the file's."""
    if given.socket != FOLLOWING:
        return given.socket
    allowed = ((given.options or {}).get("template") or {}).get("allowed_types", "*")
    return filed.get(given.name, {}).get("type") or allowed


def _socket(kind: Any) -> str:
    if isinstance(kind, list):
        return "COMBO"
    return "*" if kind in (None, 0, "") else str(kind)


def _fits(output: Any, wanted: Any, given: Any) -> bool:
    return _connectable(output, given) and _connectable(wanted, given)


def _connectable(output: Any, given: Any) -> bool:
    """Whether an output may feed an input: the same type, or unions that overlap, or one takes anything."""
    gives, takes = ({part.strip() for part in _socket(each).upper().split(",")} for each in (output, given))
    return "*" in gives | takes or bool(gives & takes)
