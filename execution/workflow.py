"""The editor's workflow files, turned into prompts: what the editor itself would send.

Reads ComfyUI's formats 0.4 (links as lists) and 1.0 (links as objects): subgraphs, group nodes of old,
reroutes, muted and bypassed nodes, primitive nodes, notes, `Set`/`Get` pairs. Nodes inside a subgraph or
group get ids such as `12:5`. Nothing here recurses, so nesting costs no stack.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from execution.dynamic_inputs import expanded
from execution.dynamic_text import Choose, with_choices_made
from execution.errors import WorkflowError
from execution.file_names import with_names_replaced, writes_files
from execution.grouping import group_definition, group_values
from execution.spec import InputSpec, NodeSpec
from execution.widgets import CONTROLS, controls_behind, default_value, is_widget, widget_type, widget_values

MUTED, BYPASSED = 2, 4
INPUT_NODE, OUTPUT_NODE = -10, -20
"""The ids that stand for a subgraph's own inputs and outputs in its links."""
GROUP_PREFIXES = ("workflow/", "workflow>")
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
RENAMED: Mapping[str, str] = {
    "T2IAdapterLoader": "ControlNetLoader",
    "ConditioningAverage ": "ConditioningAverage",
    "SDV_img2vid_Conditioning": "SVD_img2vid_Conditioning",
}
"""Types that the reference's editor itself puts in place of old or misspelt ones."""
MOST_NODES = 100_000
"""Nodes of one workflow, those inside each use of a subgraph counted."""

Node = Mapping[str, Any]


def is_workflow(document: Any) -> bool:
    """Whether a JSON document is of the editor's form (a list of nodes) rather than a prompt."""
    return isinstance(document, Mapping) and isinstance(document.get("nodes"), Sequence)


