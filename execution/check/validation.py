"""Whether a prompt could run, from specs alone: a list of problems in ComfyUI's shapes. Changes nothing.

Types that check values by themselves (`custom_validation`) need their code: `validate_with` asks a registry.
"""

from __future__ import annotations

import inspect
import traceback
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from execution.check import problems
from execution.check.problems import Problem
from execution.declare.conversion import converted
from execution.declare.dynamic import opened
from execution.declare.registry import Registry
from execution.declare.spec import InputSpec, NodeSpec
from execution.files.folders import Folders
from execution.run.graph import ordered_with_cycles, unwrapped

Specs = Mapping[str, NodeSpec]


@dataclass(frozen=True)
class Validation:
    """What is wrong with a prompt, and which of its outputs can run all the same.

    error: why nothing can run, or None. node_errors: ComfyUI's shape, by node id. outputs: the outputs that
    can run. needs_worker: some node checks values by its own code, which has not been asked.
    """

    error: Problem | None = None
    node_errors: Mapping[str, Any] = field(default_factory=dict)
    outputs: tuple[str, ...] = ()
    needs_worker: bool = False

    @property
    def ok(self) -> bool:
        """Whether something can run."""
        return self.error is None

    def response(self) -> tuple[int, dict[str, Any]]:
        """HTTP status and body of ComfyUI's answer; to a 200 the caller adds `prompt_id` and `number`."""
        if self.error is None:
            return 200, {"node_errors": dict(self.node_errors)}
        return 400, {"error": self.error, "node_errors": dict(self.node_errors)}


@dataclass
class CustomCheck:
    """A node whose own code has to be asked about its inputs; linked ones are None, their types `linked`."""

    node_id: str
    spec: NodeSpec
    inputs: dict[str, Any]
    linked: dict[str, str]


def validate(
    prompt: Mapping[str, Any],
    specs: Specs,
    targets: Collection[str] | None = None,
    folders: Folders | None = None,
    any_node: bool = False,
) -> Validation:
    """Check what `targets` (default: all output nodes) need; with `any_node` targets may be any nodes.

    Inputs that are files are checked when `folders` are given.
    """
    check = _Check(prompt, specs, folders)
    error = check.outline(targets, any_node)
    if error is not None:
        return Validation(error)
    check.nodes()
    return check.conclusion(asked=not check.custom)


async def validate_with(
    prompt: Mapping[str, Any],
    registry: Registry,
    targets: Collection[str] | None = None,
    folders: Folders | None = None,
    any_node: bool = False,
) -> Validation:
    """Like `validate`, with the specs of a registry as of now and the types' own checks."""
    types = {each.get("class_type") for each in prompt.values() if isinstance(each, dict)}
    found = {name: registry.spec(name) for name in types if isinstance(name, str)}
    known = {name: spec for name, spec in found.items() if spec is not None}
    check = _Check(prompt, known, folders, registry.types)
    error = check.outline(targets, any_node)
    if error is not None:
        return Validation(error)
    check.nodes()
    for each in check.custom:
        check.add(each.node_id, await _custom_problems(each, registry))
    return check.conclusion(asked=True)


