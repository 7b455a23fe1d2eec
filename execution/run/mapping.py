"""Lists on links: how a node is called once for each item, and how the results become lists again.

Every output is a list of values, of one value where the node gave just that. The longest list decides how
often a node is called; shorter ones repeat their last item. A node that takes whole lists
(`input_is_list`) is called once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from execution.declare.outcome import ExecutionBlocker, Outcome
from execution.declare.spec import NodeSpec
from execution.run.graph import is_link

Inputs = dict[str, Any]


def calls_for(lists: Mapping[str, list[Any]], takes_lists: bool) -> list[Inputs]:
    """The arguments of each call; none at all when a list is empty."""
    if takes_lists:
        return [dict(lists)]
    count = max(map(len, lists.values()), default=1)
    if count == 1 and all(lists.values()):
        return [{name: values[0] for name, values in lists.items()}]
    if not all(lists.values()):
        return []
    return [
        {name: values[min(index, len(values) - 1)] for name, values in lists.items()}
        for index in range(count)
    ]


def blocker_among(inputs: Inputs, takes_lists: bool) -> ExecutionBlocker | None:
    """The first blocker among the arguments of a call."""
    for value in inputs.values():
        if isinstance(value, ExecutionBlocker):
            return value
        if takes_lists and isinstance(value, list):
            for item in value:
                if isinstance(item, ExecutionBlocker):
                    return item
    return None


def joined(
    outcomes: Sequence[Outcome[Any]], spec: NodeSpec, follow: Callable[[list[Any]], list[Any]] | None = None
) -> tuple[list[Any], ...]:
    """The outputs of all calls, each as a list; `follow` gives the values behind an expansion's links."""
    width = max((_width(each, spec) for each in outcomes), default=len(spec.outputs))
    return tuple(_column(outcomes, slot, spec, follow) for slot in range(width))


def _width(outcome: Outcome[Any], spec: NodeSpec) -> int:
    return len(outcome.outputs) if outcome.blocked is None else len(spec.outputs)


def _column(
    outcomes: Sequence[Outcome[Any]],
    slot: int,
    spec: NodeSpec,
    follow: Callable[[list[Any]], list[Any]] | None,
) -> list[Any]:
    is_list = slot < len(spec.outputs) and spec.outputs[slot].is_list
    column: list[Any] = []
    for each in outcomes:
        if each.blocked is not None:
            column.append(each.blocked)
        elif slot < len(each.outputs):
            value = each.outputs[slot]
            if follow is not None and each.expand is not None and is_link(value):
                column += follow(value)
                continue
            column += value if is_list and not isinstance(value, ExecutionBlocker) else (value,)
    return column


def joined_ui(shown: Iterable[Mapping[str, Any] | None]) -> dict[str, Any] | None:
    """What all calls show, each kind as one list; None when nothing is shown."""
    together: dict[str, Any] | None = None
    for each in shown:
        for kind, values in (each or {}).items():
            together = together if together is not None else {}
            together.setdefault(kind, []).extend(values if isinstance(values, Iterable) else [values])
        if each is not None and together is None:
            together = {}
    return together