def to_prompt(
    document: Mapping[str, Any],
    specs: Mapping[str, NodeSpec],
    choose: Choose = random.choice,
    most_nodes: int = MOST_NODES,
    now: datetime | None = None,
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The prompt in API form, and the `extra_data` to send with it (the workflow, for the metadata).

    `choose` picks among `{a|b}` alternatives of texts that have them; `now` is the date for file names.

    Raises:
        WorkflowError: the document is not a workflow, or one with more than `most_nodes` nodes; names the
            node or link at fault.
    """
    if not is_workflow(document):
        raise WorkflowError("this is not a workflow: it has no list of `nodes`")
    making = Making(specs, choose, now or datetime.now())
    prompt = {}
    for scope in _scopes(document, most_nodes):
        for node in scope.nodes.values():
            if scope.muted or _mode(node) in (MUTED, BYPASSED) or _type(node) in UNSENT or scope.inner(node):
                continue
            prompt[scope.path + _id(node)] = _prompt_node(scope, node, making)
    return _without_dangling(prompt), {"extra_pnginfo": {"workflow": document}}


# --- the document, scope by scope ---


@dataclass(frozen=True)
class Link:
    """From an output slot to an input slot, by node id within one scope."""

    origin: str
    origin_slot: int
    target: str
    target_slot: int


Promoted = tuple[str, str, InputSpec]
"""A widget inside a subgraph: its node, its name, and what it is."""


@dataclass
class Scope:
    """The top graph, or one use of a subgraph. `path` is the prefix of its nodes' ids, such as `"12:"`.

    `given` and `promoted` are filled in once they are asked for: the values that the use keeps for the nodes
    inside, and the inputs that feed a widget there.
    """

    path: str
    nodes: dict[str, Node]
    links: dict[str, Link]
    definitions: Mapping[str, Mapping[str, Any]]
    inputs: Sequence[Mapping[str, Any]] = ()
    parent: Scope | None = None
    instance: Node = field(default_factory=dict)
    muted: bool = False
    inners: dict[str, Scope] = field(default_factory=dict)
    given: dict[str, dict[str, Any]] | None = None
    promoted: dict[str, Promoted] | None = None

    def inner(self, node: Node) -> Scope | None:
        """The scope inside a node, if it is a use of a subgraph."""
        return self.inners.get(_id(node))


def _scopes(document: Mapping[str, Any], most_nodes: int) -> Iterator[Scope]:
    """The top scope and all within, outer ones first; all are linked before the first is given."""
    found = [_open("", document, _definitions(document))]
    count = len(found[0].nodes)
    for scope in found:
        for node in scope.nodes.values():
            definition = scope.definitions.get(_type(node))
            if definition is None:
                continue
            if _is_within(scope, _type(node)):
                raise WorkflowError(
                    f"subgraph {definition.get('name') or _type(node)!r} contains itself, "
                    f"at node {scope.path}{_id(node)}; remove that node from it"
                )
            count += len(definition.get("nodes") or ())
            if count > most_nodes:
                raise WorkflowError(
                    f"the workflow has more than {most_nodes} nodes in its subgraphs; split it"
                )
            inner = _open(f"{scope.path}{_id(node)}:", definition, scope.definitions)
            inner.parent, inner.instance = scope, node
            inner.muted = scope.muted or _mode(node) in (MUTED, BYPASSED)
            scope.inners[_id(node)] = inner
            found.append(inner)
    yield from found


def _is_within(scope: Scope | None, kind: str) -> bool:
    """Whether the scope is a use of the subgraph `kind`, or inside one."""
    while scope is not None and scope.parent is not None:
        if _type(scope.instance) == kind:
            return True
        scope = scope.parent
    return False


def _definitions(document: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """Subgraphs by id, and group nodes of old by both spellings of their type."""
    subgraphs = (document.get("definitions") or {}).get("subgraphs") or ()
    found = {str(each["id"]): each for each in subgraphs if isinstance(each, Mapping) and "id" in each}
    groups = (document.get("extra") or {}).get("groupNodes") or {}
    for name, group in groups.items():
        for prefix in GROUP_PREFIXES:
            found[prefix + name] = group_definition(group)
    return found


def _open(path: str, graph: Mapping[str, Any], definitions: Mapping[str, Mapping[str, Any]]) -> Scope:
    nodes = {}
    for node in graph.get("nodes") or ():
        if not isinstance(node, Mapping) or "id" not in node or not isinstance(node.get("type"), str):
            raise WorkflowError(f"a node of the workflow has no `id` or no `type`: {str(node)[:80]}")
        nodes[_id(node)] = node
    links = dict(_link(each) for each in graph.get("links") or () if each is not None)
    return Scope(path, nodes, links, definitions, graph.get("inputs") or ())


def _link(link: Any) -> tuple[str, Link]:
    try:
        if isinstance(link, Mapping):
            names = ("id", "origin_id", "origin_slot", "target_id", "target_slot")
            number, origin, origin_slot, target, target_slot = (link[name] for name in names)
        else:
            number, origin, origin_slot, target, target_slot = link[:5]
        return str(number), Link(str(origin), int(origin_slot), str(target), int(target_slot))
    except (KeyError, TypeError, ValueError) as error:
        raise WorkflowError(f"a link of the workflow is malformed: {str(link)[:80]}") from error


def _id(node: Node) -> str:
    return str(node["id"])


def _type(node: Node) -> str:
    return str(node["type"])


def _mode(node: Node) -> int:
    mode = node.get("mode")
    return mode if isinstance(mode, int) else 0


def _slots(node: Node, name: str) -> Sequence[Mapping[str, Any]]:
    """The node's `inputs` or `outputs`."""
    return [each for each in node.get(name) or () if isinstance(each, Mapping)]


# --- one node ---


@dataclass(frozen=True)
class Making:
    """What making a prompt needs beside the workflow."""

    specs: Mapping[str, NodeSpec]
    choose: Choose
    now: datetime

    def spec(self, node: Node) -> NodeSpec | None:
        """The type of a node, with the inputs that this node has."""
        kind = _type(node)
        spec = self.specs.get(kind) or self.specs.get(RENAMED.get(kind, kind))
        return expanded(spec, node) if spec else None


def _prompt_node(scope: Scope, node: Node, making: Making) -> dict[str, Any]:
    spec = making.spec(node)
    values = _shown_values(node, spec) | _given(scope, _id(node), making)
    inputs = {name: _sent(scope, node, name, value, making) for name, value in values.items()}
    for slot in _slots(node, "inputs"):
        if slot.get("link") is None:
            continue
        name = str(slot["name"])
        source = _source(scope, slot, _widget(slot, spec) is not None, making)
        if isinstance(source, Written):
            inputs[name] = _sent(scope, node, name, _settled(source.value, _widget(slot, spec)), making)
        elif isinstance(source, Constant):
            inputs[name] = _wrapped(source.value)
        elif source is not None:
            inputs[name] = list(source)
    title = node.get("title") or (spec.display_name or spec.name if spec else None) or _type(node)
    return {"inputs": inputs, "class_type": spec.name if spec else _type(node), "_meta": {"title": title}}


def _shown_values(node: Node, spec: NodeSpec | None) -> dict[str, Any]:
    """The values that the node shows: its own, else the defaults."""
    own = widget_values(node, spec)
    widgets = [each for each in spec.inputs if is_widget(each)] if spec else []
    fresh = {each.name: default_value(each) for each in widgets if each.name not in own}
    shown = {name: value for name, value in fresh.items() if value is not None} | own
    early = shown.get("sampler_name")
    if _type(node) in ("KSampler", "KSamplerAdvanced") and isinstance(early, str):
        shown["sampler_name"] = early.removeprefix("sample_")
    return shown


def _widget(slot: Node, spec: NodeSpec | None) -> InputSpec | None:
    """The widget behind an input of a file's node, if it has one."""
    if spec is None:
        declared = slot.get("widget")
        return InputSpec(str(declared.get("name")), "*") if isinstance(declared, Mapping) else None
    given = spec.by_name.get(str(slot.get("name")))
    if given is None or not (is_widget(given) or isinstance(slot.get("widget"), Mapping)):
        return None
    return None if given.force_input else given


def _sent(scope: Scope, node: Node, name: str, value: Any, making: Making) -> Any:
    """The form in which a value travels: alternatives chosen, names of files filled in, lists wrapped."""
    if name == "filename_prefix" and writes_files(node):
        return with_names_replaced(
            str(value), making.now, lambda title, widget: _named(scope, title, widget, making)
        )
    spec = making.spec(node)
    given = spec.by_name.get(name) if spec else None
    if given is not None and widget_type(given) == "STRING" and not isinstance(value, Mapping | list):
        return _text(value, given.options or {}, making.choose)
    return _wrapped(value)


def _text(value: Any, options: Mapping[str, Any], choose: Choose) -> Any:
    """Text areas hold plain text with line feeds; `{a|b}` is decided where the spec asks for it."""
    if options.get("multiline"):
        words = {None: "", True: "true", False: "false"} if value is None or isinstance(value, bool) else {}
        value = str(words.get(value, value)).replace("\r\n", "\n").replace("\r", "\n")
    chosen = options.get("dynamicPrompts") and isinstance(value, str)
    return with_choices_made(value, choose) if chosen else value


def _wrapped(value: Any) -> Any:
    """A list must not be taken for a link."""
    return {"__value__": value} if isinstance(value, list) else value


def _settled(value: Any, widget: InputSpec | None) -> Any:
    """What a number field makes of a value that a primitive writes into it."""
    options = (widget.options if widget else None) or {}
    kind = widget_type(widget) if widget else ""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return value
    if kind == "INT":
        step = options.get("step") or 1
        shift = options.get("min", 0) % step if step > 1 else 0
        return (
            _rounded((value - shift) / step) * step + shift
            if isinstance(value, float) or step != 1
            else value
        )
    grain = options.get("round")
    if kind != "FLOAT" or isinstance(grain, bool) or not isinstance(grain, int | float) or grain <= 0:
        return value
    digits = max(0, -math.floor(math.log10(grain)))
    settled = round(_rounded(value / grain) * grain, digits)
    return min(options.get("max", math.inf), max(options.get("min", -math.inf), settled))


def _rounded(value: float) -> int:
    return math.floor(value + 0.5)


def _named(scope: Scope, name: str, widget: str, making: Making) -> Any:
    """The value of a widget of the node of that name, here or in a scope around; None when there is none."""
    here: Scope | None = scope
    while here is not None:
        nodes = list(here.nodes.values())
        found = [each for each in nodes if _replacement_name(each) == name]
        for each in (found or [each for each in nodes if each.get("title") == name])[:1]:
            values = _shown_values(each, making.spec(each))
            if widget in values:
                return values[widget]
        here = here.parent
    return None


def _replacement_name(node: Node) -> Any:
    own = (node.get("properties") or {}).get("Node name for S&R")
    return own if own is not None or writes_files(node) else _type(node)


# --- what instances keep for the nodes inside ---


def _given(scope: Scope, number: str, making: Making) -> dict[str, Any]:
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
    if _type(scope.instance).startswith(GROUP_PREFIXES):
        return group_values(scope.instance, scope.definitions[_type(scope.instance)], making.specs)
    kept = _kept_values(scope, making) | (scope.parent.given or {}).get(_id(scope.instance), {})
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
            further_in = inner is not None and bool(source) and name not in _promoted_inputs(inner, making)
            shown = f"{member}: {name}"
            found.append((member, f"{source[0]}: {name}" if further_in else name, shown))
    return found


def _kept_values(scope: Scope, making: Making) -> dict[str, Any]:
    """The values that a use of a subgraph keeps: of its own inputs by name, of others by the shown name.

    They are listed in the order of `proxyWidgets`, where `-1` stands for the use itself; own inputs that are
    not listed there come first.
    """
    values = scope.instance.get("widgets_values")
    if isinstance(values, Mapping):
        return dict(values)
    if not isinstance(values, list):
        return {}
    own = _promoted_inputs(scope, making)
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


def _promoted_inputs(scope: Scope, making: Making) -> dict[str, Promoted]:
    """The inputs of a subgraph that feed a widget inside: by name, the node, its widget, and what it is."""
    if scope.promoted is None:
        scope.promoted = {}
        for link in scope.links.values():
            target = scope.nodes.get(link.target)
            if link.origin != str(INPUT_NODE) or target is None or link.origin_slot >= len(scope.inputs):
                continue
            slots = _slots(target, "inputs")
            slot = slots[link.target_slot] if link.target_slot < len(slots) else {}
            widget = _promoted_widget(scope, target, slot, making)
            if widget is not None:
                name = str(scope.inputs[link.origin_slot].get("name"))
                scope.promoted.setdefault(name, (_id(target), str(slot.get("name")), widget))
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
        slots = _slots(target, "inputs")
        slot = slots[link.target_slot] if link.target_slot < len(slots) else {}
        inner = inner.inner(target)
    return _widget(slot, making.spec(target))


# --- where a link comes from ---


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


def _source(scope: Scope, slot: Node, is_widget: bool, making: Making) -> Source:
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
    if _type(node) == "PrimitiveNode":
        return _primitive(scope, node, making) if end.is_widget else None
    if scope.muted or _mode(node) == MUTED:
        return None
    if _mode(node) == BYPASSED:
        return _linked(scope, _bypass(scope, node, link, end, making))
    inner = scope.inner(node)
    if inner is not None:
        ends = (key for key, each in inner.links.items() if each.target == str(OUTPUT_NODE))
        number = next((key for key in ends if inner.links[key].target_slot == link.origin_slot), None)
        return (inner, number) if number else None
    if _type(node) in PASSING:
        return _linked(scope, next(iter(_slots(node, "inputs")), None))
    if _type(node) in SETTERS:
        return _kept(scope, node)
    return None if _type(node) in UNSENT else (scope.path + _id(node), link.origin_slot)


def _linked(scope: Scope, slot: Mapping[str, Any] | None) -> tuple[Scope, str] | None:
    return (scope, str(slot["link"])) if slot and slot.get("link") is not None else None


def _primitive(scope: Scope, node: Node, making: Making) -> Written | None:
    """The value of a primitive node, which a group around it may keep."""
    given = _given(scope, _id(node), making)
    if "value" in given:
        return Written(given["value"])
    values = node.get("widgets_values")
    if not isinstance(values, list) or not values:
        return None
    if isinstance(values[0], str) and (node.get("properties") or {}).get("Run widget replace on values"):
        return Written(
            with_names_replaced(
                values[0], making.now, lambda title, widget: _named(scope, title, widget, making)
            )
        )
    return Written(values[0])


def _outside(scope: Scope, index: int, making: Making) -> tuple[Scope, str] | Source:
    """From a subgraph's own input to what its use has there: a link, or the value of a promoted widget."""
    if scope.parent is None or index >= len(scope.inputs):
        return None
    name = str(scope.inputs[index].get("name"))
    slots = _slots(scope.instance, "inputs")
    names = {str(each.get("name")) for each in scope.inputs}
    other = slots[index] if index < len(slots) and slots[index].get("name") not in names else None
    slot = next((each for each in slots if each.get("name") == name), other)
    linked = _linked(scope.parent, slot)
    if linked or _type(scope.instance).startswith(GROUP_PREFIXES):
        return linked
    if name not in _promoted_inputs(scope, making):
        return None
    value = (_kept_values(scope, making) | _given(scope.parent, _id(scope.instance), making)).get(name)
    if value is None:
        value = _inner_value(scope, name, making)
    return None if value is None else Constant(value)


def _inner_value(scope: Scope, name: str, making: Making) -> Any:
    """The value of the widget that a promoted input feeds, as it stands inside."""
    number, widget, _ = _promoted_inputs(scope, making)[name]
    target = scope.nodes[number]
    if scope.inner(target) is not None:
        return _kept_values(scope.inners[number], making).get(widget)
    return _shown_values(target, making.spec(target)).get(widget)


def _bypass(scope: Scope, node: Node, link: Link, end: End, making: Making) -> Mapping[str, Any] | None:
    """The input that a bypassed node hands on.

    The one in the place of the output, if it fits; else the first of the type that is wanted where the link
    ends; else the first that fits.
    """
    outputs, inputs = _slots(node, "outputs"), _ordered_inputs(node, making.spec(node))
    slot = link.origin_slot
    kind = outputs[slot].get("type") if slot < len(outputs) else end.kind
    there = inputs[slot] if slot < len(inputs) else None
    if "*" in (_socket(kind), _socket(end.kind)):
        return there or next(iter(inputs), None)
    if there is not None and _fits(kind, there.get("type")):
        return there
    same = (each for each in inputs if _socket(each.get("type")) == _socket(end.kind))
    return next(same, None) or next((each for each in inputs if _fits(kind, each.get("type"))), None)


def _ordered_inputs(node: Node, spec: NodeSpec | None) -> list[Mapping[str, Any]]:
    """The inputs as the editor lines them up: sockets, then widgets, then what the spec does not know."""
    filed = {str(each.get("name")): each for each in _slots(node, "inputs")}
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
    if given.socket != "COMFY_MATCHTYPE_V3":
        return given.socket
    allowed = ((given.options or {}).get("template") or {}).get("allowed_types", "*")
    return filed.get(given.name, {}).get("type") or allowed


def _socket(kind: Any) -> str:
    if isinstance(kind, list):
        return "COMBO"
    return "*" if kind in (None, 0, "") else str(kind)


def _fits(output: Any, given: Any) -> bool:
    """Whether an output may feed an input: the same type, or unions that overlap, or one takes anything."""
    gives, takes = ({part.strip() for part in _socket(each).upper().split(",")} for each in (output, given))
    return "*" in gives | takes or bool(gives & takes)


def _kept(scope: Scope, node: Node) -> tuple[Scope, str] | None:
    """From a `GetNode` to the link into the `SetNode` of the same name, here or in a scope around."""
    here: Scope | None = scope
    name = (node.get("widgets_values") or [None])[0]
    while here is not None:
        for each in here.nodes.values():
            if _type(each) == SETTERS[_type(node)] and (each.get("widgets_values") or [None])[0] == name:
                return _linked(here, next(iter(_slots(each, "inputs")), None))
        here = here.parent
    return None


def _without_dangling(prompt: dict[str, Any]) -> dict[str, Any]:
    """The prompt without links to nodes that are not sent."""
    for node in prompt.values():
        node["inputs"] = {
            name: value
            for name, value in node["inputs"].items()
            if not (isinstance(value, list) and len(value) == 2) or value[0] in prompt
        }
    return prompt
