"""Reading a typed function as a node type: its parameters become inputs, its return type outputs."""

from __future__ import annotations

import inspect
import re
import types
import typing
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, TypeVar, Union

from execution.declare.markers import (
    Branches,
    Choice,
    Combo,
    Each,
    Folder,
    Grows,
    Hidden,
    Lazy,
    Marker,
    Name,
    Output,
    Socket,
    Spare,
)
from execution.declare.outcome import ExecutionBlocker, Outcome, Ui
from execution.declare.run import Run
from execution.declare.spec import CHOICE, MATCH, ROW, Group, InputSpec, OutputSpec
from execution.errors import DeclarationError

WIDGETS: Mapping[Any, str] = {int: "INT", float: "FLOAT", str: "STRING", bool: "BOOLEAN", Any: "*"}
Role = Literal["input", "hidden", "run", "provided"]


@dataclass
class Annotation:
    """An annotation taken apart."""

    base: Any
    markers: list[Any] = field(default_factory=list)
    optional: bool = False
    is_list: bool = False
    lazy: bool = False
    options: tuple[Annotation, ...] = ()

    def last(self, kind: type[Any]) -> Any:
        """The innermost-declared marker of a kind wins over those of its alias; None when there is none."""
        return next((each for each in reversed(self.markers) if isinstance(each, kind)), None)


def take_apart(hint: Any) -> Annotation:
    """Peel `Annotated`, `| None`, `list` and `Lazy` off a hint; unions of sockets keep their members."""
    found = Annotation(hint)
    while True:
        origin, arguments = typing.get_origin(found.base), typing.get_args(found.base)
        if origin is Annotated:
            found.base, found.markers = arguments[0], [*arguments[1:], *found.markers]
        elif origin in (Union, types.UnionType):
            members = [each for each in arguments if each not in (types.NoneType, ExecutionBlocker)]
            found.optional = found.optional or types.NoneType in arguments
            if len(members) > 1:
                found.options = tuple(take_apart(each) for each in members)
                return found
            found.base = members[0]
        elif origin is list and not found.is_list:
            found.base, found.is_list = arguments[0], True
        elif origin is Lazy:
            found.base, found.lazy = arguments[0], True
        else:
            return found


def socket_of(hint: Annotation) -> str | tuple[Any, ...] | None:
    """The type under which a value travels, or None when the annotation names no socket."""
    if hint.options and hint.last(Branches) is None:
        members = [socket_of(each) for each in hint.options]
        return ",".join(map(str, members)) if all(isinstance(each, str) for each in members) else None
    marked = hint.last(Socket)
    if marked is not None:
        return str(marked.name)
    if hint.last(Folder) is not None:
        return tuple(hint.last(Folder).extra)
    if hint.last(Grows) is not None:
        return ROW
    if hint.last(Branches) is not None:
        return CHOICE
    choice = hint.last(Choice)
    if choice is not None:
        return () if callable(choice.values) else choice.values
    if typing.get_origin(hint.base) is Literal:
        return typing.get_args(hint.base)
    if isinstance(hint.base, TypeVar):
        return MATCH
    if hint.base is Any:
        return "*"
    declared = WIDGETS.get(hint.base) if isinstance(hint.base, type) else None
    return declared or getattr(hint.base, "socket", None)


@dataclass(frozen=True)
class Parameter:
    """One parameter of a node function and where its argument comes from."""

    name: str
    role: Role
    input: str = ""
    hint: Annotation = field(default_factory=lambda: Annotation(Any))
    spec: InputSpec | None = None
    many: bool = False
    member: Parameter | None = None
    """Of a row that grows: what each of its inputs is like."""
    branches: Mapping[str, Branch] = field(default_factory=dict)
    """Of a choice that brings inputs: what each key brings."""


@dataclass(frozen=True)
class Branch:
    """What one key of a choice brings: the class that holds its inputs, and the fields as parameters."""

    made: Callable[..., Any]
    parameters: tuple[Parameter, ...]


