"""Reading a V1 class: what `INPUT_TYPES`, `RETURN_TYPES` and the class's other names say, as a `NodeSpec`.

Packs bend this dictionary in known ways, and all of them are understood: types that are `str` subclasses
equal to everything, members of the `IO` enumeration, lists (choices), comma lists, mappings that claim to
contain every name, option keys of their own, and values that JSON has no word for.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from execution.declare.spec import GROUPS, Group, InputSpec, NodeSpec, OutputSpec

UNLIKELY = "\0no input has this name"


class FileNames(list[str]):
    """The names of a folder kind's files; as an input's choices they stay known as that folder's."""

    def __init__(self, kind: str, names: Iterable[str]) -> None:
        super().__init__(names)
        self.kind = kind


@dataclass(frozen=True)
class Origin:
    """Where a node type comes from: its registered name, title, module, and its code's hash."""

    name: str
    display_name: str | None = None
    module: str = "custom_nodes"
    code: str = ""


def spec_of(cls: type, declared: Mapping[str, Any], origin: Origin) -> NodeSpec:
    """The spec of a V1 class, `declared` being what its INPUT_TYPES returned."""
    groups = groups_of(declared)
    return NodeSpec(
        name=origin.name,
        display_name=origin.display_name or origin.name,
        category=str(getattr(cls, "CATEGORY", "sd")),
        description=str(getattr(cls, "DESCRIPTION", "") or ""),
        inputs=tuple(inputs_of(groups)),
        outputs=tuple(outputs_of(cls)),
        output_node=bool(getattr(cls, "OUTPUT_NODE", False)),
        input_is_list=bool(getattr(cls, "INPUT_IS_LIST", False)),
        deprecated=bool(getattr(cls, "DEPRECATED", False)),
        experimental=bool(getattr(cls, "EXPERIMENTAL", False)),
        api_node=bool(getattr(cls, "API_NODE", False)),
        python_module=origin.module,
        search_aliases=tuple(map(str, getattr(cls, "SEARCH_ALIASES", None) or ())),
        not_idempotent=bool(getattr(cls, "NOT_IDEMPOTENT", False)),
        accepts_extra_inputs=claims_all_names(declared) or runs_with_any_name(cls),
        folders=folders_of(groups),
        custom_validation=validated_names(getattr(cls, "VALIDATE_INPUTS", None)),
        code=origin.code,
    )


def inputs_of(groups: Mapping[Group, Mapping[str, Any]]) -> Iterable[InputSpec]:
    """The declared inputs, in order."""
    for group in GROUPS:
        for name, shape in groups[group].items():
            yield input_of(str(name), shape, group)


def input_of(name: str, shape: Any, group: Group) -> InputSpec:
    """One input from its tuple `(type, options)`; a bare type is taken as a tuple of one."""
    if isinstance(shape, str) or not isinstance(shape, list | tuple):
        return InputSpec(name, socket_name(shape), None, group)
    kind = shape[0] if shape else "*"
    options = plain(shape[1]) if len(shape) > 1 and isinstance(shape[1], Mapping) else None
    if group == "hidden" and options is None:
        options = {}
    return InputSpec(name, socket_name(kind), options, group)


def socket_name(kind: Any) -> str | tuple[Any, ...]:
    """A type as plain data: a name, `"*"` for whatever equals everything, or the tuple of choices."""
    if isinstance(kind, str):
        return "*" if is_wildcard(kind) else str.__str__(kind).strip()
    if isinstance(kind, FileNames):
        return ()  # the files are listed by whoever shows the spec; see `folders_of`
    if isinstance(kind, list | tuple):
        return tuple(plain(choice) for choice in kind)
    return "*"


def is_wildcard(kind: str) -> bool:
    """Whether a type is `"*"` or one of the `str` subclasses that are never unequal to anything."""
    unequal = kind != UNLIKELY  # not `==`: these subclasses often change only the one operator
    return str.__str__(kind) == "*" or (type(kind) is not str and not unequal)


def outputs_of(cls: type) -> Iterable[OutputSpec]:
    """The outputs that RETURN_TYPES, RETURN_NAMES, OUTPUT_IS_LIST and OUTPUT_TOOLTIPS describe."""
    kinds = [socket_name(kind) for kind in getattr(cls, "RETURN_TYPES", None) or ()]
    names, lists, tips = (
        list(getattr(cls, attribute, None) or ())
        for attribute in ("RETURN_NAMES", "OUTPUT_IS_LIST", "OUTPUT_TOOLTIPS")
    )
    for slot, kind in enumerate(kinds):
        name = names[slot] if slot < len(names) else kind if isinstance(kind, str) else "COMBO"
        tip = tips[slot] if slot < len(tips) else None
        yield OutputSpec(str(name), kind, slot < len(lists) and bool(lists[slot]), tip)


def claims_all_names(declared: Mapping[str, Any]) -> bool:
    """Whether one of the mappings that INPUT_TYPES returned says it contains every name."""
    return any(UNLIKELY in members for members in groups_of(declared).values())


def groups_of(declared: Mapping[str, Any]) -> dict[Group, Mapping[str, Any]]:
    """The three groups of inputs; an empty mapping stays what it is, since it may claim every name."""
    return {group: {} if declared.get(group) is None else declared[group] for group in GROUPS}


def runs_with_any_name(cls: type) -> bool:
    """Whether the class's function takes `**kwargs`."""
    function = getattr(cls, str(getattr(cls, "FUNCTION", "")), None)
    return function is not None and takes_any_keyword(function)


def takes_any_keyword(function: Callable[..., Any]) -> bool:
    """Whether a function has a `**kwargs` parameter."""
    return any(each.kind is inspect.Parameter.VAR_KEYWORD for each in parameters(function))


def validated_names(function: Callable[..., Any] | None) -> frozenset[str] | None:
    """The argument names of VALIDATE_INPUTS, `"**"` for `**kwargs`; None when there is no such function."""
    if function is None:
        return None
    return frozenset(
        "**" if each.kind is inspect.Parameter.VAR_KEYWORD else each.name
        for each in parameters(function)
        if each.kind is not inspect.Parameter.VAR_POSITIONAL
    )


def parameters(function: Callable[..., Any]) -> list[inspect.Parameter]:
    """A function's parameters; none when Python cannot tell."""
    try:
        return list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        return []


def folders_of(groups: Mapping[Group, Mapping[str, Any]]) -> dict[str, str]:
    """The inputs whose choices are a folder's files and nothing else, with the folder's kind."""
    shown = {**groups["required"], **groups["optional"]}
    first = {name: shape[0] for name, shape in shown.items() if isinstance(shape, list | tuple) and shape}
    return {name: kind.kind for name, kind in first.items() if isinstance(kind, FileNames)}


def plain(value: Any) -> Any:
    """A value as JSON can hold it: subclasses become plain text and numbers, the unknown its text."""
    if value is None or type(value) in (bool, int, float, str):
        return value
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, Mapping):
        return {str(key): plain(member) for key, member in value.items()}
    if isinstance(value, set | frozenset):
        return sorted((plain(member) for member in value), key=repr)
    if isinstance(value, list | tuple | range):
        return [plain(member) for member in value]
    for kind in (bool, int, float):
        if isinstance(value, kind):
            return kind(value)
    return _number(value)


def _number(value: Any) -> Any:
    """A numpy or torch number as Python's; anything else as text."""
    item = getattr(value, "item", None)
    return item() if callable(item) and getattr(value, "size", 1) == 1 else str(value)
