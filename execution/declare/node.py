"""Declaring node types: the `@node` decorator, what the engine asks of a type, how natives answer.

A declared function stays a function. Its spec hangs on it as `function.spec`, and `node_types(module)`
collects what a module declares; binding to what the program provides happens when a `Registry` is made.
"""

from __future__ import annotations

import dataclasses
import hashlib
import inspect
import re
import types
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any, Protocol, TypeVar

from execution.declare.markers import (
    Branches,
    Choice,
    Combo,
    Each,
    Folder,
    ForceInput,
    Grows,
    Hidden,
    Lazy,
    Multiline,
    Name,
    Options,
    Output,
    Range,
    RawLink,
    Socket,
    Spare,
    Tip,
)
from execution.declare.outcome import ExecutionBlocker, Outcome, Ui
from execution.declare.run import LazyInput, Run
from execution.declare.signature import Parameter, hints_of, outputs_of, parameters_of, title_and_text
from execution.declare.spec import NodeSpec
from execution.errors import DeclarationError
from execution.events import Preview
from execution.files.folders import Folders

__all__ = [
    "Branches", "Choice", "Combo", "Each", "ExecutionBlocker", "Folder", "ForceInput", "Grows", "Hidden",
    "Lazy", "Multiline",
    "Name", "NativeNode", "NodeType", "Options", "Outcome", "Output", "Preview", "Range", "RawLink", "Run",
    "Socket", "Spare", "Tip", "Ui", "code_fingerprint", "node", "node_types",
]  # fmt: skip

Declared = TypeVar("Declared", bound=Callable[..., Any])
Provide = Mapping[type, Any]
FROM_DOCSTRING = "\0"
"""Stands for a display name that is the docstring's first line."""


class NodeType(Protocol):
    """What the engine runs: native functions, V1 classes and V3 schemas all come as this.

    `spec` is read often and must be cheap; `describe()` may look at folders. `asynchronous` types are
    called on the event loop and overlap, others in the lane. All of `fingerprint`, `validate` and `wanted`
    may return awaitables.
    """

    @property
    def spec(self) -> NodeSpec:
        """The spec as last described."""

    @property
    def asynchronous(self) -> bool:
        """Whether `__call__` gives an awaitable and may be called on the event loop."""

    @property
    def fingerprints(self) -> bool:
        """False when `fingerprint` has nothing to say, so that it need not be asked."""

    def describe(self) -> NodeSpec:
        """The spec as of now, with choices read anew."""

    def fingerprint(self, inputs: Mapping[str, Any], run: Run) -> Any:
        """What else the result depends on (`IS_CHANGED`, files); linked inputs are None. NaN: always run."""

    def validate(self, inputs: Mapping[str, Any], linked: Mapping[str, str]) -> Any:
        """Messages about inputs, linked ones None with their types in `linked`; for `custom_validation`."""

    def wanted(self, inputs: Mapping[str, Any], run: Run) -> Any:
        """Names of the lazy inputs (None so far) that are needed after all."""

    def __call__(self, inputs: dict[str, Any], run: Run) -> Outcome[Any] | Awaitable[Outcome[Any]]:
        """Compute, one call for each item where lists are mapped over."""


