"""Inputs that depend on the node they are on: those that a choice brings with it, and rows that grow.

A `COMFY_DYNAMICCOMBO_V3` is a choice whose options bring inputs of their own, named `choice.input`. A
`COMFY_AUTOGROW_V3` is a row of like inputs, named `row.prefix0`, `row.prefix1` … or by a list of names. A
prompt names the parts; `opened` gives the node type as that node has it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from execution.declare.spec import CHOICE, Group, InputSpec, NodeSpec

MOST_ROUNDS = 1000
MOST_IN_A_ROW = 100
Naming = Callable[[str], str]
Brought = Callable[[InputSpec, NodeSpec], list[InputSpec]]
"""The inputs that stand for a rule, given the type as far as it is opened."""


def opened(spec: NodeSpec, inputs: Mapping[str, Any]) -> NodeSpec:
    """The type with the inputs that a prompt's node has, instead of the rules for them.

    A choice stays, as a plain choice among its keys. Of a row, those stay that are named in `inputs`, and as
    many as must be there.
    """
    if not spec.dynamic:
        return spec

    def brought(rule: InputSpec, so_far: NodeSpec) -> list[InputSpec]:
        if rule.type == CHOICE:
            return [plain_choice(rule), *chosen(rule, inputs.get(rule.name))]
        least, most = row_bounds(rule)
        steps = (row_step(rule, ordinal) for ordinal in range(most))
        return [
            each
            for ordinal, step in enumerate(steps)
            for each in step
            if ordinal < least or each.name in inputs
        ]

    return unfolded(spec, brought)


def unfolded(spec: NodeSpec, brought: Brought) -> NodeSpec:
    """The type with each rule replaced by what `brought` gives for it, and that opened in turn."""
    done: set[str] = set()
    for _ in range(MOST_ROUNDS):
        rule = next((each for each in spec.inputs if each.dynamic and each.name not in done), None)
        if rule is None:
            break
        done.add(rule.name)
        at = spec.inputs.index(rule)
        spec = replace(spec, inputs=(*spec.inputs[:at], *brought(rule, spec), *spec.inputs[at + 1 :]))
    return spec


def plain_choice(rule: InputSpec) -> InputSpec:
    """A dynamic choice as a choice among its keys."""
    options = {**(rule.options or {}), "options": [key for key, _ in branches(rule)]}
    return InputSpec(rule.name, "COMBO", options, rule.group)


def branches(rule: InputSpec) -> Iterator[tuple[str, Any]]:
    """The keys of a dynamic choice, each with its groups of inputs as object_info shows them."""
    for option in (rule.options or {}).get("options") or ():
        if isinstance(option, Mapping):
            yield str(option.get("key")), option.get("inputs")


def chosen(rule: InputSpec, value: Any) -> list[InputSpec]:
    """The inputs that a choice brings with it; none for a value that it does not offer."""
    groups = next((groups for key, groups in branches(rule) if key == str(value)), None)
    return list(_members(groups, lambda name: f"{rule.name}.{name}", rule.group))


def row_bounds(rule: InputSpec) -> tuple[int, int]:
    """How many steps of a row must be there, and how many there may be."""
    template = _template(rule)
    names = template.get("names")
    most = len(names) if isinstance(names, list) else int(template.get("max", MOST_IN_A_ROW))
    return int(template.get("min", 1)), most


def row_step(rule: InputSpec, ordinal: int) -> list[InputSpec]:
    """The inputs of one step of a row, usually one."""
    template = _template(rule)
    groups = template.get("input") or {}
    single = sum(len(members or {}) for members in groups.values()) == 1
    names = template.get("names")

    def named(key: str) -> str:
        if isinstance(names, list):
            return f"{rule.name}.{names[ordinal]}"
        return f"{rule.name}.{template.get('prefix', '') if single else key}{ordinal}"

    required = ordinal < int(template.get("min", 1)) and rule.group == "required"
    return list(_members(groups, named, "required" if required else "optional"))


def _template(rule: InputSpec) -> Mapping[str, Any]:
    return (rule.options or {}).get("template") or {}


def _members(groups: Any, named: Naming, group: Group) -> Iterator[InputSpec]:
    for part in ("required", "optional"):
        for name, shape in ((groups or {}).get(part) or {}).items():
            yield InputSpec.from_object_info(named(name), shape, "optional" if part == "optional" else group)
