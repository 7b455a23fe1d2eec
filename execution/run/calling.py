"""Calling one node: for each item of its lists, in the lane or on the event loop, unless it is blocked."""

from __future__ import annotations

import asyncio
import inspect
import math
import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

from execution import events
from execution.cancel import CancelToken
from execution.declare.outcome import BlockedInput, ExecutionBlocker, Outcome
from execution.declare.run import Run, Seat
from execution.job import Job
from execution.run.emitter import Emitter
from execution.run.graph import Graph
from execution.run.mapping import Inputs, blocker_among, calls_for
from execution.run.task import Task

Lists = Mapping[str, list[Any]]
Settle = Callable[[Any], Any]
"""Waits for an awaitable, in the lane; gives other values as they are."""
Rescue = Callable[[BaseException], bool]
"""Asked when a node raised: whether something was freed, so that the node is worth one more try."""
NONE_PENDING: frozenset[str] = frozenset()


class Calls:
    """The calls of one job's nodes. `executed` gets the ids of those that were called and did not raise."""

    def __init__(
        self,
        job: Job,
        graph: Graph,
        cancel: CancelToken,
        emit: Emitter,
        rescue: Rescue,
        seat: Callable[[Task], Seat],
    ) -> None:
        """Take a job; nothing is called yet."""
        self.executed: list[str] = []
        self._job, self._graph, self._cancel = job, graph, cancel
        self._emit, self._rescue, self._seat = emit, rescue, seat

    def fingerprint(self, task: Task, settle: Settle) -> Any:
        """What a node's result depends on besides its inputs; NaN, so always run, when it cannot tell."""
        if not getattr(task.node_type, "fingerprints", True):
            return None
        inputs: Inputs = {**task.constants, **dict.fromkeys(task.links)}
        if task.spec.input_is_list:
            inputs = {name: [value] for name, value in inputs.items()}
        try:
            return settle(task.node_type.fingerprint(inputs, self.run_for(task)))
        except Exception:  # a pack's code, which ComfyUI takes for "changed" when it raises
            return math.nan

    def questions(self, task: Task, lists: Lists, pending: frozenset[str]) -> list[Callable[[], Any]]:
        """The calls of `wanted`, one for each item that is not blocked."""
        takes_lists = task.spec.input_is_list
        return [
            partial(task.node_type.wanted, inputs, self.run_for(task, index, pending))
            for index, inputs in enumerate(calls_for(lists, takes_lists))
            if blocker_among(inputs, takes_lists) is None
        ]

    def in_lane(
        self, task: Task, lists: Lists, pending: frozenset[str], settle: Settle
    ) -> list[Outcome[Any]]:
        """Call a node for each item, one after another."""
        outcomes: list[Outcome[Any]] = []
        called = False
        for index, inputs, blocked in self._items(task, lists):
            started = time.perf_counter()
            run = self.run_for(task, index, pending)
            outcomes.append(blocked or self._attempt(task, inputs, run, settle))
            task.seconds += time.perf_counter() - started
            called = called or blocked is None
        if called:
            self.executed.append(task.id)
        return outcomes

    async def on_loop(self, task: Task, lists: Lists, pending: frozenset[str]) -> list[Outcome[Any]]:
        """Call an async node for all items at once."""
        started = time.perf_counter()
        items = list(self._items(task, lists))
        calls = [
            asyncio.ensure_future(self._later(task, inputs, self.run_for(task, index, pending), blocked))
            for index, inputs, blocked in items
        ]
        try:
            outcomes = [_unless_exit(each) for each in await asyncio.gather(*calls)]
            if any(blocked is None for _, _, blocked in items):
                self.executed.append(task.id)
            return outcomes
        finally:
            task.seconds += time.perf_counter() - started
            for call in calls:
                call.cancel()

    async def _later(
        self, task: Task, inputs: Inputs, run: Run, blocked: Outcome[Any] | None
    ) -> Outcome[Any] | SystemExit:
        if blocked is not None:
            return blocked
        try:
            return await self._attempt_later(task, inputs, run)
        except BlockedInput as error:
            return self._blocked(task, error.blocker)
        except SystemExit as error:  # let out of an asyncio task it would end the program
            return error

    async def _attempt_later(self, task: Task, inputs: Inputs, run: Run) -> Outcome[Any]:
        """Like `_attempt`, on the loop."""
        try:
            return _outcome(await awaited(task.node_type(inputs, run)))
        except Exception as error:
            if isinstance(error, BlockedInput) or not self._rescue(error):
                raise
        try:
            return _outcome(await awaited(task.node_type(inputs, run)))
        except Exception as error:
            self._rescue(error)
            raise

    def _items(self, task: Task, lists: Lists) -> Iterator[tuple[int, Inputs, Outcome[Any] | None]]:
        """For each call its number, its inputs, and its outcome if it is blocked."""
        takes_lists, told = task.spec.input_is_list, False
        for index, inputs in enumerate(calls_for(lists, takes_lists)):
            self._cancel.check()
            blocker = blocker_among(inputs, takes_lists)
            if blocker is None and not told:
                told = True
                self._emit(events.Running, place=task.place)
            yield index, inputs, None if blocker is None else self._blocked(task, blocker)

    def _attempt(self, task: Task, inputs: Inputs, run: Run, settle: Settle) -> Outcome[Any]:
        """Call a node, and once more if what it raised could be mended."""
        try:
            return _outcome(settle(task.node_type(inputs, run)))
        except Exception as error:
            if not self._rescue(error):
                raise
        try:
            return _outcome(settle(task.node_type(inputs, run)))
        except Exception as error:
            self._rescue(error)  # the next job should find room; the error may be told what to do
            raise

    def _blocked(self, task: Task, blocker: ExecutionBlocker) -> Outcome[Any]:
        """Report a blocker's message once, and block in silence what follows."""
        if blocker.message is not None:
            self._emit(
                events.Blocked, place=task.place, message=blocker.message, executed=tuple(self.executed)
            )
        return Outcome(blocked=ExecutionBlocker(None))

    def run_for(self, task: Task, index: int = 0, pending: frozenset[str] = NONE_PENDING) -> Run:
        """What one call of a node is handed."""
        return Run(
            self._job.id,
            task.place.node,
            task.place.display_node,
            self._graph.get_original_prompt(),
            self._job.extra_data,
            self._graph,
            self._cancel,
            pending,
            index,
            self._seat(task),
        )


def _outcome(result: Any) -> Outcome[Any]:
    if not isinstance(result, Outcome):
        raise TypeError(f"a node type must give an Outcome, not {type(result).__name__}")
    return result


def _unless_exit(result: Outcome[Any] | SystemExit) -> Outcome[Any]:
    if isinstance(result, SystemExit):
        raise result
    return result


async def awaited(value: Any) -> Any:
    """What an awaitable gives; other values as they are."""
    return await value if inspect.isawaitable(value) else value