class NativeNode:
    """A node type made of a typed function, or of a class with a typed `__call__`."""

    def __init__(
        self,
        target: Callable[..., Any],
        spec: NodeSpec,
        parameters: list[Parameter],
        fingerprint: Callable[..., Any] | None = None,
        provide: Provide | None = None,
    ) -> None:
        """Keep what was declared; `bind` gives one that can run."""
        self._target = target
        self._parameters = parameters
        self._own_fingerprint = fingerprint
        self._provide = provide or {}
        self._bound: Callable[..., Any] = target
        self._provided: dict[str, Any] = {}
        self._folders: Folders | None = None
        self.spec = spec
        self.asynchronous = inspect.iscoroutinefunction(_function_of(target))
        self.fingerprints = fingerprint is not None or bool(spec.folders)

    def bind(self, provide: Provide) -> NativeNode:
        """The same type, with the objects that its parameters name handed in, and a class instantiated.

        Raises:
            DeclarationError: a parameter's class is not provided.
        """
        bound = NativeNode(self._target, self.spec, self._parameters, self._own_fingerprint, provide)
        wanted = {each.name: each.hint.base for each in self._parameters if each.role == "provided"}
        bound._provided = _gather(self.spec.name, wanted, provide)
        bound._folders = provide.get(Folders)
        if isinstance(self._target, type):
            bound._bound = self._target(
                **_provided_for(inspect.getattr_static(self._target, "__init__"), self.spec.name, provide)
            )
        bound.spec = bound.describe()
        return bound

    def describe(self) -> NodeSpec:
        """The spec, with choices that come from callables read anew."""
        inputs = []
        for parameter in self._parameters:
            choice = parameter.hint.last(Choice)
            each = parameter.spec
            if each is not None and choice is not None and callable(choice.values) and self._provide:
                each = each.with_choices(self._call_provided(choice.values))
            if each is not None:
                inputs.append(each)
        return dataclasses.replace(self.spec, inputs=tuple(inputs))

    def _call_provided(self, function: Callable[..., Any]) -> Any:
        return function(**_provided_for(function, self.spec.name, self._provide))

    def fingerprint(self, inputs: Mapping[str, Any], run: Run) -> Any:
        """Path, size and time of the files behind inputs, and what the node's own `fingerprint=` says."""
        stamps = []
        if self._folders is not None:
            chosen = ((kind, inputs.get(name)) for name, kind in self.spec.folders.items())
            stamps = [self._folders.stamp(kind, name) for kind, name in chosen if isinstance(name, str)]
        if self._own_fingerprint is None:
            return stamps
        own = self._own_fingerprint(**self._named_by(self._own_fingerprint, inputs))
        return [*stamps, own] if stamps else own

    def _named_by(self, function: Callable[..., Any], inputs: Mapping[str, Any]) -> dict[str, Any]:
        """The inputs a function names, and what is provided for its other parameters."""
        hints = hints_of(function, self.spec.name)
        named = inspect.signature(function).parameters
        provided = {name: self._provide[hints[name]] for name in named if hints.get(name) in self._provide}
        return provided | {name: inputs[name] for name in named if name in inputs}

    def validate(self, inputs: Mapping[str, Any], linked: Mapping[str, str]) -> Iterable[str]:
        """Nothing: a native type is validated by its spec."""
        return ()

    def wanted(self, inputs: Mapping[str, Any], run: Run) -> Iterable[str]:
        """Nothing: a native type awaits its lazy inputs."""
        return ()

    def __call__(self, inputs: dict[str, Any], run: Run) -> Outcome[Any] | Awaitable[Outcome[Any]]:
        """Call the function with its inputs and what is handed in."""
        result = self._bound(**self._arguments(inputs, run))
        return self._later(result) if self.asynchronous else self._outcome(result)

    def _arguments(self, inputs: Mapping[str, Any], run: Run) -> dict[str, Any]:
        arguments: dict[str, Any] = dict(self._provided)
        for each in self._parameters:
            if each.role == "run":
                arguments[each.name] = run
            elif each.role == "hidden":
                arguments[each.name] = run.hidden(each.input)
            elif each.role == "input":
                name = each.input if each.many else each.name
                arguments |= self._given(each, name, each.input, inputs, run)
        return arguments

    def _given(
        self, parameter: Parameter, name: str, input: str, inputs: Mapping[str, Any], run: Run
    ) -> dict[str, Any]:
        """The argument of an input under its parameter's name, put together if it is made of parts."""
        if parameter.member is not None:
            parts = [each.removeprefix(f"{input}.") for each in inputs if each.startswith(f"{input}.")]
            row: dict[str, Any] = {}
            for part in sorted(parts, key=_by_number):
                row |= self._given(parameter.member, part, f"{input}.{part}", inputs, run)
            return {name: row}
        if parameter.branches:
            key = self._plain(parameter, inputs.get(input, next(iter(parameter.branches))))
            branch = parameter.branches[str(key)]
            fields: dict[str, Any] = {}
            for each in branch.parameters:
                fields |= self._given(each, each.name, f"{input}.{each.input}", inputs, run)
            return {name: branch.made(**fields)}
        if input not in inputs:
            return {}
        if parameter.hint.lazy:
            return {name: LazyInput(run, input, inputs[input])}
        return {name: self._plain(parameter, inputs[input])}

    def _plain(self, parameter: Parameter, value: Any) -> Any:
        if self.spec.input_is_list and not parameter.hint.is_list:
            return value[0] if value else None
        return value

    async def _later(self, result: Awaitable[Any]) -> Outcome[Any]:
        return self._outcome(await result)

    def _outcome(self, result: Any) -> Outcome[Any]:
        if isinstance(result, Outcome):
            return result
        if isinstance(result, Ui):
            return Outcome(ui=result)
        if isinstance(result, ExecutionBlocker):
            return Outcome(blocked=result)
        if len(self.spec.outputs) == 1 and not hasattr(result, "_fields"):
            return Outcome((result,))
        return Outcome(tuple(result) if self.spec.outputs else ())


