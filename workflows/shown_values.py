"""What a node of a workflow file shows in the editor, and the form in which a value travels in a prompt."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from execution.declare.spec import InputSpec, NodeSpec
from workflows.dynamic_inputs import expanded
from workflows.dynamic_text import Choose, with_choices_made
from workflows.file_names import spelt, with_names_replaced, writes_files
from workflows.scopes import Node, Scope, type_of
from workflows.widgets import default_value, is_widget, widget_type, widget_values

RENAMED: Mapping[str, str] = {
    "T2IAdapterLoader": "ControlNetLoader",
    "ConditioningAverage ": "ConditioningAverage",
    "SDV_img2vid_Conditioning": "SVD_img2vid_Conditioning",
}
"""Types that the reference's editor itself puts in place of old or misspelt ones."""


@dataclass(frozen=True)
class Making:
    """What making a prompt needs beside the workflow."""

    specs: Mapping[str, NodeSpec]
    choose: Choose
    now: datetime

    def spec(self, node: Node) -> NodeSpec | None:
        """The type of a node, with the inputs that this node has."""
        kind = type_of(node)
        spec = self.specs.get(kind) or self.specs.get(RENAMED.get(kind, kind))
        return expanded(spec, node) if spec else None


def shown_values(node: Node, spec: NodeSpec | None) -> dict[str, Any]:
    """The values that the node shows: its own, else the defaults."""
    own = widget_values(node, spec)
    widgets = [each for each in spec.inputs if is_widget(each)] if spec else []
    fresh = {each.name: default_value(each) for each in widgets if each.name not in own}
    shown = {name: value for name, value in fresh.items() if value is not None} | own
    early = shown.get("sampler_name")
    if type_of(node) in ("KSampler", "KSamplerAdvanced") and isinstance(early, str):
        shown["sampler_name"] = early.removeprefix("sample_")
    return shown


def widget_behind(slot: Node, spec: NodeSpec | None) -> InputSpec | None:
    """The widget behind an input of a file's node, if it has one."""
    if spec is None:
        declared = slot.get("widget")
        return InputSpec(str(declared.get("name")), "*") if isinstance(declared, Mapping) else None
    given = spec.by_name.get(str(slot.get("name")))
    if given is None and isinstance(slot.get("widget"), Mapping):
        return InputSpec(str(slot["widget"].get("name")), "*")
    if given is None or not (is_widget(given) or isinstance(slot.get("widget"), Mapping)):
        return None
    return None if given.force_input else given


def sent(scope: Scope, node: Node, name: str, value: Any, making: Making) -> Any:
    """The form in which a value travels: alternatives chosen, names of files filled in, lists wrapped."""
    if name == "filename_prefix" and writes_files(node):
        return with_names_replaced(
            spelt(value), making.now, lambda title, widget: value_named(scope, title, widget, making)
        )
    spec = making.spec(node)
    given = spec.by_name.get(name) if spec else None
    if given is not None and widget_type(given) == "STRING" and not isinstance(value, Mapping | list):
        return _text(value, given.options or {}, making.choose)
    return wrapped(value)


def _text(value: Any, options: Mapping[str, Any], choose: Choose) -> Any:
    """Text areas hold plain text with line feeds; `{a|b}` is decided where the spec asks for it."""
    if options.get("multiline"):
        words = {None: "", True: "true", False: "false"} if value is None or isinstance(value, bool) else {}
        value = str(words.get(value, value)).replace("\r\n", "\n").replace("\r", "\n")
    chosen = options.get("dynamicPrompts") and isinstance(value, str)
    return with_choices_made(value, choose) if chosen else value


def wrapped(value: Any) -> Any:
    """A list must not be taken for a link."""
    return {"__value__": value} if isinstance(value, list) else value


def settled(value: Any, widget: InputSpec | None) -> Any:
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


def value_named(scope: Scope, name: str, widget: str, making: Making) -> Any:
    """The value of a widget of the node of that name, here or in a scope around; None when there is none."""
    here: Scope | None = scope
    while here is not None:
        nodes = list(here.nodes.values())
        found = [each for each in nodes if _replacement_name(each) == name]
        for each in (found or [each for each in nodes if each.get("title") == name])[:1]:
            values = shown_values(each, making.spec(each))
            if widget in values:
                return values[widget]
        here = here.parent
    return None


def _replacement_name(node: Node) -> Any:
    own = (node.get("properties") or {}).get("Node name for S&R")
    return own if own is not None or writes_files(node) else type_of(node)