def parameters_of(function: Callable[..., Any], node: str, v3: bool = False) -> list[Parameter]:
    """The parameters of a function (not `self`), each with its role; `**` ones give several.

    Raises:
        DeclarationError: a parameter has no annotation, or one that says nothing.
    """
    hints = hints_of(function, node)
    found: list[Parameter] = []
    for parameter in inspect.signature(function).parameters.values():
        if parameter.name == "self":
            continue
        if parameter.name not in hints:
            raise DeclarationError(
                node, parameter.name, "has no annotation", "write its type, such as `: int`"
            )
        found += _read(parameter, take_apart(hints[parameter.name]), node, v3)
    return found


def hints_of(function: Callable[..., Any], node: str) -> dict[str, Any]:
    """The resolved annotations of a function.

    Raises:
        DeclarationError: a name in them is not known.
    """
    try:
        return typing.get_type_hints(function, include_extras=True)
    except NameError as error:
        raise DeclarationError(
            node, None, f"annotation names {error.name!r}", "import it at runtime"
        ) from error


def _read(parameter: inspect.Parameter, hint: Annotation, node: str, v3: bool) -> Iterator[Parameter]:
    if hint.base is Run:
        yield Parameter(parameter.name, "run")
    elif hint.last(Hidden) is not None:
        kind = hint.last(Hidden).kind
        spec = InputSpec(parameter.name, kind, {} if v3 else None, "hidden")
        yield Parameter(parameter.name, "hidden", kind, hint, spec)
    elif parameter.kind is parameter.VAR_KEYWORD:
        yield from _many(parameter, hint, node, v3)
    elif socket_of(hint) is not None:
        yield _shown(parameter, hint, node, v3)
    elif isinstance(hint.base, type):
        yield Parameter(parameter.name, "provided", "", hint)
    else:
        cure = "wrap it as Annotated[…, Socket('NAME')]"
        raise DeclarationError(node, parameter.name, f"nothing is known about {hint.base!r}", cure)


def _shown(parameter: inspect.Parameter, hint: Annotation, node: str, v3: bool) -> Parameter:
    """A parameter that is an input, with what it is made of if it depends on the node."""
    name = hint.last(Name).name if hint.last(Name) else parameter.name
    spec = _input(name, parameter, hint, node, v3)
    grows, branches = hint.last(Grows), hint.last(Branches)
    if grows is not None:
        member = _member(parameter, hint, node, v3)
        template = grows.template({member.name: member.spec.object_info()} if member.spec else {})
        spec = InputSpec(name, ROW, {**(spec.options or {}), "template": template}, spec.group)
        return Parameter(parameter.name, "input", name, hint, spec, member=member)
    if branches is not None:
        found = {
            key: Branch(each, tuple(parameters_of(each, node, v3))) for key, each in branches.classes.items()
        }
        options = {name: value for name, value in (spec.options or {}).items() if name != "default"}
        offered = [{"key": key, "inputs": _groups(branch.parameters)} for key, branch in found.items()]
        spec = InputSpec(name, CHOICE, {"options": offered, **options}, spec.group)
        return Parameter(parameter.name, "input", name, hint, spec, branches=found)
    return Parameter(parameter.name, "input", name, hint, spec)


def _member(parameter: inspect.Parameter, hint: Annotation, node: str, v3: bool) -> Parameter:
    """What each input of a row is like, from the `T` of its `Mapping[str, T]`."""
    arguments = typing.get_args(hint.base)
    if len(arguments) != 2:
        cure = "write Annotated[Mapping[str, T], Grows(…)]"
        raise DeclarationError(node, parameter.name, f"grows, but is {hint.base!r}", cure)
    grows = hint.last(Grows)
    single = parameter.replace(name=grows.prefix or parameter.name, default=parameter.empty)
    return _shown(single, take_apart(arguments[1]), node, v3)


