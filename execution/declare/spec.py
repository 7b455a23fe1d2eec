"""What a node type looks like: plain data that travels as JSON and is enough for validation.

`object_info` is ComfyUI's shape of the same facts; `to_json` keeps everything, for caches and channels.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from typing import Any, Literal

Group = Literal["required", "optional", "hidden"]
Listing = Callable[[str], Sequence[str]]
"""Names of the files of a folder kind, for instance `Folders.list`."""

CHOICE, ROW, MATCH = "COMFY_DYNAMICCOMBO_V3", "COMFY_AUTOGROW_V3", "COMFY_MATCHTYPE_V3"
"""A choice that brings inputs, a row that grows (see `dynamic`), a type that is whatever is linked first."""

FLAGS = ("deprecated", "experimental", "api_node", "dev_only", "has_intermediate_output")
"""What object_info says of a type only where it is so."""

GROUPS: tuple[Group, ...] = ("required", "optional", "hidden")
PROVIDED = frozenset(
    {"PROMPT", "EXTRA_PNGINFO", "UNIQUE_ID", "DYNPROMPT", "AUTH_TOKEN_COMFY_ORG", "API_KEY_COMFY_ORG"}
)
"""The kinds of hidden inputs that a run hands in; hidden inputs of other types take what the graph gives."""


def no_files(kind: str) -> Sequence[str]:
    """The listing of a place without folders."""
    return ()


@dataclass(frozen=True)
class InputSpec:
    """One named input. `type` is a socket name (`"MODEL"`, `"A,B"`, `"*"`) or the tuple of choices.

    `options` are kept verbatim, unknown keys too; `None` when object_info shows none. For a hidden input
    `{}` means that object_info shows its type in a list, as V3 nodes do.
    """

    name: str
    type: str | tuple[Any, ...]
    options: Mapping[str, Any] | None = None
    group: Group = "required"

    @property
    def choices(self) -> tuple[Any, ...] | None:
        """What may be chosen, or None when this is no combo (or its choices are known elsewhere)."""
        if isinstance(self.type, tuple):
            return self.type
        listed = self._option("options")
        return tuple(listed) if self.type == "COMBO" and isinstance(listed, Sequence) else None

    @property
    def is_combo(self) -> bool:
        """Whether the input is chosen from a list."""
        return self.type == "COMBO" or isinstance(self.type, tuple)

    @property
    def socket(self) -> str:
        """The type by which links are matched; `"COMBO"` for choices, what is allowed for a matched type."""
        if self.type == MATCH:
            return str((self._option("template") or {}).get("allowed_types") or "*")
        return self.type if isinstance(self.type, str) else "COMBO"

    @property
    def dynamic(self) -> bool:
        """Whether it is a rule for inputs that depend on the node (see `dynamic.opened`)."""
        return self.type in (CHOICE, ROW)

    @property
    def lazy(self) -> bool:
        """Whether the value is only computed when the node asks for it."""
        return bool(self._option("lazy"))

    @property
    def raw_link(self) -> bool:
        """Whether the node is given the link itself, `[id, slot]`, and does not wait for its value."""
        return bool(self._option("rawLink"))

    @property
    def force_input(self) -> bool:
        """Whether the editor shows a socket although the type has a widget."""
        return bool(self._option("forceInput"))

    def _option(self, name: str) -> Any:
        return self.options.get(name) if self.options else None

    def with_choices(self, choices: Iterable[Any]) -> InputSpec:
        """The same input offering other choices, in the shape in which it offers them now."""
        if isinstance(self.type, tuple):
            return InputSpec(self.name, tuple(choices), self.options, self.group)
        return InputSpec(self.name, self.type, {**(self.options or {}), "options": list(choices)}, self.group)

    def object_info(self) -> Any:
        """ComfyUI's shape: `[type]`, `[type, options]`, or the bare type of a hidden input."""
        if self.group == "hidden":
            return self.type if self.options is None else [self.type]
        kind = list(self.type) if isinstance(self.type, tuple) else self.type
        return [kind] if self.options is None else [kind, dict(self.options)]

    @classmethod
    def from_object_info(cls, name: str, shape: Any, group: Group) -> InputSpec:
        """Read ComfyUI's shape."""
        if isinstance(shape, str):
            return cls(name, shape, None, group)
        kind = tuple(shape[0]) if isinstance(shape[0], list | tuple) else str(shape[0])
        options = shape[1] if len(shape) > 1 else ({} if group == "hidden" else None)
        return cls(name, kind, options, group)


