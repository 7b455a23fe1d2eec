"""Inputs that depend on the node of a workflow file: those a choice brings with it, and those that grow.

`COMFY_DYNAMICCOMBO_V3` is a choice whose options bring inputs of their own, named `choice.input`.
`COMFY_AUTOGROW_V3` is a row of like inputs, named `group.prefix0`, `group.prefix1` … or by a list of names.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from execution.declare.spec import Group, InputSpec, NodeSpec
from workflows.widgets import value_of

CHOICE, ROW = "COMFY_DYNAMICCOMBO_V3", "COMFY_AUTOGROW_V3"
MOST_ROUNDS = 1000
MOST_IN_A_ROW = 100
Naming = Callable[[str], str]


def expanded(spec: NodeSpec, node: Mapping[str, Any]) -> NodeSpec:
    """The type with the inputs that this node has, instead of the rules for them."""
    opened: set[str] = set()
    for _ in range(MOST_ROUNDS):
        rule = next((each for each in spec.inputs if each.type == ROW or _is_closed(each, opened)), None)
        if rule is None:
            break
        opened.add(rule.name)
        brought = _row(rule, node) if rule.type == ROW else [rule, *_chosen(rule, node, spec)]
        at = spec.inputs.index(rule)
        spec = replace(spec, inputs=(*spec.inputs[:at], *brought, *spec.inputs[at + 1 :]))
    return spec


def _is_closed(given: InputSpec, opened: set[str]) -> bool:
    return given.type == CHOICE and given.name not in opened


def _chosen(choice: InputSpec, node: Mapping[str, Any], spec: NodeSpec) -> list[InputSpec]:
    """What the node's choice brings; everything that stands before it is expanded already."""
    value = value_of(node, spec, choice)
    for option in (choice.options or {}).get("options") or ():
        if isinstance(option, Mapping) and str(option.get("key")) == str(value):
            return list(_members(option.get("inputs"), lambda name: f"{choice.name}.{name}", choice.group))
    return []


def _row(rule: InputSpec, node: Mapping[str, Any]) -> list[InputSpec]:
    """As many as must be there, or as the file has, and one to spare."""
    template = (rule.options or {}).get("template") or {}
    names = template.get("names")
    least = int(template.get("min", 1))
    most = len(names) if isinstance(names, list) else int(template.get("max", MOST_IN_A_ROW))
    filed = {each.get("name"): each for each in node.get("inputs") or () if isinstance(each, Mapping)}
    steps = [list(_step(rule, template, ordinal)) for ordinal in range(most)]
    count = max(1, least)
    for ordinal, step in enumerate(steps):
        here = [filed[each.name] for each in step if each.name in filed]
        if here:
            linked = any(each.get("link") is not None for each in here)
            count = max(count, ordinal + (2 if linked else 1))
    return [each for step in steps[:count] for each in step]


def _step(rule: InputSpec, template: Mapping[str, Any], ordinal: int) -> Iterator[InputSpec]:
    groups = template.get("input") or {}
    single = sum(len(members or {}) for members in groups.values()) == 1
    names = template.get("names")

    def named(key: str) -> str:
        if isinstance(names, list):
            return f"{rule.name}.{names[ordinal]}"
        return f"{rule.name}.{template.get('prefix', '') if single else key}{ordinal}"

    yield from _members(groups, named, "required" if ordinal < int(template.get("min", 1)) else "optional")


def _members(groups: Any, named: Naming, group: Group) -> Iterator[InputSpec]:
    for part in ("required", "optional"):
        for name, shape in ((groups or {}).get(part) or {}).items():
            yield InputSpec.from_object_info(named(name), shape, "optional" if part == "optional" else group)
