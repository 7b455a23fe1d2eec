"""The adapter that makes ComfyUI's V1 class a node type of our engine.

Mapping over lists, waiting, caching, blocking and expanding are the engine's; here a call's arguments are put
together, the class's functions are called by their names, and what comes back is translated.
"""

from __future__ import annotations

import dataclasses
import inspect
import math
from collections.abc import Awaitable, Mapping
from typing import Any

from compat.current import calling
from compat.host import Host
from compat.modules.comfy_execution.graph_utils import is_link
from compat.v1_spec import Origin, claims_all_names, plain, spec_of
from compat.values.passing import own, shown
from execution.declare.node import ExecutionBlocker, Outcome
from execution.declare.run import Run
from execution.declare.spec import PROVIDED, NodeSpec

INSTANCES_KEPT = 1024
"""How many instances of a class are remembered, one a node; the oldest go first."""


class V1Node:
    """One V1 class as a node type. Each node has its own instance, which is kept from run to run."""

    FINGERPRINT = "IS_CHANGED"
    VALIDATION = "VALIDATE_INPUTS"

    def __init__(self, cls: type, origin: Origin, host: Host) -> None:
        """Keep the class. Until `describe` calls its INPUT_TYPES the spec has nothing but a name."""
        self.cls = cls
        self.origin = origin
        self.host = host
        self.spec = NodeSpec(origin.name, origin.display_name, python_module=origin.module, code=origin.code)
        self._claims_all_names = False
        self.asynchronous = inspect.iscoroutinefunction(getattr(cls, self._function_name, None))
        self._instances: dict[str, Any] = {}

    @property
    def _function_name(self) -> str:
        return str(getattr(self.cls, "FUNCTION", "execute"))

    @property
    def fingerprints(self) -> bool:
        """Whether the class says by itself what its result depends on, or files stand behind its choices."""
        return hasattr(self.cls, self.FINGERPRINT) or bool(self.spec.folders)

    def describe(self) -> NodeSpec:
        """Ask INPUT_TYPES again, and remember what it says."""
        declared = self.cls.INPUT_TYPES()  # type: ignore[attr-defined]  # a V1 class has it
        self._claims_all_names = claims_all_names(declared)
        self.spec = spec_of(self.cls, declared, self.origin)
        return self.spec

    def fingerprint(self, inputs: Mapping[str, Any], run: Run) -> Any:
        """What IS_CHANGED says and which files stand behind choices; NaN, always changed, when it raises."""
        stamps = [
            self.host.folders.stamp(kind, inputs.get(name) or "") for name, kind in self.spec.folders.items()
        ]
        if not hasattr(self.cls, self.FINGERPRINT):
            return stamps or None
        return self._changed(inputs, run, stamps)

    async def _changed(self, inputs: Mapping[str, Any], run: Run, stamps: list[Any]) -> Any:
        try:
            with calling(run):
                changed = getattr(self._class(run), self.FINGERPRINT)
                said = await settled(changed(**self._arguments(inputs, run, whole=False)))
        except Exception as problem:  # a pack's code; the reference takes this for "changed" too
            self.host.complain(f"{self.FINGERPRINT} of {self.spec.name}", problem)
            return math.nan
        return math.nan if is_nan(said) else [*stamps, comparable(said)]

    async def validate(self, inputs: Mapping[str, Any], linked: Mapping[str, str]) -> list[str]:
        """The messages of VALIDATE_INPUTS; an empty one where it just said False."""
        check = getattr(self.cls, self.VALIDATION, None)
        if check is None:
            return []
        wanted = self.spec.custom_validation or frozenset()
        arguments = {name: value for name, value in inputs.items() if "**" in wanted or name in wanted}
        if "input_types" in wanted:
            arguments["input_types"] = dict(linked)
        said = await settled(check(**arguments))
        if said is True or isinstance(said, ExecutionBlocker):
            return []
        return ["" if said is False else str(said)]

    async def wanted(self, inputs: Mapping[str, Any], run: Run) -> list[str]:
        """The names that check_lazy_status asks for."""
        instance = self._instance(run)
        if not hasattr(instance, "check_lazy_status"):
            return []
        with calling(run, run.index):
            asked = await settled(instance.check_lazy_status(**self._arguments(inputs, run)))
        return [name for name in asked or () if isinstance(name, str)]

    def __call__(self, inputs: dict[str, Any], run: Run) -> Outcome[Any] | Awaitable[Outcome[Any]]:
        """Call the class's function on the node's instance."""
        function = getattr(self._instance(run), self._function_name)
        arguments = self._arguments(inputs, run)
        if self.asynchronous:
            return self._later(function, arguments, run)
        with calling(run, run.index):
            result = function(**arguments)
        return self._awaited(result, run) if inspect.isawaitable(result) else self._outcome(result)

    async def _later(self, function: Any, arguments: dict[str, Any], run: Run) -> Outcome[Any]:
        with calling(run, run.index):
            return self._outcome(await function(**arguments))

    async def _awaited(self, result: Awaitable[Any], run: Run) -> Outcome[Any]:
        with calling(run, run.index):
            return self._outcome(await result)

    def _outcome(self, result: Any) -> Outcome[Any]:
        """What came back, in our words and with our values."""
        outcome = self._translated(result)
        return dataclasses.replace(outcome, outputs=tuple(own(value) for value in outcome.outputs))

    def _translated(self, result: Any) -> Outcome[Any]:
        return outcome_of(result)

    def _class(self, run: Run) -> Any:
        """What IS_CHANGED is called on: no instance is made before a node has to run."""
        return self.cls

    def _instance(self, run: Run) -> Any:
        """The node's own instance; made on first use."""
        if run.node not in self._instances:
            while len(self._instances) >= INSTANCES_KEPT:
                self._instances.pop(next(iter(self._instances)))
            self._instances[run.node] = self.cls()
        return self._instances[run.node]

    def _arguments(self, inputs: Mapping[str, Any], run: Run, whole: bool = True) -> dict[str, Any]:
        """The inputs, and the hidden ones that the class asks for.

        An input that is not declared comes through when it is linked; a constant only when the class claims
        its name.
        """
        known = self.spec.fillable
        strays = [name for name in inputs if name not in known] if self.spec.accepts_extra_inputs else []
        if strays and not self._claims_all_names:
            given = run.dynprompt.get_node(run.node)["inputs"] if run.dynprompt else {}
            inputs = {
                name: value for name, value in inputs.items() if name in known or is_link(given.get(name))
            }
        return {**{name: shown(value) for name, value in inputs.items()}, **self._hidden(run, whole)}

    def _hidden(self, run: Run, whole: bool = True) -> dict[str, Any]:
        """Hidden inputs by name. Before a run (`whole` false) there is no graph yet: only the id is known."""
        found = {}
        for each in self.spec.inputs:
            if each.group == "hidden" and each.socket in PROVIDED:
                value = (
                    run.hidden(each.socket) if whole or each.socket == "UNIQUE_ID" else EARLY.get(each.socket)
                )
                found[each.name] = [value] if self.spec.input_is_list else value
        return found