@dataclass(frozen=True)
class OutputSpec:
    """One named output; `is_list` when it gives a list whose items are mapped over by what follows.

    `match` names the template of a matched type (`MATCH`): it is of the type that the inputs of that template
    are linked with.
    """

    name: str
    type: str | tuple[Any, ...]
    is_list: bool = False
    tooltip: str | None = None
    match: str | None = None

    @property
    def socket(self) -> str:
        """The type by which links are matched; `"COMBO"` for choices, `"*"` for a matched type."""
        if self.type == MATCH:
            return "*"
        return self.type if isinstance(self.type, str) else "COMBO"


@dataclass(frozen=True)
class NodeSpec:
    """A node type: how it is found, connected, validated and cached.

    `folders` names the folder kind behind an input whose choices are files. `custom_validation` names the
    inputs a type checks by itself (`"**"`: all of them; `"input_types"`: the types of links too), or is
    None. `code` is a fingerprint of the code behind the type.
    """

    name: str
    display_name: str | None = None
    category: str = ""
    description: str = ""
    inputs: tuple[InputSpec, ...] = ()
    outputs: tuple[OutputSpec, ...] = ()
    output_node: bool = False
    input_is_list: bool = False
    deprecated: bool = False
    experimental: bool = False
    api_node: bool = False
    python_module: str = "nodes"
    search_aliases: tuple[str, ...] = ()
    essentials_category: str = ""
    dev_only: bool = False
    has_intermediate_output: bool = False
    not_idempotent: bool = False
    accepts_extra_inputs: bool = False
    folders: Mapping[str, str] = field(default_factory=dict)
    custom_validation: frozenset[str] | None = None
    code: str = ""

    @cached_property
    def by_name(self) -> Mapping[str, InputSpec]:
        """The visible inputs (required and optional) by name."""
        return {each.name: each for each in self.inputs if each.group != "hidden"}

    @cached_property
    def fillable(self) -> Mapping[str, InputSpec]:
        """The inputs that a graph may give values to: the visible ones, and hidden ones no run hands in."""
        concealed = (each for each in self.inputs if each.group == "hidden" and each.socket not in PROVIDED)
        return {**self.by_name, **{each.name: each for each in concealed}}

    @cached_property
    def dynamic(self) -> bool:
        """Whether some inputs depend on the node (see `dynamic.opened`)."""
        return any(each.dynamic for each in self.inputs)

    @cached_property
    def required(self) -> tuple[InputSpec, ...]:
        """The required inputs, in order."""
        return tuple(each for each in self.inputs if each.group == "required")

    @cached_property
    def hidden(self) -> frozenset[str]:
        """The kinds of hidden inputs asked for, such as `UNIQUE_ID`."""
        return frozenset(each.socket for each in self.inputs if each.group == "hidden")

    @cached_property
    def lazy_inputs(self) -> frozenset[str]:
        """Names of the inputs that are computed only when asked for."""
        return frozenset(name for name, each in self.by_name.items() if each.lazy)

    @cached_property
    def raw_inputs(self) -> frozenset[str]:
        """Names of the inputs that are handed over as links."""
        return frozenset(name for name, each in self.by_name.items() if each.raw_link)

    @cached_property
    def keyed_by_id(self) -> bool:
        """Whether the node's id belongs to the identity of its result."""
        return self.not_idempotent or bool(self.hidden & {"UNIQUE_ID", "DYNPROMPT"})

    @cached_property
    def reads_graph(self) -> bool:
        """Whether the node may name other nodes when it expands: it sees the graph or raw links."""
        return bool(self.raw_inputs) or "DYNPROMPT" in self.hidden

    def listed(self, listing: Listing) -> NodeSpec:
        """The same type with the files that are there now among its choices."""
        if not self.folders:
            return self
        return replace(self, inputs=tuple(self._with_files(each, listing) for each in self.inputs))

    def _with_files(self, each: InputSpec, listing: Listing) -> InputSpec:
        kind = self.folders.get(each.name)
        if kind is None or each.choices is None:
            return each
        fixed = each.choices
        return each.with_choices([*(name for name in listing(kind) if name not in fixed), *fixed])

    def object_info(self, listing: Listing = no_files) -> dict[str, Any]:
        """ComfyUI's `/object_info` entry, with the files that `listing` gives among the choices."""
        shown = self.listed(listing)
        inputs: dict[str, dict[str, Any]] = {"required": {}}
        for group in GROUPS:
            members = {each.name: each.object_info() for each in shown.inputs if each.group == group}
            if members:
                inputs[group] = members
        shape: dict[str, Any] = {
            "input": inputs,
            "input_order": {group: list(members) for group, members in inputs.items()},
            "output": [
                list(each.type) if isinstance(each.type, tuple) else each.type for each in self.outputs
            ],
            "output_is_list": [each.is_list for each in self.outputs],
            "output_name": [each.name for each in self.outputs],
            "name": self.name,
            "display_name": self.display_name,
            "description": self.description,
            "python_module": self.python_module,
            "category": self.category,
            "output_node": self.output_node,
        }
        return shape | self._rarely_shown()

    def _rarely_shown(self) -> dict[str, Any]:
        shape: dict[str, Any] = {}
        if any(each.tooltip for each in self.outputs):
            shape["output_tooltips"] = [each.tooltip or "" for each in self.outputs]
        shape |= {flag: True for flag in FLAGS if getattr(self, flag)}
        if self.input_is_list:
            shape["is_input_list"] = True
        if any(each.match for each in self.outputs):
            shape["output_matchtypes"] = [each.match for each in self.outputs]
        if self.search_aliases:
            shape["search_aliases"] = list(self.search_aliases)
        if self.essentials_category:
            shape["essentials_category"] = self.essentials_category
        return shape

    @classmethod
    def from_object_info(cls, name: str, shape: Mapping[str, Any]) -> NodeSpec:
        """Read ComfyUI's shape; what it does not say (folders, code, own validation) stays empty."""
        return cls(
            name=name,
            display_name=shape.get("display_name"),
            category=shape.get("category", ""),
            description=shape.get("description", ""),
            inputs=tuple(_inputs_of(shape)),
            outputs=tuple(_outputs_of(shape)),
            output_node=bool(shape.get("output_node")),
            input_is_list=bool(shape.get("is_input_list") or shape.get("input_is_list")),
            deprecated=bool(shape.get("deprecated")),
            experimental=bool(shape.get("experimental")),
            api_node=bool(shape.get("api_node")),
            python_module=shape.get("python_module", "nodes"),
            search_aliases=tuple(shape.get("search_aliases", ())),
            essentials_category=shape.get("essentials_category") or "",
            dev_only=bool(shape.get("dev_only")),
            has_intermediate_output=bool(shape.get("has_intermediate_output")),
        )

    def to_json(self) -> dict[str, Any]:
        """Everything, as JSON values."""
        shape = {each.name: getattr(self, each.name) for each in fields(self)}
        shape["inputs"] = [_plain(each) for each in self.inputs]
        shape["outputs"] = [_plain(each) for each in self.outputs]
        shape["search_aliases"] = list(self.search_aliases)
        shape["folders"] = dict(self.folders)
        shape["custom_validation"] = (
            None if self.custom_validation is None else sorted(self.custom_validation)
        )
        return shape

    @classmethod
    def from_json(cls, shape: Mapping[str, Any]) -> NodeSpec:
        """Read what `to_json` wrote; fields that a later version added are left out."""
        known = {each.name: shape[each.name] for each in fields(cls) if each.name in shape}
        known["inputs"] = tuple(InputSpec(**_frozen(each)) for each in known.get("inputs", ()))
        known["outputs"] = tuple(OutputSpec(**_frozen(each)) for each in known.get("outputs", ()))
        known["search_aliases"] = tuple(known.get("search_aliases", ()))
        own = known.get("custom_validation")
        known["custom_validation"] = None if own is None else frozenset(own)
        return cls(**known)


