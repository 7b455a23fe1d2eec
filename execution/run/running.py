"""One job on its way: the lane's loop, async nodes beside it, expansions, cancelling, background work.

Two threads touch a `Running`: the lane, which runs `drive`, and the event loop, which runs async nodes.
What they share is the schedule; whoever touches it holds `_changed`. Node code is never called with it
held.
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import threading
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, Future
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from execution import events
from execution.cancel import CancelToken
from execution.declare.node import NodeType
from execution.declare.outcome import Outcome
from execution.errors import Cancelled, DependencyCycle, GraphError
from execution.events import Place
from execution.files.identity import trace_of
from execution.job import Job
from execution.run.cache import Cache, Entry
from execution.run.calling import Calls, Lists, Rescue, awaited
from execution.run.emitter import Emitter
from execution.run.expansion import add_nodes, starts_of, value_key_within
from execution.run.failure import Failure
from execution.run.graph import Graph
from execution.run.keys import ValueKey
from execution.run.mapping import joined, joined_ui
from execution.run.schedule import Schedule
from execution.run.seat import NodeSeat, settle_future
from execution.run.task import State, Task

T = TypeVar("T")
ShownFiles = Callable[[Mapping[str, Any]], Iterable[Path]]
"""The files that a node shows, by what it shows."""
WAKE_SECONDS = 0.1
"""How often the lane looks for a cancel while it waits for an awaitable."""


@dataclass(frozen=True)
class Surroundings:
    """What a job finds in its engine."""

    types: Mapping[str, NodeType]
    cache: Cache
    background: Executor
    value_key: ValueKey
    rescue: Rescue
    previews: Callable[[], bool]
    remember: Callable[[Sequence[Task], Mapping[str, Task]], None]
    shown_files: ShownFiles


class Running:
    """One job."""

    def __init__(
        self,
        around: Surroundings,
        job: Job,
        graph: Graph,
        cancel: CancelToken,
        emit: Emitter,
        keeps: Callable[[str], bool],
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        """Take a job, with its prompt as a graph; nothing happens yet."""
        self.emit, self.graph = emit, graph
        self.schedule = Schedule(graph, around.types, around.cache, self._done, keeps)
        self.calls = Calls(job, graph, cancel, emit, around.rescue, self._seat_of)
        self.ui: dict[str, Mapping[str, Any]] = {}
        self.cached: list[str] = []
        self.failure: Failure | None = None
        self.interrupted = False
        self.interrupted_at: Place | None = None
        self._around, self._loop, self._cancel = around, loop, cancel
        self._changed = threading.Condition(threading.RLock())
        self._lane_work: deque[Callable[[], None]] = deque()
        self._current: Task | None = None
        self._async_tasks: set[asyncio.Task[None]] = set()
        self._seats: dict[str, NodeSeat] = {}
        self._futures: list[Future[Any]] = []
        self._saving: list[tuple[Task, Entry]] = []

    # --- the lane ---

    def drive(self, targets: Sequence[str]) -> None:
        """Run in the lane's thread until the targets are done, or something stops the job."""
        self._cancel.on_cancel(self._stop_for_cancel)
        try:
            self._begin(targets)
            while (step := self._next_step()) is not None:
                step()
        except Cancelled:
            self._interrupt(None)
        except Exception as error:  # no graph that can run, or a hook of the program failed
            self._fail(self._blamed(error, targets), error, {})

    def _begin(self, targets: Sequence[str]) -> None:
        tasks: list[Task] = []
        try:
            with self._changed:
                tasks = self.schedule.make(targets)
        finally:
            self.emit(events.Started, nodes=tuple(each.id for each in tasks), targets=tuple(targets))
        self._cancel.check()
        self._fingerprint(tasks)
        with self._changed:
            self.schedule.enter(tasks, self._around.value_key)
            self._around.remember(tasks, self.schedule.tasks)
            self._around.cache.begin([each.key for each in tasks])
            self.emit(events.Cached, nodes=self._known(tasks))
            self.schedule.want(targets)
            self._go_on()

    def _fingerprint(self, tasks: Iterable[Task]) -> None:
        for task in tasks:
            task.fingerprint = self.calls.fingerprint(task, self._settled)
            self._cancel.check()

    def _known(self, tasks: Iterable[Task]) -> tuple[str, ...]:
        has = self._around.cache.has
        return tuple(each.id for each in tasks if not each.volatile and has(each.key))

    def _next_step(self) -> Callable[[], None] | None:
        """What the lane does next; None when the job is over."""
        with self._changed:
            while not self._stopping:
                if self._lane_work:
                    return self._lane_work.popleft()
                if self.schedule.finished:
                    return None
                task = self.schedule.pop_sync()
                if task is not None:
                    self._take(task)
                    return partial(self._run_sync, task)
                if self.schedule.stuck:
                    raise self.schedule.cycle()
                self._changed.wait()
            return None

    def _take(self, task: Task) -> None:
        task.state = State.RUNNING
        self.schedule.active += 1

    def _go_on(self) -> None:
        """Something changed: wake the lane, and start async nodes that have become ready."""
        self._changed.notify_all()
        if self.schedule.next_async:
            self._loop.call_soon_threadsafe(self._start_async)

    def _settled(self, value: Any) -> Any:
        """In the lane: wait for an awaitable, which runs on the loop; other values as they are."""
        if isinstance(value, Outcome) or not inspect.isawaitable(value):
            return value
        future = asyncio.run_coroutine_threadsafe(awaited(value), self._loop)
        while True:
            try:
                return future.result(WAKE_SECONDS)
            except TimeoutError:
                if future.done():
                    raise
                if self._cancel.cancelled:
                    future.cancel()
                    raise Cancelled from None

    # --- nodes ---

    def _run_sync(self, task: Task) -> None:
        """Ask a sync node what it wants, or call it."""
        self._current = task
        lists: Lists = {}
        try:
            lists, pending = self._inputs(task)
            if self._must_ask(task, pending):
                asked = [self._settled(call()) for call in self.calls.questions(task, lists, pending)]
                if not self._answered(task, asked):
                    return
            self._complete(task, self.calls.in_lane(task, lists, pending, self._settled))
        except Cancelled:
            self._interrupt(task.place)
        except (Exception, SystemExit) as error:  # the one place where node code in the lane is caught
            self._fail(task.place, error, lists)
        finally:
            self._current = None
            self._leave()

    async def _run_async(self, task: Task) -> None:
        """Ask an async node what it wants, or call it."""
        lists: Lists = {}
        try:
            lists, pending = self._inputs(task)
            if self._must_ask(task, pending):
                asked = [await awaited(call()) for call in self.calls.questions(task, lists, pending)]
                if not self._answered(task, asked):
                    return
            self._complete(task, await self.calls.on_loop(task, lists, pending))
        except Cancelled:
            self._interrupt(task.place)
        except (Exception, SystemExit, asyncio.CancelledError) as error:  # the same on the loop
            self._fail(task.place, error, lists)
        finally:
            self._leave()

    def _start_async(self) -> None:
        """On the loop: start the async nodes that are ready."""
        with self._changed:
            while self.schedule.next_async and not self._stopping:
                task = self.schedule.next_async.popleft()
                self._take(task)
                running = self._loop.create_task(self._run_async(task))
                self._async_tasks.add(running)
                running.add_done_callback(self._async_tasks.discard)

    def _leave(self) -> None:
        with self._changed:
            self.schedule.active -= 1
            self._go_on()

    def _inputs(self, task: Task) -> tuple[Lists, frozenset[str]]:
        with self._changed:
            return self.schedule.values(task), self.schedule.missing(task)

    def _must_ask(self, task: Task, pending: frozenset[str]) -> bool:
        return bool(pending) and not task.asked

    def _answered(self, task: Task, asked: Iterable[Iterable[str] | None]) -> bool:
        """Take in the names of the lazy inputs a node wants; whether it can be called now."""
        names = [name for each in asked for name in each or ()]
        with self._changed:
            ready = self.schedule.answer(task, names)
            self._go_on()
        return ready

    def _complete(self, task: Task, outcomes: list[Outcome[Any]]) -> None:
        if any(each.expand is not None for each in outcomes):
            with self._changed:
                self._lane_work.append(partial(self._expand, task, outcomes))
                self._go_on()
            return
        blocked = bool(outcomes) and all(each.blocked is not None for each in outcomes)
        ui = joined_ui(each.ui for each in outcomes)
        outputs = joined(outcomes, task.spec)
        entry = Entry(outputs, ui, task.seconds, task.spec.name, blocked=blocked, notices=task.notices)
        with self._changed:
            self.schedule.settle(task, entry)
            self._go_on()

    def _expand(self, task: Task, outcomes: list[Outcome[Any]]) -> None:
        """In the lane: join the graphs a node gave to the running one."""
        try:
            with self._changed:
                added = add_nodes(self.graph, task.id, outcomes)
                starts = starts_of(self.graph, added, outcomes, self._around.types)
                fresh = self.schedule.make(starts)
            self._fingerprint(fresh)
            with self._changed:
                self.schedule.enter(fresh, value_key_within(task, self.schedule, self._around.value_key))
                known = self._known(fresh)
                if known:
                    self.emit(events.Cached, nodes=known)
                self.schedule.expand(task, outcomes, fresh)
                self._go_on()
        except GraphError as error:
            self._fail(task.place, error, {})

    def _done(self, task: Task, known: bool) -> None:
        """Tell that a task is done; after its background work if it has some."""
        entry = task.entry
        if entry is None or entry.blocked:
            return
        if known:
            self.cached.append(task.id)
            for message in entry.notices:
                self.emit(events.Noticed, place=task.place, message=message)
            for place, ui in entry.shown or ():
                self._show(
                    replace(place, real_node=task.id, display_node=task.place.display_node), ui, True, 0.0
                )
        elif entry.ui or entry.shown or task.written:
            self._saving.append((task, entry))
        report = partial(self._show, task.place, entry.ui, known, 0.0 if known else task.seconds)
        seat = self._seats.get(task.id)
        if seat is None:
            report()
        elif not seat.when_idle(report):
            self._around.cache.discard(task.key)

    def _show(self, place: Place, ui: Mapping[str, Any] | None, known: bool, seconds: float) -> None:
        if ui is not None:
            self.ui[place.node] = ui
        self.emit(events.Done, place=place, ui=ui, seconds=seconds, cached=known)

    # --- stopping ---

    @property
    def _stopping(self) -> bool:
        return self.interrupted or self.failure is not None

    def _stop_for_cancel(self) -> None:
        with self._changed:
            at = self._current or next(filter(_runs, self.schedule.tasks.values()), None)
            self._interrupt(at.place if at is not None else None)

    def _interrupt(self, place: Place | None) -> None:
        with self._changed:
            if not self._stopping:
                self.interrupted, self.interrupted_at = True, place
                self._wake_all()

    def _fail(self, place: Place, error: BaseException, inputs: Lists) -> None:
        with self._changed:
            if not self._stopping:
                self.failure = Failure(place, error, inputs)
                self._wake_all()

    def _wake_all(self) -> None:
        self._changed.notify_all()
        with contextlib.suppress(
            RuntimeError
        ):  # the job was over, and its loop closed, before the cancel came
            self._loop.call_soon_threadsafe(self._cancel_async)

    def _cancel_async(self) -> None:
        for running in list(self._async_tasks):
            running.cancel()

    def _blamed(self, error: Exception, targets: Sequence[str]) -> Place:
        """The node a person should look at: of a cycle, one that expanded into it, else its first."""
        nodes = error.nodes if isinstance(error, DependencyCycle) else tuple(targets)
        shown = [self.graph.get_display_node_id(each) for each in nodes]
        node_id = next((there for here, there in zip(nodes, shown, strict=True) if here != there), None)
        node_id = node_id or (nodes[0] if nodes else "")
        class_type = self.graph.get_node(node_id)["class_type"] if self.graph.has_node(node_id) else ""
        return Place(node_id, node_id, None, self.graph.get_real_node_id(node_id), class_type)

    async def close(self) -> None:
        """On the loop, after `drive`: end async nodes that are left, and wait for background work."""
        self._cancel_async()
        await asyncio.gather(*self._async_tasks, return_exceptions=True)
        await asyncio.gather(*map(asyncio.wrap_future, self._futures), return_exceptions=True)
        for task, entry in self._saving:
            entry.files = {path: trace_of(path) for path in self._files_of(task, entry)}

    def _files_of(self, task: Task, entry: Entry) -> Iterator[Path]:
        """The files that go with a result: those written, and those shown by it or in its expansion."""
        yield from task.written
        for shown in (entry.ui, *(ui for _, ui in entry.shown or ())):
            yield from self._around.shown_files(shown or {})

    # --- for seats ---

    def _seat_of(self, task: Task) -> NodeSeat:
        return self._seats.get(task.id) or NodeSeat(self, task)

    def seated(self, seat: NodeSeat) -> None:
        """The task of this seat has background work."""
        self._seats[seat.task.id] = seat

    def wants_previews(self) -> bool:
        """Whether somebody asks for glimpses of what is unfinished."""
        return self._around.previews()

    def submit(self, work: Callable[[], T]) -> Future[T]:
        """Start work beside the lane."""
        future = self._around.background.submit(work)
        self._futures.append(future)
        return future

    def went_wrong_behind(self, task: Task, error: BaseException) -> None:
        """Background work of a task failed: the job fails, and the task's result is not kept."""
        self._around.cache.discard(task.key)
        self._fail(task.place, error, {})

    def wrote(self, task: Task, path: Path) -> None:
        """A task has written a file, which goes with the results of all that it is inside of."""
        inside: Task | None = task
        while inside is not None:
            inside.written |= {path}
            inside = self.schedule.tasks.get(inside.place.parent_node or "")

    def in_lane(self, work: Callable[[], T]) -> Awaitable[T]:
        """On the loop: run work in the lane."""
        future: asyncio.Future[T] = self._loop.create_future()
        with self._changed:
            self._lane_work.append(partial(settle_future, future, work))
            self._changed.notify_all()
        return future

    async def need(self, task: Task, name: str) -> list[Any]:
        """On the loop: compute a lazy input of a running task."""
        ready = asyncio.Event()

        def wake() -> None:
            self._loop.call_soon_threadsafe(ready.set)

        with self._changed:
            self.schedule.need(task, name, wake)
            self._go_on()
        started = time.perf_counter()
        await ready.wait()
        task.seconds -= time.perf_counter() - started
        with self._changed:
            return self.schedule.value(*task.lazy_links[name])


def _runs(task: Task) -> bool:
    return task.state is State.RUNNING
