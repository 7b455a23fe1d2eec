"""Running prompts: an engine has node types, a cache and one lane, in which sync nodes run one after another.

    engine = Engine(registry, Budgeted(2 * 2**30))
    result = engine.run_sync(Job("1", prompt))
    result.ui["9"]["images"]

Jobs queue for the lane; two engines can live in one process.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Literal

from execution import events
from execution.cancel import CancelToken
from execution.check.explain import Memory, explanation
from execution.check.validation import Validation, validate_with
from execution.declare.registry import Registry
from execution.declare.run import AloneSeat
from execution.events import Emit, Status
from execution.files.folders import Folders
from execution.job import Job
from execution.run.cache import Budgeted, Cache
from execution.run.calling import Calls, Rescue, awaited
from execution.run.emitter import Emitter, Meter, ignore
from execution.run.failure import Failure
from execution.run.graph import MOST_NODES, Graph
from execution.run.keys import ValueKey, no_name
from execution.run.running import Running, ShownFiles, Surroundings
from execution.run.schedule import Schedule

BACKGROUND_THREADS = 4


Keep = Collection[str] | Literal["all"] | None
"""The nodes whose outputs shall be in a result; they are targets, too. None: just the targets."""


@dataclass(frozen=True)
class Result:
    """What became of a job.

    outputs: by node id, for each output the list of its values. ui: what nodes show, by the id of the
    node, also of nodes in expansions; their places are in `Done` events. executed: the nodes that were
    called and gave something, in order. cached: those whose result was there already.
    """

    status: Status
    outputs: Mapping[str, tuple[list[Any], ...]]
    ui: Mapping[str, Mapping[str, Any]]
    executed: tuple[str, ...]
    cached: tuple[str, ...]
    failure: Failure | None = None

    @property
    def error(self) -> BaseException | None:
        """What the node raised that ended the job."""
        return None if self.failure is None else self.failure.error


class Engine:
    """Runs jobs, one at a time."""

    def __init__(
        self,
        registry: Registry,
        cache: Cache | None = None,
        *,
        emit: Emit = ignore,
        memory: Meter | None = None,
        value_key: ValueKey = no_name,
        rescue: Rescue = lambda error: False,
        previews: Callable[[], bool] = lambda: True,
        most_nodes: int = MOST_NODES,
        shown_files: ShownFiles = lambda shown: (),
    ) -> None:
        """Build an engine; nothing runs yet.

        emit: takes each event. memory: bytes in use, put on each event. value_key: names values the
        engine does not know, for keys. rescue: asked when a node raised whether it is worth one more try.
        previews: whether anybody asks for glimpses of what is unfinished. shown_files: the files behind what
        a node shows; a result whose files are gone or others does not count.
        """
        self.registry, self.most_nodes = registry, most_nodes
        self.cache = Budgeted() if cache is None else cache
        self._emit, self._memory = emit, memory
        self._lane = ThreadPoolExecutor(1, "lane")
        self._background = ThreadPoolExecutor(BACKGROUND_THREADS, "background")
        self._ran = Memory()
        self._around = Surroundings(
            registry.types,
            self.cache,
            self._background,
            value_key,
            rescue,
            previews,
            self._ran.remember,
            shown_files,
        )

    async def run(self, job: Job, *, cancel: CancelToken | None = None, keep: Keep = None) -> Result:
        """Run a job; never raises for what happens in a node. With `keep` "all" and no targets all nodes
        are wanted.
        """
        cancel = cancel or CancelToken()
        loop = asyncio.get_running_loop()
        emit = Emitter(job.id, self._emit, self._memory)
        graph = Graph(job.prompt, self.most_nodes)
        targets, keeps = self._wanted(job, keep)
        running = Running(self._around, job, graph, cancel, emit, keeps, loop)
        started = loop.time()
        driving = loop.run_in_executor(self._lane, running.drive, targets)
        try:
            await asyncio.shield(driving)
        except asyncio.CancelledError:
            cancel.cancel()
            await driving
            raise
        finally:
            await running.close()
        result = _result(running, keeps)
        self._say_end(result, running, emit, loop.time() - started)
        return result

    def run_sync(self, job: Job, *, cancel: CancelToken | None = None, keep: Keep = None) -> Result:
        """Run a job from a thread that has no event loop."""
        return asyncio.run(self.run(job, cancel=cancel, keep=keep))

    def explain(
        self,
        prompt: Mapping[str, Any],
        targets: Collection[str] | None = None,
        extra_data: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        """What would run, and why; from a thread that has no event loop, also while a job runs.

        Gives `{"nodes": {id: {"state": …, "reasons": […], "problems": […]}}}`, see `execution.explain`.
        """
        job = Job("", prompt, targets, extra_data or {})
        validation, schedule = self._keyed(job)
        wanted, _ = self._wanted(job)
        return explanation(prompt, validation, schedule.tasks, wanted, self.cache, self._ran)

    def look(self, prompt: Mapping[str, Any], node_id: str) -> tuple[list[Any], ...] | None:
        """What a node of a prompt gave, if it is still kept; runs nothing. From a thread like `explain`."""
        return self.kept(prompt)(node_id)

    def kept(self, prompt: Mapping[str, Any]) -> Callable[[str], tuple[list[Any], ...] | None]:
        """The same for any of the nodes of a prompt, which is read once."""
        _, schedule = self._keyed(Job("", prompt))

        def outputs(node_id: str) -> tuple[list[Any], ...] | None:
            task = schedule.tasks.get(node_id)
            entry = None if task is None or task.volatile else self.cache.get(task.key)
            return None if entry is None else entry.outputs

        return outputs

    def _keyed(self, job: Job) -> tuple[Validation, Schedule]:
        """The sound nodes of a prompt with their keys."""
        with asyncio.Runner() as runner:
            folders = self.registry.provide.get(Folders)
            validation = runner.run(validate_with(job.prompt, self.registry, None, folders, any_node=True))
            graph = Graph(job.prompt)
            schedule = Schedule(graph, self.registry.types, self.cache, lambda task, known: None)
            calls = Calls(
                job, graph, CancelToken(), Emitter(""), lambda error: False, lambda task: AloneSeat()
            )
            tasks = schedule.make(validation.outputs)
            for task in tasks:
                task.fingerprint = calls.fingerprint(task, lambda value: runner.run(awaited(value)))
        schedule.enter(tasks, self._around.value_key)
        return validation, schedule

    def _wanted(self, job: Job, keep: Keep = None) -> tuple[list[str], Callable[[str], bool]]:
        targets = job.targets
        if targets is None and keep == "all":
            targets = list(job.prompt)
        if targets is None:
            targets = [node_id for node_id, node in job.prompt.items() if self._shows(node)]
        if keep == "all":
            return list(targets), job.prompt.__contains__
        kept = frozenset(targets if keep is None else keep)
        return list(dict.fromkeys([*targets, *(keep or ())])), kept.__contains__

    def _shows(self, node: Mapping[str, Any]) -> bool:
        node_type = self.registry.types.get(node.get("class_type", ""))
        return node_type is not None and node_type.spec.output_node

    def _say_end(self, result: Result, running: Running, emit: Emitter, seconds: float) -> None:
        if result.failure is not None:
            done = tuple(each.id for each in running.schedule.tasks.values() if each.entry is not None)
            emit(events.Failed, **result.failure.facts(), current_outputs=done, executed=result.executed)
        elif result.status == "interrupted":
            emit(events.Interrupted, place=running.interrupted_at, executed=result.executed)
        emit(events.Finished, status=result.status, seconds=seconds)

    def close(self) -> None:
        """End the engine's threads; a job that runs is finished first."""
        self._lane.shutdown()
        self._background.shutdown()

    def __enter__(self) -> Engine:
        """Use the engine in a `with`, which closes it."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close."""
        self.close()


def _result(running: Running, keeps: Callable[[str], bool]) -> Result:
    status: Status = "success"
    if running.failure is not None:
        status = "error"
    elif running.interrupted:
        status = "interrupted"
    return Result(
        status=status,
        outputs=dict(_kept(running, keeps)),
        ui=dict(running.ui),
        executed=tuple(running.calls.executed),
        cached=tuple(running.cached),
        failure=running.failure,
    )


def _kept(running: Running, keeps: Callable[[str], bool]) -> Iterator[tuple[str, tuple[list[Any], ...]]]:
    """The outputs that should be in the result, from the cache where nothing needed them."""
    for task in running.schedule.tasks.values():
        if keeps(task.id):
            entry = task.entry or (None if task.volatile else running.schedule.cache.get(task.key))
            if entry is not None:
                yield task.id, entry.outputs
