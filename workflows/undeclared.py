"""Values of widgets that no spec declares: in the reference's editor a pack's own script makes those.

An object names its values. Of a list the file's inputs name them, or the pack's habit does; what nothing
names cannot be sent. The editor (`web/core/values.js`) goes by the same rules, and asks before it leaves
anything out.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from execution.declare.spec import NodeSpec

PACKS = "custom_nodes"
"""What the modules of packs begin with: the reference's own types have no further widgets."""
RULE = "control_after_generate"
LORA = frozenset({"on", "lora", "strength"})
"""The keys of a row of rgthree's *Power Lora Loader*, which names its rows `lora_1`, `lora_2` …"""


def undeclared_values(node: Mapping[str, Any], spec: NodeSpec, rest: Sequence[Any]) -> dict[str, Any]:
    """The values by name that a file's node keeps beyond what its type declares.

    `rest` is what its list of values holds behind the last declared widget.
    """
    declared = {RULE, *(each.name for each in spec.inputs)}
    scripted = spec.python_module.startswith(PACKS) or spec.accepts_extra_inputs
    values, by_name = node.get("widgets_values"), node.get("widgets_values_named")
    keyed = {
        **(values if isinstance(values, Mapping) else {}),
        **(by_name if isinstance(by_name, Mapping) else {}),
    }
    named = {
        str(name): value
        for name, value in keyed.items()
        if name not in declared and (scripted or is_structured(value))
    }
    return named if isinstance(by_name, Mapping) else named | _of_list(node, declared, rest)


def _of_list(node: Mapping[str, Any], declared: Collection[str], rest: Sequence[Any]) -> dict[str, Any]:
    filed = [each.get("widget") for each in node.get("inputs") or () if isinstance(each, Mapping)]
    names = [str(each["name"]) for each in filed if isinstance(each, Mapping) and "name" in each]
    further = [name for name in names if name not in declared]
    if further and len(further) == len(rest):
        return dict(zip(further, rest, strict=True))
    rows = [each for each in rest if isinstance(each, Mapping) and each.keys() >= LORA]
    return {f"lora_{number}": row for number, row in enumerate(rows, 1)}


def is_structured(value: Any) -> bool:
    """Whether a value is more than a number or a text: somebody has set it up."""
    return isinstance(value, Mapping) or (isinstance(value, list) and any(map(is_structured, value)))