def _inputs_of(shape: Mapping[str, Any]) -> Iterable[InputSpec]:
    for group in GROUPS:
        members = shape.get("input", {}).get(group) or {}
        for name in shape.get("input_order", {}).get(group, members):
            yield InputSpec.from_object_info(name, members[name], group)


def _outputs_of(shape: Mapping[str, Any]) -> Iterable[OutputSpec]:
    types = shape.get("output", ())
    names = shape.get("output_name") or types
    lists = shape.get("output_is_list") or [False] * len(types)
    tips = shape.get("output_tooltips") or [None] * len(types)
    matches = shape.get("output_matchtypes") or [None] * len(types)
    for kind, name, is_list, tip, match in zip(types, names, lists, tips, matches, strict=False):
        plain = tuple(kind) if isinstance(kind, list) else kind
        yield OutputSpec(str(name), plain, bool(is_list), tip or None, match)


def _plain(part: InputSpec | OutputSpec) -> dict[str, Any]:
    shape = {each.name: getattr(part, each.name) for each in fields(part)}
    return shape | ({"type": list(part.type)} if isinstance(part.type, tuple) else {})


def _frozen(shape: Mapping[str, Any]) -> dict[str, Any]:
    return {**shape, "type": tuple(shape["type"]) if isinstance(shape["type"], list) else shape["type"]}