def _groups(parameters: Iterable[Parameter]) -> dict[str, dict[str, Any]]:
    """The inputs of a branch as object_info shows them, required ones first."""
    groups: dict[str, dict[str, Any]] = {}
    for group in ("required", "optional"):
        members = [each.spec for each in parameters if each.spec is not None and each.spec.group == group]
        if members:
            groups[group] = {each.name: each.object_info() for each in members}
    return groups


def _many(parameter: inspect.Parameter, hint: Annotation, node: str, v3: bool) -> Iterator[Parameter]:
    each = hint.last(Each)
    if each is None:
        cure = "name its inputs: **values: Annotated[float, Each('a', 'b')]"
        raise DeclarationError(node, parameter.name, "takes any input", cure)
    for name in each.names:
        spec = _input(name, parameter, hint, node, v3)
        yield Parameter(parameter.name, "input", name, hint, spec, many=True)


def _input(name: str, parameter: inspect.Parameter, hint: Annotation, node: str, v3: bool) -> InputSpec:
    socket = socket_of(hint)
    if socket is None:
        raise DeclarationError(node, name, "has no socket", "wrap it as Annotated[…, Socket('NAME')]")
    options: dict[str, Any] = {}
    if isinstance(hint.base, TypeVar):
        options["template"] = {"template_id": hint.base.__name__, "allowed_types": _allowed(hint.base)}
    default = parameter.default
    if default is not parameter.empty and default is not None:
        options["default"] = default
    for marker in hint.markers:
        options |= marker.options() if isinstance(marker, Marker) else {}
    if hint.lazy:
        options["lazy"] = True
    combo = hint.last(Combo) or (Combo() if v3 else None)
    if combo is not None and isinstance(socket, tuple):
        options = combo.keys | {"options": list(socket)} | options
        socket = "COMBO"
    group: Group = "optional" if hint.optional or hint.last(Spare) else "required"
    return InputSpec(name, socket, options or None, group)


def _allowed(variable: Any) -> str:
    """The socket types that a type variable's constraints name; `"*"` without any."""
    named = [socket_of(take_apart(each)) for each in variable.__constraints__]
    return ",".join(str(each) for each in named) or "*"


def outputs_of(function: Callable[..., Any], node: str) -> tuple[OutputSpec, ...]:
    """The outputs that a return annotation declares: none, one, or the fields of a `NamedTuple`.

    Raises:
        DeclarationError: there is no return annotation, or one that names no socket.
    """
    hints = hints_of(function, node)
    if "return" not in hints:
        raise DeclarationError(node, None, "has no return annotation", "write what comes out, or `-> None`")
    hint = hints["return"]
    if typing.get_origin(hint) is Outcome:
        hint = typing.get_args(hint)[0]
    if hint in (types.NoneType, None, Ui, Outcome):
        return ()
    if isinstance(hint, type) and issubclass(hint, tuple) and hasattr(hint, "_fields"):
        parts = typing.get_type_hints(hint, include_extras=True)
        return tuple(_output(take_apart(parts[name]), name, node) for name in hint._fields)
    return (_output(take_apart(hint), None, node),)


def _output(hint: Annotation, field_name: str | None, node: str) -> OutputSpec:
    socket = socket_of(hint)
    if socket is None:
        cure = "return Annotated[…, Socket('NAME')], a NamedTuple of such, Ui or Outcome[…]"
        raise DeclarationError(node, field_name or "return", f"{hint.base!r} is no socket", cure)
    said = hint.last(Output) or Output()
    name = said.name or field_name or (socket if isinstance(socket, str) else "COMBO")
    match = hint.base.__name__ if isinstance(hint.base, TypeVar) else None
    return OutputSpec(name, socket, hint.is_list, said.tip, match)


def title_and_text(docstring: str | None) -> tuple[str, str]:
    """First line without its full stop, and the rest with lines of a paragraph joined."""
    title, _, text = inspect.cleandoc(docstring or "").partition("\n")
    paragraphs = (re.sub(r"\s*\n\s*", " ", each.strip()) for each in text.strip().split("\n\n"))
    return title.strip().removesuffix("."), "\n\n".join(each for each in paragraphs if each)
