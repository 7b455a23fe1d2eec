"""Group nodes of old workflow files, given the shape of a subgraph.

A group (`extra.groupNodes`) keeps its nodes without ids, its links by position, and its outside as rules: an
input or widget of a member that nothing inside feeds becomes one of the group's, in order, widgets that were
made inputs last; so does each output that nothing inside takes, or that `external` or `config` names.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from execution.declare.spec import InputSpec, NodeSpec
from workflows.widgets import BUTTON, UPLOADS, controls_behind, take, widgets_of

INPUT_NODE, OUTPUT_NODE = -10, -20
Slot = tuple[int, int]


def group_definition(group: Mapping[str, Any]) -> dict[str, Any]:
    """The subgraph definition of a group: nodes, links and inputs; its members' ids are their positions."""
    members = [dict(node, id=index) for index, node in enumerate(group.get("nodes") or ())]
    inner = _inner(group)
    links = [
        {"id": f"g{n}", "origin_id": a, "origin_slot": a_slot, "target_id": b, "target_slot": b_slot}
        for n, (a, a_slot, b, b_slot, *_) in enumerate(inner)
    ]
    inputs = list(_inputs(members, group, {(link[2], link[3]) for link in inner}))
    for index, (_, member, slot) in enumerate(inputs):
        links.append(_border(f"i{index}", INPUT_NODE, index, member, slot))
    for index, (member, slot) in enumerate(_outputs(members, group, {(link[0], link[1]) for link in inner})):
        links.append(_border(f"o{index}", member, slot, OUTPUT_NODE, index))
    return {
        "nodes": _connected(members, links),
        "links": links,
        "inputs": [{"name": name} for name, _, _ in inputs],
    }


def group_values(
    instance: Mapping[str, Any], definition: Mapping[str, Any], specs: Mapping[str, NodeSpec]
) -> dict[str, dict[str, Any]]:
    """The widget values of a use of a group, by member: one list holds those of all members, in order.

    A widget that a member lists as an input was made a socket and has no value; should the list be longer
    than that, it comes from a version in which every widget is listed so.
    """
    values = instance.get("widgets_values")
    if not isinstance(values, list):
        return {}
    strict = _shown(definition, specs, converted=True)
    loose = _shown(definition, specs, converted=False)
    chosen = loose if _count(strict) != len(values) == _count(loose) else strict
    found: dict[str, dict[str, Any]] = {}
    position = 0
    for index, widgets in enumerate(chosen):
        named, position = take(values, position, widgets)
        found[str(index)] = {name: value for name, value in named.items() if name != BUTTON}
    return found


def _inner(group: Mapping[str, Any]) -> list[Any]:
    """The links between members."""
    return [link for link in group.get("links") or () if link and link[0] is not None and link[2] is not None]


def _shown(
    definition: Mapping[str, Any], specs: Mapping[str, NodeSpec], converted: bool
) -> list[list[InputSpec]]:
    """The widgets that each member shows on the group."""
    inside = {
        (link["target_id"], link["target_slot"])
        for link in definition["links"]
        if link["origin_id"] != INPUT_NODE
    }
    found = []
    for index, member in enumerate(definition["nodes"]):
        listed = [
            (slot, each["widget"]["name"]) for slot, each in enumerate(member["inputs"]) if each.get("widget")
        ]
        taken = {name for slot, name in listed if converted or (index, slot) in inside}
        if member["type"] == "PrimitiveNode":
            widgets = _primitive(definition, index, specs)
        else:
            widgets = _with_button(member, specs.get(member["type"]))
        found.append([each for each in widgets if each.name not in taken])
    return found


def _count(shown: list[list[InputSpec]]) -> int:
    return sum(1 + controls_behind(each) for widgets in shown for each in widgets)


def _with_button(member: Mapping[str, Any], spec: NodeSpec | None) -> list[InputSpec]:
    """A member's widgets; one that takes uploads has a button behind them."""
    widgets = widgets_of(member, spec) if spec else []
    uploads = any(
        each.group == "required" and (each.options or {}).get(kind)
        for each in widgets
        for kind in UPLOADS[:3]
    )
    return [*widgets, InputSpec(BUTTON, "BUTTON")] if uploads else widgets


def _primitive(definition: Mapping[str, Any], index: int, specs: Mapping[str, NodeSpec]) -> list[InputSpec]:
    """A primitive has the widget of what it feeds."""
    for link in definition["links"]:
        if link["origin_id"] != index or link["target_id"] == OUTPUT_NODE:
            continue
        member = definition["nodes"][link["target_id"]]
        name = (member["inputs"][link["target_slot"]].get("widget") or {}).get("name")
        spec = specs.get(member["type"])
        for each in widgets_of(member, spec) if spec else ():
            if each.name == name:
                options = {**(each.options or {}), "control_after_generate": True}
                return [InputSpec("value", each.type, options, each.group)]
    return []


def _border(number: str, origin: int, origin_slot: int, target: int, target_slot: int) -> dict[str, Any]:
    return {
        "id": number,
        "origin_id": origin,
        "origin_slot": origin_slot,
        "target_id": target,
        "target_slot": target_slot,
    }


def _config(group: Mapping[str, Any], member: int, side: str, key: Any) -> Mapping[str, Any]:
    """What the file says about one input or output of a member: a name of its own, whether it is shown."""
    part: Any = group.get("config")
    for step in (member, side, key):
        part = (part.get(str(step)) or {}) if isinstance(part, Mapping) else {}
    return part if isinstance(part, Mapping) else {}


def _inputs(
    members: list[dict[str, Any]], group: Mapping[str, Any], fed: set[Slot]
) -> Iterator[tuple[str, int, int]]:
    """Name, member and slot of each input that comes from outside; a name taken gets its member's too."""
    used: set[str] = set()
    last: list[tuple[str, int, int]] = []
    for index, member in enumerate(members):
        for slot, each in enumerate(member.get("inputs") or ()):
            told = _config(group, index, "input", each.get("name"))
            if (index, slot) in fed or told.get("visible") is False:
                continue
            name = str(told.get("name") or each.get("label") or each.get("name"))
            if name in used:
                name = f"{member.get('title') or member.get('type')} {each.get('name')}"
            used.add(name)
            if each.get("widget"):
                last.append((name, index, slot))
            else:
                yield name, index, slot
    yield from last


def _outputs(members: list[dict[str, Any]], group: Mapping[str, Any], taken: set[Slot]) -> Iterator[Slot]:
    external = {(each[0], each[1]) for each in group.get("external") or ()}
    for index, member in enumerate(members):
        for slot, _ in enumerate(member.get("outputs") or ()):
            shown = _config(group, index, "output", slot).get("visible")
            if shown is None:
                shown = (index, slot) in external or (index, slot) not in taken
            if shown:
                yield index, slot


def _connected(members: list[dict[str, Any]], links: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The members with each input naming the link that feeds it."""
    fed = {(link["target_id"], link["target_slot"]): link["id"] for link in links}
    return [
        {
            **member,
            "inputs": [
                {**each, "link": fed.get((index, slot))}
                for slot, each in enumerate(member.get("inputs") or ())
            ],
        }
        for index, member in enumerate(members)
    ]
