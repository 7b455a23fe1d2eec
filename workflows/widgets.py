"""Which inputs of a node type are widgets in the editor, and the values that a workflow file keeps for them.

Files keep widget values as a list by position (`widgets_values`), as an object by name, or both
(`widgets_values_named`). A list that fits the type counts, as in the reference's editor; else names win, as
positions shift when a node type changes. A list has further places: one
for the rule that changes a seed after a run (two behind a choice), one for an upload button.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from execution.declare.spec import InputSpec, NodeSpec
from workflows.undeclared import undeclared_values

WIDGET_TYPES = frozenset(
    {"INT", "FLOAT", "STRING", "BOOLEAN", "COLOR", "COMFY_DYNAMICCOMBO_V3", "WEBCAM", "AUDIO_RECORD"}
)
CONTROLS = frozenset({"fixed", "increment", "decrement", "randomize", "increment-wrap"})
"""What a `control after generate` entry says; it follows the widget it controls in a list of values."""
CONTROLLED_NAMES = frozenset({"seed", "noise_seed"})
UPLOADS = ("image_upload", "animated_image_upload", "video_upload", "audio_upload", "file_upload")
SCENE_BUTTONS = ("upload3dmodel", "uploadExtraResources", "clear", "upload 3d model")
BUTTON = "upload/button"
"""The place of a button, which is no input."""
DEFAULTS: Mapping[str, Any] = {"INT": 0, "FLOAT": 0, "STRING": "", "BOOLEAN": False}


def is_widget(given: InputSpec) -> bool:
    """Whether the editor shows this input as a control rather than only as a socket."""
    if given.group == "hidden" or given.force_input:
        return False
    return given.is_combo or widget_type(given) in WIDGET_TYPES


def widget_type(given: InputSpec) -> str:
    """The type whose widget the input has, which may differ from that of its socket."""
    return str((given.options or {}).get("widgetType") or given.socket)


def controls_behind(given: InputSpec) -> int:
    """How many entries the editor adds behind this widget: a rule, and behind a choice a filter too."""
    asked = (given.options or {}).get("control_after_generate")
    if given.is_combo:
        return 2 if asked else 0
    if widget_type(given) != "INT":
        return 0
    return int(given.name in CONTROLLED_NAMES if asked is None else bool(asked))


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
        controls = controls_behind(widget)
        if controls and position < len(values) and _is_control(values[position]):
            position += controls
    return named, position


def _is_control(value: Any) -> bool:
    """Early files keep a boolean there; no seed is followed by a boolean widget of its own."""
    return value is None or isinstance(value, bool) or (isinstance(value, str) and value in CONTROLS)


def widget_values(node: Mapping[str, Any], spec: NodeSpec | None) -> dict[str, Any]:
    """The widget values by name that a node of a workflow file holds.

    Without a spec, names come from the node's own input list, as far as it has them.
    """
    values = node.get("widgets_values")
    named: dict[str, Any] = {}
    rest: Sequence[Any] = ()
    is_whole = False
    if isinstance(values, Mapping):
        named = {str(name): value for name, value in values.items()}
    elif isinstance(values, Sequence) and not isinstance(values, str):
        placed = _placed(node, spec, values)
        named, position = take(values, 0, placed)
        is_whole = len(named) == len(placed) and position == len(values)
        rest = values[position:]
    by_name = node.get("widgets_values_named")
    if isinstance(by_name, Mapping) and not is_whole:
        named.update(by_name)
    known = {each.name for each in widgets_of(node, spec)}
    declared = {name: value for name, value in named.items() if name in known}
    return declared if spec is None else declared | undeclared_values(node, spec, rest)


def value_of(node: Mapping[str, Any], spec: NodeSpec, widget: InputSpec) -> Any:
    """The value that a node shows for one of its widgets: its own, else the default."""
    values = widget_values(node, spec)
    return values[widget.name] if widget.name in values else default_value(widget)


def default_value(widget: InputSpec) -> Any:
    """What a fresh widget shows; None when nothing is known."""
    options = widget.options or {}
    if widget.type == "COMFY_DYNAMICCOMBO_V3":
        keys = [each.get("key") for each in options.get("options") or ()]
        return options.get("default", keys[0] if keys else None)
    if widget.is_combo:
        value = options.get("default", next(iter(widget.choices or ()), None))
        several = options.get("multiselect") or options.get("multi_select")
        return (value if isinstance(value, list) else []) if several else value
    return options.get("default", DEFAULTS.get(widget_type(widget)))


def widgets_of(node: Mapping[str, Any], spec: NodeSpec | None) -> list[InputSpec]:
    """The inputs of a file's node that own an entry in its list of values, in order."""
    declared = _declared_widgets(node)
    if spec is None:
        return [InputSpec(name, kind) for name, kind in declared.items()]
    return [each for each in spec.inputs if is_widget(each) or _is_filed_widget(each, declared)]