class _Check:
    """One walk over a prompt."""

    def __init__(
        self,
        prompt: Mapping[str, Any],
        specs: Specs,
        folders: Folders | None,
        known: Collection[str] | None = None,
    ) -> None:
        self.prompt, self.specs, self.folders = prompt, specs, folders
        self.known = specs.keys() if known is None else known
        self.custom: list[CustomCheck] = []
        self._targets: dict[str, None] = {}
        self._order: list[str] = []
        self._problems: dict[str, list[Problem]] = {}
        self._sources: dict[str, list[str]] = {}
        self._choices: dict[tuple[str, str], Collection[Any]] = {}

    def outline(self, targets: Collection[str] | None, any_node: bool) -> Problem | None:
        """Find the targets; gives what makes the whole prompt useless."""
        for node_id, node in self.prompt.items():
            if not isinstance(node, dict) or not isinstance(node.get("class_type"), str):
                return problems.no_class_type(node_id)
            spec = self.specs.get(node["class_type"])
            if spec is None:
                return problems.missing_node_type(node_id, node, self.known)
            if (spec.output_node or any_node) and (targets is None or node_id in targets):
                self._targets[node_id] = None
        return None if self._targets else problems.no_outputs()

    def nodes(self) -> None:
        """Check every node that the targets need."""
        self._order, rounds = ordered_with_cycles(self._targets, self._linked_from)
        for each in rounds:
            problem = problems.dependency_cycle(each)
            for node_id in each:
                self.add(node_id, [problem])

    def add(self, node_id: str, found: Iterable[Problem]) -> None:
        """Note problems of a node."""
        for each in found:
            self._problems.setdefault(node_id, []).append(each)

    def _linked_from(self, node_id: str) -> list[str]:
        """Check a node's inputs, giving the nodes it is linked from; called once a node."""
        node = self.prompt[node_id]
        spec = self.specs[node["class_type"]]
        inputs = node.get("inputs")
        sources: list[str] = []
        linked: dict[str, str] = {}
        if not isinstance(inputs, dict):
            exception = "TypeError" if "inputs" in node else "KeyError"
            self.add(node_id, [problems.no_inputs(exception, node_id in self._targets)])
            self._sources[node_id] = sources
            return sources
        spec = opened(spec, inputs)
        for name, each in spec.by_name.items():
            if name in inputs:
                self._input(node_id, spec, each, inputs[name], sources, linked)
            elif each.group == "required":
                self.add(node_id, [problems.required_input_missing(name)])
        if spec.accepts_extra_inputs:
            self._extra(node_id, spec, inputs, sources, linked)
        if spec.custom_validation is not None and node_id not in self._problems:
            self.custom.append(CustomCheck(node_id, spec, _constants(inputs, linked), linked))
        self._sources[node_id] = sources
        return sources

    def _extra(
        self,
        node_id: str,
        spec: NodeSpec,
        inputs: Mapping[str, Any],
        sources: list[str],
        linked: dict[str, str],
    ) -> None:
        for name in inputs.keys() - spec.by_name.keys():
            if isinstance(inputs[name], list):
                self._input(
                    node_id, spec, InputSpec(name, "*", None, "optional"), inputs[name], sources, linked
                )

    def _input(
        self,
        node_id: str,
        spec: NodeSpec,
        each: InputSpec,
        value: Any,
        sources: list[str],
        linked: dict[str, str],
    ) -> None:
        if type(value) is list:
            problem = self._link(spec, each, value, linked, node_id in self._targets)
            if problem is None or problem["type"] == "return_type_mismatch":
                sources.append(str(value[0]))
        else:
            problem = self._constant(spec, each, unwrapped(value))
        if problem is not None:
            self.add(node_id, [problem])

    def _link(
        self, spec: NodeSpec, each: InputSpec, value: list[Any], linked: dict[str, str], at_target: bool
    ) -> Problem | None:
        if len(value) != 2:
            return problems.bad_link(each, value)
        source = self.prompt.get(str(value[0]))
        if source is None:
            reason = f"node {value[0]!r} does not exist"
            return problems.dangling_link(each, value, reason, "KeyError", at_target)
        outputs = self.specs[source["class_type"]].outputs
        slot = value[1]
        if type(slot) not in (int, float) or not 0 <= slot < len(outputs):
            reason = f"{source['class_type']} has no output {slot!r}"
            exception = "IndexError" if type(slot) in (int, float) else "TypeError"
            return problems.dangling_link(each, value, reason, exception, at_target)
        slot = int(slot)
        linked[each.name] = outputs[slot].socket
        own = spec.custom_validation
        if (own and "input_types" in own) or types_match(outputs[slot].socket, each.socket):
            return None
        return problems.return_type_mismatch(each, value, outputs[slot].socket)

    def _constant(self, spec: NodeSpec, each: InputSpec, value: Any) -> Problem | None:
        try:
            value = converted(each.type, value)
        except (ValueError, TypeError, OverflowError) as error:
            return problems.invalid_input_type(each, value, error)
        own = spec.custom_validation
        if own is not None and (each.name in own or "**" in own):
            return None
        if each.name == "filename_prefix" and self.folders and not self.folders.is_inside("output", value):
            return problems.custom_validation_failed(each.name, "it leads out of the output folder")
        try:
            return _out_of_range(each, value) or (self._chosen(spec, each, value) if each.is_combo else None)
        except Exception as error:  # a pack's options may compare with nothing
            return problems.exception_during_inner_validation(each, value, error)

    def _chosen(self, spec: NodeSpec, each: InputSpec, value: Any) -> Problem | None:
        choices, kind = each.choices or (), spec.folders.get(each.name)
        if kind is not None:
            return self._filed(each, kind, value, choices)
        wanted = value if isinstance(value, list) and (each.options or {}).get("multiselect") else [value]
        if each.choices is None or all(one in choices for one in wanted):
            return None
        return problems.not_in_list(each, value, choices)

    def _filed(self, each: InputSpec, kind: str, value: Any, choices: Sequence[Any]) -> Problem | None:
        if self.folders is None or value in choices or self.folders.match(kind, value) is not None:
            return None
        advice = f"Put the file into {self.folders.whereabouts(kind)}, or choose another."
        if kind.startswith(("input:", "output:")):
            return problems.no_such_file(each.name, kind, value, advice)
        return problems.not_in_list(each, value, (*self.folders.list(kind), *choices), advice)

    def conclusion(self, asked: bool) -> Validation:
        """Which targets can run, and the problems that keep the others from it."""
        sound: dict[str, bool] = {}
        for node_id in self._order:
            sources = self._sources[node_id]
            sound[node_id] = node_id not in self._problems and all(sound.get(each, False) for each in sources)
        good = tuple(each for each in self._targets if sound[each])
        node_errors: dict[str, Any] = {}
        for target in self._targets:
            if not sound[target]:
                self._blame(target, sound, node_errors)
        error = None if good else problems.outputs_failed(node_errors)
        return Validation(error, node_errors, good, needs_worker=not asked)

    def _blame(self, target: str, sound: Mapping[str, bool], node_errors: dict[str, Any]) -> None:
        pending, seen = [target], {target}
        while pending:
            node_id = pending.pop()
            if node_id in self._problems:
                entry = node_errors.setdefault(
                    node_id,
                    {
                        "errors": self._problems[node_id],
                        "dependent_outputs": [],
                        "class_type": self.prompt[node_id]["class_type"],
                    },
                )
                entry["dependent_outputs"].append(target)
            fresh = [each for each in self._sources[node_id] if not sound[each] and each not in seen]
            seen.update(fresh)
            pending += fresh


