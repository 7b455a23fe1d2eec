"""The inputs that a node of a workflow file has, where they depend on its choices and links."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from execution.declare.dynamic import chosen, row_bounds, row_step, unfolded
from execution.declare.spec import ROW, InputSpec, NodeSpec
from workflows.widgets import value_of


def expanded(spec: NodeSpec, node: Mapping[str, Any]) -> NodeSpec:
    """The type with the inputs that this node has, instead of the rules for them."""

    def brought(rule: InputSpec, so_far: NodeSpec) -> list[InputSpec]:
        if rule.type == ROW:
            return _row(rule, node)
        # What stands before the choice is opened already, so that its value is found at its place.
        return [rule, *chosen(rule, value_of(node, so_far, rule))]

    return unfolded(spec, brought)


def _row(rule: InputSpec, node: Mapping[str, Any]) -> list[InputSpec]:
    """As many as must be there, or as the file has, and one to spare."""
    least, most = row_bounds(rule)
    filed = {each.get("name"): each for each in node.get("inputs") or () if isinstance(each, Mapping)}
    steps = [row_step(rule, ordinal) for ordinal in range(most)]
    count = max(1, least)
    for ordinal, step in enumerate(steps):
        here = [filed[each.name] for each in step if each.name in filed]
        if here:
            linked = any(each.get("link") is not None for each in here)
            count = max(count, ordinal + (2 if linked else 1))
    return [each for step in steps[:count] for each in step]
