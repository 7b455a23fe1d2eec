"""Which node is next: a state machine over a run's tasks, without threads and without recursion.

It is told what happened (`settle`, `answer`, `expand`) and keeps two lists of what can go on: `next_sync`
and `next_async`. What is not needed for the targets is never started: a hit in the cache needs nothing
above it. A value is let go when no pending task needs it. Callers keep two threads from being in here at
once.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from execution.declare.node import NodeType
from execution.declare.outcome import Outcome
from execution.errors import DependencyCycle, GraphError
from execution.run.cache import Cache, Entry
from execution.run.graph import PLAIN, Graph, is_link, ordered, ordered_with_cycles
from execution.run.keys import ValueKey
from execution.run.mapping import joined, joined_ui
from execution.run.task import State, Task, make_task

OnDone = Callable[[Task, bool], None]
"""Told of each task that is done, and whether its result was there already."""


NO_NAMES: frozenset[str] = frozenset()


class Schedule:
    """The tasks of one run."""

    def __init__(
        self,
        graph: Graph,
        types: Mapping[str, NodeType],
        cache: Cache,
        on_done: OnDone,
        keeps: Callable[[str], bool] = lambda node_id: False,
    ) -> None:
        """Start with no task; nodes that `keeps` says yes to do not let go of their values."""
        self.graph, self.types, self.cache = graph, types, cache
        self.tasks: dict[str, Task] = {}
        self.next_async: deque[Task] = deque()
        self.open: set[str] = set()
        self.active = 0
        self.stalled = 0
        self._on_done = on_done
        self._keeps = keeps
        self._next_sync: list[tuple[tuple[int, int], str]] = []
        self._leaders: dict[bytes, Task] = {}
        self._generation = 0
        self._watching = False

    # --- building ---

    def make(self, starts: Iterable[str]) -> list[Task]:
        """Make the tasks of `starts` and all above them that do not exist yet, sources first; not keyed yet.

        Raises:
            DependencyCycle, GraphError: they cannot run.
        """
        fresh: list[Task] = []

        def sources(node_id: str) -> Iterable[str]:
            if node_id in self.tasks:
                return ()
            task = self.tasks[node_id] = make_task(node_id, self.graph, self.types)
            fresh.append(task)
            return task.all_sources

        try:
            order = ordered(starts, sources)
        except GraphError:
            for task in fresh:
                del self.tasks[task.id]
            raise
        made = {task.id for task in fresh}
        return [self.tasks[node_id] for node_id in order if node_id in made]

    def enter(self, fresh: Sequence[Task], value_key: ValueKey) -> None:
        """Key new tasks, whose fingerprints are known, and count who needs whom."""
        for index, task in enumerate(fresh):
            if self._generation:
                task.names = {}
                task.set_key(self.tasks, noted(value_key, task.names))
            else:
                task.set_key(self.tasks, value_key)
            task.order = (-self._generation, index)
            task.needed += self._keeps(task.id)
            self._hold(task)
            self._watching = self._watching or task.spec.reads_graph
        if self._watching:
            self._watch_new(fresh)
        self._generation += 1

    def _hold(self, task: Task) -> None:
        if not task.holds:
            task.holds = True
            for node_id in task.sources:
                self.tasks[node_id].needed += 1

    # --- going on ---

    def want(self, targets: Iterable[str]) -> None:
        """The run is over when these are done."""
        targets = list(targets)
        self.open.update(node_id for node_id in targets if self.tasks[node_id].state is not State.DONE)
        self._start(list(reversed(targets)))

    @property
    def finished(self) -> bool:
        """Whether all targets are done."""
        return not self.open

    @property
    def stuck(self) -> bool:
        """Whether targets are open but nothing can go on: tasks wait for one another."""
        idle = not self._next_sync and not self.next_async and self.active == self.stalled
        return idle and not self.finished

    def pop_sync(self) -> Task | None:
        """The next task to call in the lane."""
        return self.tasks[heapq.heappop(self._next_sync)[1]] if self._next_sync else None

    def cycle(self) -> DependencyCycle:
        """What keeps a stuck run from going on."""

        def waited_for(node_id: str) -> list[str]:
            task = self.tasks[node_id]
            return [*(task.outputs_from if task.state is State.EXPANDED else task.all_sources)]

        rounds = ordered_with_cycles(sorted(self.open), waited_for)[1]
        return DependencyCycle(rounds[0] if rounds else sorted(self.open))

    def _start(self, pending: list[str]) -> None:
        """Look tasks up in the cache, or make them wait for what they need; `pending` is a stack."""
        while pending:
            task = self.tasks[pending.pop()]
            if task.state is not State.NEW:
                continue
            task.state = State.WAITING
            self._hold(task)
            entry = self._known(task)
            if entry is not None:
                self._settle_all(task, entry, True)
            elif not self._followed(task) and not self._wait_for(task, task.strong, pending):
                self._ready(task)

    def _known(self, task: Task) -> Entry | None:
        return None if task.volatile else self.cache.get(task.key)

    def _followed(self, task: Task) -> bool:
        """Whether another task with the same key is on its way, which this one then waits for."""
        if not self.cache.shares:
            return False
        leader = self._leaders.setdefault(task.key, task)
        if leader is task:
            return False
        if leader.state is State.DONE:
            self._leaders[task.key] = task
            return False
        leader.followers += (task,)
        return True

    def _wait_for(self, task: Task, sources: Iterable[str], pending: list[str]) -> bool:
        """Have `task` woken when all of `sources` are done; whether it has to wait at all."""
        for node_id in sources:
            source = self.tasks[node_id]
            if source.state is State.DONE and source.entry is None:
                self._revive(source)
            if source.state is not State.DONE:
                source.waiters.append(task)
                task.waits += 1
                pending.append(node_id)
        return task.waits > 0

    def _revive(self, task: Task) -> None:
        """Get back a value that was let go, from the cache or by running again."""
        task.entry = self._known(task)
        if task.entry is None:
            task.asked, task.revealed, task.seconds = False, frozenset(), 0.0
            self._move(task, State.NEW)

    def _ready(self, task: Task) -> None:
        task.state = State.READY
        if task.node_type.asynchronous:
            self.next_async.append(task)
        else:
            heapq.heappush(self._next_sync, (task.order, task.id))

    # --- inputs ---

    def missing(self, task: Task) -> frozenset[str]:
        """Names of the linked lazy inputs that the task has not asked for."""
        return frozenset(task.lazy_links) - task.revealed if task.spec.lazy_inputs else NO_NAMES

    def values(self, task: Task) -> dict[str, list[Any]]:
        """For each input the list of its values: links followed, raw ones as they are, lazy ones or `[None]`.

        Raises:
            GraphError: a link leads to an output that gave nothing.
        """
        lists = {name: [value] for name, value in task.constants.items()}
        lazy, raw = task.spec.lazy_inputs, task.spec.raw_inputs
        for name, (node_id, slot) in task.links.items():
            if name in raw:
                lists[name] = [[node_id, slot]]
            elif name in lazy and name not in task.revealed:
                lists[name] = [None]
            else:
                lists[name] = self.value(node_id, slot)
        return lists

    def value(self, node_id: str, slot: int) -> list[Any]:
        """The values of one output.

        Raises:
            GraphError: the node gave no such output.
        """
        source = self.tasks[node_id]
        if source.entry is None or not 0 <= slot < len(source.entry.outputs):
            raise GraphError(f"node {node_id} ({source.spec.name}) gave no output {slot}")
        return source.entry.outputs[slot]

    # --- what happened ---

    def answer(self, task: Task, names: Iterable[str]) -> bool:
        """A task said which lazy inputs it wants; True when it wants no more and can be called."""
        fresh = self.missing(task).intersection(names)
        if not fresh:
            task.asked = True
            return True
        task.revealed |= fresh
        task.state = State.WAITING
        pending: list[str] = []
        sources = dict.fromkeys(task.lazy_links[name][0] for name in sorted(fresh))
        if not self._wait_for(task, sources, pending):
            self._ready(task)
        self._start(pending)
        return False

    def need(self, task: Task, name: str, callback: Callable[[], None]) -> None:
        """A running task awaits a lazy input: call back when its value is at hand."""
        source = self.tasks[task.lazy_links[name][0]]
        if source.state is State.DONE and source.entry is None:
            self._revive(source)
        if source.state is State.DONE:
            callback()
            return
        self.stalled += 1
        source.callbacks += (callback,)
        self._start([source.id])

    def settle(self, task: Task, entry: Entry) -> None:
        """A task has its result."""
        self._settle_all(task, entry, False)

    def expand(self, task: Task, outcomes: list[Outcome[Any]], fresh: Sequence[Task]) -> None:
        """A task gave graphs to go on with, whose new tasks have been entered."""
        task.outcomes, task.shown = tuple(_without_graph(each) for each in outcomes), []
        task.outputs_from = links_out(outcomes)
        for node_id in task.outputs_from:
            self.tasks[node_id].needed += 1
        self._move(task, State.EXPANDED)
        pending: list[str] = []
        waits = self._wait_for(task, task.outputs_from, pending)
        self._let_go_of_sources(task)
        self._strip(task)
        self.want(each.id for each in fresh if each.spec.output_node)
        self._start(pending)
        if not waits:
            self._settle_all(task, self._gathered(task), False)

    def _gathered(self, task: Task) -> Entry:
        """The result of an expanded task: its own values, and those of the nodes it pointed to."""
        task.volatile = task.volatile or any(self.tasks[each].volatile for each in task.outputs_from)
        outputs = joined(task.outcomes, task.spec, lambda link: self.value(str(link[0]), int(link[1])))
        ui = joined_ui(each.ui for each in task.outcomes)
        return Entry(outputs, ui, task.seconds, task.spec.name, task.shown)

    def _settle_all(self, task: Task, entry: Entry, known: bool) -> None:
        """Take in a result, and all that become known by it."""
        pending = deque([(task, entry, known)])
        while pending:
            task, entry, known = pending.popleft()
            task.entry = entry
            self._move(task, State.DONE)
            if not known:
                self._keep_result(task, entry)
            self._note_shown(task, entry)
            self._on_done(task, known)
            pending += [(follower, entry, True) for follower in task.followers]
            pending += [(each, self._gathered(each), False) for each in self._woken(task)]
            task.followers, task.outcomes = (), ()
            self.open.discard(task.id)
            if self.open:
                self._let_go(task)

    def _keep_result(self, task: Task, entry: Entry) -> None:
        if not task.volatile and not entry.blocked:
            self.cache.put(task.key, entry)
        parent = self.tasks.get(task.place.parent_node or "")
        if parent is not None:
            parent.seconds += task.seconds

    def _note_shown(self, task: Task, entry: Entry) -> None:
        """Let a node of the prompt remember what the output nodes in its expansion show."""
        if entry.ui is not None and task.place.parent_node is not None:
            root = self.tasks[task.place.real_node]
            if root.shown is not None:
                root.shown.append((task.place, entry.ui))

    def _woken(self, task: Task) -> list[Task]:
        """Tell those who waited; gives the expanded ones among them that have all they need."""
        complete = []
        for waiter in task.waiters:
            waiter.waits -= 1
            if waiter.waits == 0 and waiter.state is State.EXPANDED:
                complete.append(waiter)
            elif waiter.waits == 0:
                self._ready(waiter)
        self.stalled -= len(task.callbacks)
        for callback in task.callbacks:
            callback()
        task.waiters, task.callbacks = [], ()
        return complete

    # --- letting go ---

    def _let_go(self, task: Task) -> None:
        self._let_go_of_sources(task)
        for node_id in task.outputs_from:
            self._not_needed(self.tasks[node_id], [])
        self._drop(task)

    def _let_go_of_sources(self, task: Task) -> None:
        """A task no longer needs its sources, and what only they might have needed is not needed either."""
        pending = [task]
        while pending:
            current = pending.pop()
            if current.holds:
                current.holds = False
                for node_id in current.sources:
                    self._not_needed(self.tasks[node_id], pending)

    def _not_needed(self, source: Task, pending: list[Task]) -> None:
        source.needed -= 1
        if source.needed == 0 and source.state is State.NEW:
            pending.append(source)
        self._drop(source)

    def _drop(self, task: Task) -> None:
        if task.needed == 0 and task.watched == 0 and task.state is State.DONE:
            task.entry = None
            self._strip(task)

    def _strip(self, task: Task) -> None:
        """Let go of what an expansion handed to a task as constants; nobody can name the task any more."""
        came_by_expansion = task.order[0] < 0
        if came_by_expansion and task.watched == 0:
            task.names = {}
            task.constants = {
                name: value for name, value in task.constants.items() if isinstance(value, PLAIN)
            }
            self.graph.strip(task.id)

    # --- what expansions may still name ---

    def _watch_new(self, fresh: Sequence[Task]) -> None:
        """Count, from what follows to what is above, how many may still lead to an expansion naming it."""
        uncounted = {task.id for task in fresh}
        for task in reversed(fresh):
            if task.is_live:
                self._became_live([task], uncounted)

    def _move(self, task: Task, state: State) -> None:
        was_live = task.is_live
        task.state = state
        if was_live is not task.is_live:
            (self._became_dead if was_live else self._became_live)([task])

    def _became_live(self, pending: list[Task], uncounted: Collection[str] = ()) -> None:
        while pending:
            for node_id in pending.pop().all_sources:
                source = self.tasks[node_id]
                if not source.is_live and node_id not in uncounted:
                    pending.append(source)
                source.watched += 1

    def _became_dead(self, pending: list[Task]) -> None:
        while pending:
            for node_id in pending.pop().all_sources:
                source = self.tasks[node_id]
                source.watched -= 1
                self._drop(source)
                if not source.is_live:
                    pending.append(source)


def noted(value_key: ValueKey, names: dict[int, str]) -> ValueKey:
    """The same value key, which writes down the names it gives."""

    def named(value: Any) -> str | None:
        name = value_key(value)
        if name is not None:
            names[id(value)] = name
        return name

    return named


def _without_graph(outcome: Outcome[Any]) -> Outcome[Any]:
    """An outcome whose graph has been joined, so that it need not hold what was in it."""
    return outcome if outcome.expand is None else replace(outcome, expand={})


def links_out(outcomes: Iterable[Outcome[Any]]) -> tuple[str, ...]:
    """The nodes that outcomes with an expansion point to."""
    expanding = (each for each in outcomes if each.expand is not None)
    links = (value for each in expanding for value in each.outputs if is_link(value))
    return tuple(dict.fromkeys(str(link[0]) for link in links))