def _out_of_range(each: InputSpec, value: Any) -> Problem | None:
    if each.options is not None and type(value) in (int, float):
        low, high = each.options.get("min"), each.options.get("max")
        if low is not None and value < low:
            return problems.value_smaller_than_min(each, value)
        if high is not None and value > high:
            return problems.value_bigger_than_max(each, value)
    return None


def types_match(given: str, wanted: str) -> bool:
    """Whether an output of type `given` may be linked to an input of type `wanted`: `"A,B"` overlap, `*`."""
    if given == wanted or given == "*" or wanted == "*":
        return True
    if "," not in given and "," not in wanted:
        return False
    offered, accepted = set(_names(given)), set(_names(wanted))
    return bool(offered & accepted) or "*" in offered | accepted


def _names(union: str) -> Iterable[str]:
    return (each.strip() for each in union.split(","))


def _constants(inputs: Mapping[str, Any], linked: Mapping[str, str]) -> dict[str, Any]:
    return {name: None if name in linked else unwrapped(value) for name, value in inputs.items()}


async def _custom_problems(check: CustomCheck, registry: Registry) -> list[Problem]:
    names = check.spec.custom_validation or frozenset()
    asked = [name for name in check.inputs if name in names or "**" in names]
    inputs = {name: check.inputs[name] for name in asked}
    for name, value in inputs.items():
        each = check.spec.by_name.get(name)
        inputs[name] = converted(each.type, value) if each and value is not None else value
    try:
        messages = registry.types[check.spec.name].validate(inputs, check.linked)
        if inspect.isawaitable(messages):
            messages = await messages
        named = asked or sorted(names - {"**"}) or [""]
        return [problems.custom_validation_failed(name, each) for name in named for each in messages]
    except Exception as error:  # a pack's code: reported on its node
        lines = traceback.format_tb(error.__traceback__)
        return [problems.exception_during_validation(error, lines)]