def node(
    name: str,
    *,
    category: str = "",
    output_node: bool = False,
    display_name: str | None = FROM_DOCSTRING,
    deprecated: bool = False,
    experimental: bool = False,
    api_node: bool = False,
    search_aliases: Iterable[str] = (),
    essentials_category: str = "",
    not_idempotent: bool = False,
    fingerprint: Callable[..., Any] | None = None,
    v3: bool = False,
) -> Callable[[Declared], Declared]:
    """Declare a function, or a class with a typed `__call__`, as the node type `name`.

    The signature is the schema (see `execution.markers`). The docstring's first line is the display name
    (unless one is given; None shows as null), the rest the description. `fingerprint` is called with
    those constant inputs which it names (and what is provided, by class), and what it returns joins the
    key. `v3` shows choices and hidden inputs in object_info as V3 nodes do. The declaration is left on
    the function as `.spec`.

    Raises:
        DeclarationError: the signature does not say all that is needed; the error names the cure.
    """

    def declare(target: Declared) -> Declared:
        function = _function_of(target)
        parameters = parameters_of(function, name, v3)
        title, text = title_and_text(target.__doc__)
        spec = NodeSpec(
            name=name,
            display_name=title or name if display_name == FROM_DOCSTRING else display_name,
            category=category,
            description=text,
            inputs=tuple(each.spec for each in parameters if each.spec is not None),
            outputs=outputs_of(function, name),
            output_node=output_node,
            input_is_list=any(_takes_list(each) for each in parameters if each.role == "input"),
            deprecated=deprecated,
            experimental=experimental,
            api_node=api_node,
            python_module=target.__module__,
            search_aliases=tuple(search_aliases),
            essentials_category=essentials_category,
            not_idempotent=not_idempotent,
            folders=_folders_of(parameters),
            code=code_fingerprint(target),
        )
        target.spec = spec  # type: ignore[attr-defined]  # a function carries its declaration
        target.native = NativeNode(target, spec, parameters, fingerprint)  # type: ignore[attr-defined]  # as above
        return target

    return declare


def node_types(module: types.ModuleType) -> list[NativeNode]:
    """The node types declared in a module (not those it imports), in order."""
    declared = (getattr(each, "native", None) for each in vars(module).values())
    natives = [each for each in declared if isinstance(each, NativeNode)]
    return [each for each in natives if each.spec.python_module == module.__name__]


def code_fingerprint(target: Callable[..., Any] | type) -> str:
    """A hash of what a function, or the methods of a class, do; not of where they stand."""
    functions = vars(target).values() if isinstance(target, type) else (target,)
    digest = hashlib.blake2b(digest_size=16)
    pending = [each.__code__ for each in functions if inspect.isfunction(each)]
    while pending:
        code = pending.pop()
        nested = [each for each in code.co_consts if inspect.iscode(each)]
        constants = [each for each in code.co_consts if not inspect.iscode(each)]
        digest.update(repr((code.co_code, code.co_names, code.co_varnames, constants)).encode())
        pending += nested
    return digest.hexdigest()


def _takes_list(parameter: Parameter) -> bool:
    return (parameter.member or parameter).hint.is_list


def _by_number(part: str) -> tuple[int, str]:
    """`image2` before `image10`; names without a number by themselves."""
    digits = re.search(r"\d+$", part)
    return (int(digits[0]) if digits else 0, part)


def _function_of(target: Callable[..., Any]) -> Callable[..., Any]:
    if isinstance(target, type):
        called: Callable[..., Any] = target.__call__
        return called
    return target


def _folders_of(parameters: Iterable[Parameter]) -> dict[str, str]:
    marked = ((each, each.hint.last(Folder)) for each in parameters if each.role == "input")
    return {each.input: folder.kind for each, folder in marked if folder is not None}


def _provided_for(function: Callable[..., Any], node: str, provide: Provide) -> dict[str, Any]:
    if function is object.__init__:
        return {}
    read = parameters_of(function, node)
    return _gather(node, {each.name: each.hint.base for each in read if each.role == "provided"}, provide)


def _gather(node: str, wanted: Mapping[str, type], provide: Provide) -> dict[str, Any]:
    for name, kind in wanted.items():
        if kind not in provide:
            cure = f"give Registry(provide={{{kind.__name__}: …}}), or mark it Annotated[…, Socket('…')]"
            raise DeclarationError(node, name, f"nobody provides {kind.__name__!r}", cure)
    return {name: provide[kind] for name, kind in wanted.items()}
