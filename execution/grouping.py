"""Group nodes of old workflow files, given the shape of a subgraph.

A group (`extra.groupNodes`) keeps its nodes without ids, its links by position, and its outside as rules: an
input or widget of a member that nothing inside feeds becomes one of the group's, in order; so does each
output that nothing inside takes, or that `external` names.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from execution.spec import NodeSpec
from execution.widgets import take, widgets_of

INPUT_NODE, OUTPUT_NODE = -10, -20


def group_definition(group: Mapping[str, Any]) -> dict[str, Any]:
    """The subgraph definition of a group: nodes, links and inputs; its members' ids are their positions."""
    members = [dict(node, id=index) for index, node in enumerate(group.get("nodes") or ())]
    inner = [
        link for link in group.get("links") or () if link and link[0] is not None and link[2] is not None
    ]
    links = [
        {"id": f"g{n}", "origin_id": a, "origin_slot": a_slot, "target_id": b, "target_slot": b_slot}
        for n, (a, a_slot, b, b_slot, *_) in enumerate(inner)
    ]
    inputs = list(_inputs(members, {(link[2], link[3]) for link in inner}))
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
    """The widget values of a use of a group, by member: one list holds those of all members, in order."""
    values = instance.get("widgets_values")
    if not isinstance(values, list):
        return {}
    inside = {
        (link["target_id"], link["target_slot"])
        for link in definition["links"]
        if link["origin_id"] != INPUT_NODE
    }
    found, position = {}, 0
    for index, member in enumerate(definition["nodes"]):
        fed = {each.get("name") for slot, each in enumerate(member["inputs"]) if (index, slot) in inside}
        widgets = [each for each in widgets_of(member, specs.get(member["type"])) if each.name not in fed]
        found[str(index)], position = take(values, position, widgets)
    return found


def _border(number: str, origin: int, origin_slot: int, target: int, target_slot: int) -> dict[str, Any]:
    return {
        "id": number,
        "origin_id": origin,
        "origin_slot": origin_slot,
        "target_id": target,
        "target_slot": target_slot,
    }


def _inputs(members: list[dict[str, Any]], fed: set[tuple[int, int]]) -> Iterator[tuple[str, int, int]]:
    """Name, member and slot of each input that comes from outside; a name taken gets its member's too."""
    used: set[str] = set()
    for index, member in enumerate(members):
        for slot, each in enumerate(member.get("inputs") or ()):
            if (index, slot) in fed:
                continue
            name = str(each.get("name"))
            if name in used:
                name = f"{member.get('title') or member.get('type')} {name}"
            used.add(name)
            yield name, index, slot


def _outputs(
    members: list[dict[str, Any]], group: Mapping[str, Any], taken: set[tuple[int, int]]
) -> Iterator[tuple[int, int]]:
    external = {(each[0], each[1]) for each in group.get("external") or ()}
    for index, member in enumerate(members):
        for slot, _ in enumerate(member.get("outputs") or ()):
            if (index, slot) in external or (index, slot) not in taken:
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
