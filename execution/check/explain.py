"""Why a node would run, or need not: its key's parts against those of its last run. Runs nothing.

Of each node an explanation says its state
    cached     its result is there
    will_run   it is needed and its result is not there
    may_run    only a lazy input leads to it; whether it runs is known when that is asked for
    not_needed nothing that runs needs it
    blocked    it, or something above it, cannot run as it is; `problems` say why
and, where it would run, the reasons: what in its key differs from the time it ran last.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from execution.check.validation import Validation
from execution.files.identity import Stamp
from execution.run.cache import Cache
from execution.run.failure import shown
from execution.run.keys import Key, has_nan
from execution.run.task import Link, Task

MOST_REMEMBERED = 20_000
Reason = dict[str, Any]


class Ran(NamedTuple):
    """What went into a node's key when it ran last."""

    class_type: str
    code: str
    constants: Mapping[str, Any]
    links: Mapping[str, Link]
    parents: Mapping[str, Key]
    fingerprint: Any


class Memory:
    """The nodes of the last runs by their ids, as many as fit."""

    def __init__(self, most: int = MOST_REMEMBERED) -> None:
        """Remember nothing yet."""
        self._most = most
        self._ran: OrderedDict[str, Ran] = OrderedDict()

    def remember(self, tasks: Iterable[Task], among: Mapping[str, Task]) -> None:
        """Take in the nodes of a run, once they are keyed."""
        for task in tasks:
            parents = {name: among[link[0]].key for name, link in task.links.items()}
            spec = task.spec
            self._ran[task.id] = Ran(
                spec.name, spec.code, task.constants, task.links, parents, task.fingerprint
            )
            self._ran.move_to_end(task.id)
        while len(self._ran) > self._most:
            self._ran.popitem(last=False)

    def last(self, task: Task) -> Ran | None:
        """How a node of this id and type ran last."""
        ran = self._ran.get(task.id)
        return ran if ran is not None and ran.class_type == task.spec.name else None


def explanation(
    prompt: Mapping[str, Any],
    validation: Validation,
    tasks: Mapping[str, Task],
    targets: Iterable[str],
    cache: Cache,
    memory: Memory,
) -> dict[str, Any]:
    """For each node of a prompt its state and reasons, as JSON values.

    `validation` is about all nodes of the prompt, `tasks` are those of the sound ones, keyed.
    """
    found = states(tasks, targets, cache)
    nodes: dict[str, Any] = {}
    for node_id in prompt:
        task = tasks.get(node_id)
        if task is None:
            own = validation.node_errors.get(node_id, {}).get("errors", [])
            general = [] if validation.error is None or validation.node_errors else [validation.error]
            nodes[node_id] = {"state": "blocked", "reasons": [], "problems": own or general}
            continue
        why = [] if found[node_id] == "cached" else _why(task, tasks, cache, memory)
        nodes[node_id] = {"state": found[node_id], "reasons": why, "problems": []}
    return {"nodes": nodes}


def states(tasks: Mapping[str, Task], targets: Iterable[str], cache: Cache) -> dict[str, str]:
    """For each task `cached`, `will_run`, `may_run` or `not_needed`."""
    found = {
        task.id: "cached" if not task.volatile and cache.has(task.key) else "not_needed"
        for task in tasks.values()
    }
    for certain in (True, False):
        name = "will_run" if certain else "may_run"
        pending = [each for each in targets if each in tasks]
        pending = pending if certain else [each for each in tasks if found[each] == "will_run"]
        while pending:
            task = tasks[pending.pop()]
            if found[task.id] == "not_needed":
                found[task.id] = name
            if found[task.id] != "cached":
                above = task.strong if certain else task.sources
                pending += [each for each in above if found[each] == "not_needed"]
    return found


def _why(task: Task, tasks: Mapping[str, Task], cache: Cache, memory: Memory) -> list[Reason]:
    """Files that go with a result and are gone or others, or what in the key differs."""
    files = [] if task.volatile else cache.changed_files(task.key)
    if files:
        return [{"kind": "file", "path": str(path)} for path in files]
    return reasons(task, tasks, memory.last(task))


def reasons(task: Task, tasks: Mapping[str, Task], ran: Ran | None) -> list[Reason]:
    """Why a task's result is not there: each part of its key that differs from when it ran last."""
    if ran is None:
        return [{"kind": "never_ran"}]
    found = [*_code(task, ran), *_constants(task, ran), *_links(task, tasks, ran), *_fingerprint(task, ran)]
    if task.volatile and not found:
        return [{"kind": "always_runs"}]
    return found or [{"kind": "not_kept"}]


def _code(task: Task, ran: Ran) -> Iterator[Reason]:
    if ran.code != task.spec.code:
        yield {"kind": "code", "class_type": task.spec.name}


def _constants(task: Task, ran: Ran) -> Iterator[Reason]:
    for name in sorted(task.constants.keys() | ran.constants.keys()):
        if name in task.links or name in ran.links:
            continue
        old, new = ran.constants.get(name), task.constants.get(name)
        known = name in ran.constants and name in task.constants
        if not known or type(old) is not type(new) or repr(old) != repr(new):
            yield {"kind": "constant", "name": name, "old": shown(old), "new": shown(new)}


def _links(task: Task, tasks: Mapping[str, Task], ran: Ran) -> Iterator[Reason]:
    for name in sorted(task.links.keys() | ran.links.keys()):
        if name not in task.links or name not in ran.links:
            yield {"kind": "link", "name": name, "old": _end(ran, name), "new": _end(task, name)}
            continue
        (node_id, slot), (old_id, old_slot) = task.links[name], ran.links[name]
        if tasks[node_id].key != ran.parents[name]:
            yield {"kind": "upstream", "name": name, "node": node_id, "was": old_id}
        elif slot != old_slot:
            yield {"kind": "link", "name": name, "old": _end(ran, name), "new": _end(task, name)}


def _end(node: Task | Ran, name: str) -> Any:
    """What an input was connected to, or its constant."""
    return list(node.links[name]) if name in node.links else shown(node.constants.get(name))


def _fingerprint(task: Task, ran: Ran) -> Iterator[Reason]:
    """Files that changed, by path, and what else a type says about itself."""
    if has_nan(task.fingerprint):
        yield {"kind": "always_runs"}
        return
    old, new = _items(ran.fingerprint), _items(task.fingerprint)
    for index in range(max(len(old), len(new))):
        before, after = (each[index] if index < len(each) else None for each in (old, new))
        if repr(before) != repr(after):
            path = _path(after) or _path(before)
            said = {"kind": "is_changed", "old": shown(before), "new": shown(after)}
            yield {"kind": "file", "path": path} if path else said


def _items(fingerprint: Any) -> Sequence[Any]:
    return fingerprint if isinstance(fingerprint, list) else [fingerprint]


def _path(stamp: Any) -> str | None:
    """The path in a file's stamp."""
    if isinstance(stamp, Stamp):
        return stamp.path
    is_stamp = isinstance(stamp, tuple) and len(stamp) == 3 and isinstance(stamp[0], str)
    return str(stamp[0]) if is_stamp else None