EARLY: Mapping[str, Any] = {"PROMPT": {}}
"""What IS_CHANGED is given for hidden inputs that are not known yet; None for those not named."""


async def settled(value: Any) -> Any:
    """A value, awaited if it has to be."""
    return await value if inspect.isawaitable(value) else value


def outcome_of(result: Any) -> Outcome[Any]:
    """What a V1 function returned: a tuple, a blocker, or a dict of `ui`, `result` and `expand`."""
    if isinstance(result, Mapping):
        blocked = result.get("result")
        values, shown = _values(blocked), result.get("ui")
        stop = blocked if isinstance(blocked, ExecutionBlocker) else None
        return Outcome(values, ui=shown, expand=result.get("expand"), blocked=stop)
    if isinstance(result, ExecutionBlocker):
        return Outcome(blocked=result)
    return Outcome(_values(result))


def _values(result: Any) -> tuple[Any, ...]:
    return () if result is None or isinstance(result, ExecutionBlocker) else tuple(result)


def is_nan(value: Any) -> bool:
    """Whether a value is the float that differs from itself."""
    return isinstance(value, float) and math.isnan(value)


def comparable(value: Any) -> Any:
    """What IS_CHANGED returned, as something that can be part of a key; unknown objects by their text."""
    if isinstance(value, bytes | bytearray):
        return value.hex()
    return plain(value)