def _is_filed_widget(given: InputSpec, declared: Mapping[str, str]) -> bool:
    """A type of a pack may have a widget of the pack's own, and an input that grew may be given a value: the
    file knows."""
    fits = given.type != "*" or "." in given.name
    return fits and declared.get(given.name) == given.type and not given.force_input


def _placed(node: Mapping[str, Any], spec: NodeSpec | None, values: Sequence[Any]) -> list[InputSpec]:
    """What the entries of a list stand for: widgets, a button, in old files also plain sockets."""
    widgets = widgets_of(node, spec)
    if spec is None:
        return widgets
    forced = [
        each for each in spec.inputs if each in widgets or (each.force_input and each.group != "hidden")
    ]
    if len(forced) > len(widgets) and len(list(_spelt_out(forced))) == len(values):
        return list(_spelt_out(forced))
    if any(each.type == "LOAD_3D" for each in spec.inputs):
        return list(_around_scene(spec, widgets, values))
    if not any(_has_upload(each) for each in widgets):
        return widgets
    optional = [each for each in widgets if each.group == "optional"]
    required = [each for each in widgets if each.group != "optional"]
    button = InputSpec(BUTTON, "BUTTON")
    at = sum(1 + controls_behind(each) for each in required)
    behind_all = list(values).count("image") and values[at : at + 1] != ["image"]
    return [*required, *optional, button] if behind_all else [*required, button, *optional]


def _around_scene(spec: NodeSpec, widgets: Sequence[InputSpec], values: Sequence[Any]) -> Iterator[InputSpec]:
    """A scene has buttons before it in files of the reference, then a place of its own."""
    place = 0
    for each in spec.inputs:
        if each in widgets:
            yield each
            place += 1
        elif each.type == "LOAD_3D":
            buttons = 0
            while values[place : place + 1] and values[place] in SCENE_BUTTONS:
                yield InputSpec(f"{BUTTON}/{place}", "BUTTON")
                place, buttons = place + 1, buttons + 1
            if buttons:
                yield InputSpec(f"{BUTTON}/scene", "BUTTON")
                place += 1


def _has_upload(given: InputSpec) -> bool:
    return given.group == "required" and any((given.options or {}).get(each) for each in UPLOADS)


def _spelt_out(widgets: Iterable[InputSpec]) -> Iterator[InputSpec]:
    """Each widget, and a place for each rule that its spec asks for in so many words."""
    for each in widgets:
        yield InputSpec(each.name, "*", None, each.group)
        if (each.options or {}).get("control_after_generate"):
            yield InputSpec(f"{each.name}/control", "*")


def _declared_widgets(node: Mapping[str, Any]) -> dict[str, str]:
    """Names and types of the inputs that the file itself calls widgets, in order."""
    found: dict[str, str] = {}
    for each in node.get("inputs") or ():
        widget = each.get("widget") if isinstance(each, Mapping) else None
        if isinstance(widget, Mapping) and "name" in widget:
            found[str(widget["name"])] = str(each.get("type", "*"))
    return found
