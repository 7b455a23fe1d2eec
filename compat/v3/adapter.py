"""The adapter that makes a V3 class (`io.ComfyNode`, one `define_schema`) a node type of our engine.

It differs from V1 in four things: the spec comes from a schema, all functions are class methods, hidden facts
are found on `cls.hidden` instead of among the arguments, and inputs made of parts (`images.image0`) arrive as
one dict.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from types import SimpleNamespace
from typing import Any

from compat.host import Host
from compat.v1 import V1Node, outcome_of
from compat.v1_spec import Origin, plain, validated_names
from compat.v3 import inputs as kinds
from compat.v3.schema import ComfyNode, NodeOutput, Schema
from execution.declare.node import ExecutionBlocker, Outcome
from execution.declare.run import Run
from execution.declare.spec import Group, InputSpec, NodeSpec, OutputSpec


def is_v3(cls: Any) -> bool:
    """Whether a class is a V3 node."""
    return isinstance(cls, type) and issubclass(cls, ComfyNode)


class V3Node(V1Node):
    """One V3 class as a node type."""

    FINGERPRINT = "fingerprint_inputs"
    VALIDATION = "validate_inputs"

    def __init__(self, cls: type, origin: Origin, host: Host) -> None:
        """Keep the class. Its define_schema is first called by `describe`."""
        self._dynamic: frozenset[str] = frozenset()
        super().__init__(cls, origin, host)

    def describe(self) -> NodeSpec:
        """Ask define_schema again, and remember what it says."""
        schema: Schema = self.cls.GET_SCHEMA()  # type: ignore[attr-defined]  # a V3 class has it
        self._dynamic = frozenset(dynamic_names(schema.inputs))
        self._claims_all_names = bool(self._dynamic) or schema.accept_all_inputs
        self.spec = spec_of_schema(self.cls, schema, self.origin)
        return self.spec

    def _class(self, run: Run) -> Any:
        """A class of its own for each call, so that nothing written to it is seen by another."""
        values = {kind.name: run.hidden(kind.value) for kind in kinds.Hidden}
        return type(
            self.cls.__name__,
            (self.cls,),
            {"hidden": SimpleNamespace(**values), "__module__": self.cls.__module__},
        )

    _instance = _class

    def _arguments(self, inputs: Mapping[str, Any], run: Run, whole: bool = True) -> dict[str, Any]:
        return gathered(super()._arguments(inputs, run, whole), self._dynamic)

    def _hidden(self, run: Run, whole: bool = True) -> dict[str, Any]:
        return {}

    def _translated(self, result: Any) -> Outcome[Any]:
        return outcome_of_output(result)


def spec_of_schema(cls: type, schema: Schema, origin: Origin) -> NodeSpec:
    """A V3 schema as our spec."""
    checks = _own(cls, "validate_inputs")
    return NodeSpec(
        name=schema.node_id,
        display_name=origin.display_name or schema.display_name,
        category=schema.category,
        description=schema.description,
        inputs=(
            *map(_input, schema.inputs),
            *(InputSpec(kind.name, kind.value, {}, "hidden") for kind in _hidden(schema)),
        ),
        outputs=tuple(map(_output, schema.outputs)),
        output_node=schema.is_output_node,
        input_is_list=schema.is_input_list,
        deprecated=schema.is_deprecated,
        experimental=schema.is_experimental,
        api_node=schema.is_api_node,
        python_module=origin.module,
        search_aliases=tuple(schema.search_aliases),
        not_idempotent=schema.not_idempotent,
        accepts_extra_inputs=schema.accept_all_inputs
        or any(isinstance(each, kinds.DynamicInput) for each in schema.inputs),
        custom_validation=validated_names(checks),
        code=origin.code,
    )


def _input(each: kinds.Input) -> InputSpec:
    group: Group = "optional" if each.optional else "required"
    return InputSpec(each.id, each.get_io_type(), plain(each.options()) or None, group)


def _output(each: kinds.Output) -> OutputSpec:
    kind = each.get_io_type()
    template = each.options.get("template")
    match = getattr(template, "template_id", None)
    return OutputSpec(each.display_name or kind, kind, each.is_output_list, each.tooltip, match)


def _hidden(schema: Schema) -> list[kinds.Hidden]:
    """The hidden facts asked for; an output node always gets the graph, to write it into files."""
    always = [kinds.Hidden.prompt, kinds.Hidden.extra_pnginfo] if schema.is_output_node else []
    return list(dict.fromkeys([*(kinds.Hidden(each) for each in schema.hidden), *always]))


def _own(cls: type, name: str) -> Callable[..., Any] | None:
    function: Callable[..., Any] | None = getattr(cls, name, None)
    return function


def dynamic_names(inputs: Iterable[kinds.Input], whole: str = "") -> Iterator[str]:
    """The full names of all inputs that are made of parts, those inside of branches too."""
    for each in inputs:
        if isinstance(each, kinds.DynamicInput):
            name = whole + each.id
            yield name
            for branch in each.branches or ():
                yield from dynamic_names(branch.inputs, f"{name}.")


def gathered(inputs: Mapping[str, Any], dynamic: Collection[str]) -> dict[str, Any]:
    """Inputs named `WHOLE.PART` collected into dicts under WHOLE, for the dynamic inputs, the inner ones too.

    A chosen branch stays in its dict under the input's own name: `{"mode": "a", "strength": 1}`.
    """
    result: dict[str, Any] = {}
    wholes: dict[str, dict[str, Any]] = {"": result}
    for name in sorted(dynamic):  # a whole before what is inside of it
        outer, _, own = name.rpartition(".")
        if "." not in name or any(each == name or each.startswith(f"{name}.") for each in inputs):
            wholes[name] = {own: inputs[name]} if name in inputs else {}
            wholes[outer][own] = wholes[name]
    for name, value in inputs.items():
        if name not in dynamic:
            whole = next((name[:at] for at in _dots(name) if name[:at] in wholes), "")
            wholes[whole][name.removeprefix(f"{whole}.") if whole else name] = value
    return result


def _dots(name: str) -> Iterator[int]:
    """Where the dots of a name are, the last one first."""
    at = name.rfind(".")
    while at > 0:
        yield at
        at = name.rfind(".", 0, at)


def outcome_of_output(result: Any) -> Outcome[Any]:
    """What a V3 function returned: a NodeOutput, or what a V1 function might return."""
    if not isinstance(result, NodeOutput):
        return outcome_of(result)
    shown = result.ui.as_dict() if hasattr(result.ui, "as_dict") else result.ui
    blocked = None if result.block_execution is None else ExecutionBlocker(result.block_execution or None)
    return Outcome(tuple(result.args), ui=shown, expand=result.expand, blocked=blocked)
