"""The queue at work: which job runs next on which worker, what is told of it, how it is cancelled and what
follows a death.
"""

import asyncio
import heapq
import logging
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from execution.events import Failed, Finished, Interrupted, PreviewReady, Progress, to_json
from execution.wire.messages import (
    Broadcast,
    CancelJob,
    EventSent,
    JobDone,
    Listening,
    Loaded,
    Message,
)
from server import frames
from server.endings import Endings
from server.frames import Frame, Picture, Translator
from server.jobs import MOST_ATTEMPTS, Outcome, Queued, Status, died_twice, error_of
from server.journal import lenient
from server.progress import Tally
from server.sockets import Hub, do_nothing
from server.specs import Catalogue
from server.store import Store, Waiting
from server.watching import Watchers
from server.workers import Crew, State, Worker

logger = logging.getLogger(__name__)
EVENTS_SECONDS = 0.2
STATUS_SECONDS = 0.02
RETRY_SECONDS = 1.0
STUBBORN_SECONDS = 5.0
"""After this long without an effect, a second cancel ends the worker process itself."""
ENDS = (Failed, Interrupted, Finished)
LAST_WORDS = frozenset({"execution_success", "execution_error", "execution_interrupted"})
"""Frames that say how a job ended. Who hears them reads the history, so they wait until it is written."""


@dataclass
class Running:
    """A job in the hands of a worker. `base` is added to its event numbers, so that a retry goes on
    counting.
    """

    job: Queued
    place: Waiting
    worker: Worker
    base: int
    translator: Translator
    cancelled: float | None = None
    unsaved: list[tuple[int, str]] = field(default_factory=list)
    live: Mapping[str, Any] | None = None
    """The latest progress, which is not kept in the store."""
    tally: Tally = field(default_factory=Tally)
    last_words: list[Frame] = field(default_factory=list)

    @property
    def attempt(self) -> int:
        return self.job.attempts + 1


@dataclass(frozen=True)
class Standing:
    """Where a job is that has not ended. `position` is 1 for the next one to run, None once it runs."""

    is_running: bool
    is_cancelled: bool = False
    position: int | None = None
    progress: Mapping[str, Any] | None = None
    outputs: Mapping[str, Any] = field(default_factory=dict)


class Scheduler:
    """Runs pending jobs in order, one at a time on each worker."""

    def __init__(self, store: Store, hub: Hub, catalogue: Catalogue) -> None:
        self._store = store
        self._hub = hub
        self._catalogue = catalogue
        self.crew: Crew
        self.loaded: Callable[[], None] = do_nothing
        """Called when a worker has its node types."""
        self.ended: Callable[[str, Mapping[str, Any]], None] = ignore
        """Called with a job's id and outputs when they are written."""
        self.watchers = Watchers()
        self._pending: list[Waiting] = []
        self._waiting: dict[str, Waiting] = {}
        self._starting: dict[str, bool] = {}
        self._running: dict[str, Running] = {}
        self._ending: dict[str, Running] = {}
        """Jobs that have ended and whose end is on its way to the disk."""
        self._secrets: dict[str, Mapping[str, Any]] = {}
        self._next_number = 0.0
        self._wake = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._sending: set[asyncio.Task[None]] = set()
        self._endings = Endings(store)
        self._status_due = False

    async def open(self, crew: Crew) -> None:
        """Take up the queue that the store kept, and begin."""
        recovered = await self._store.recover()
        for waiting in recovered.pending:
            self._push(waiting)
        for job in recovered.again:
            logger.warning("Job %s ran when the server was killed; it is the first to run now.", job)
        for job in recovered.given_up:
            logger.error("Job %s ran when the server was killed, twice; it is not tried again.", job)
        self._next_number = recovered.next_number
        self._hub.changed = self.watchers.changed = self._tell_listening
        self.crew = crew
        self._tasks = [asyncio.create_task(self._assign_all()), asyncio.create_task(self._save_events())]

    async def close(self) -> None:
        """Stop assigning; what runs is noted as interrupted."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for running in list(self._running.values()):
            self._flush(running)
            running.translator.broken_off("The server was stopped.")
            await self._endings.write(running.job.id, running.translator.outcome("server stopped"))

    # the queue

    @property
    def remaining(self) -> int:
        """Jobs that wait or run, or whose end is not in the history yet."""
        return len(self._waiting) + len({*self._running, *self._starting, *self._ending})

    def take_number(self, front: bool = False) -> float:
        """A place at the end of the queue, or before its front."""
        number, self._next_number = self._next_number, self._next_number + 1
        return -number if front else number

    async def add(self, job: Queued) -> None:
        """Journal a job and queue it. `IdTaken` when its id waits or runs already."""
        waiting = await self._store.add(job)
        if job.secrets:
            self._secrets[job.id] = job.secrets
        self._push(waiting)
        self._changed()

    def _push(self, waiting: Waiting) -> None:
        self._waiting[waiting.id] = waiting
        heapq.heappush(self._pending, waiting)

    def _pop(self) -> Waiting | None:
        while self._pending:
            waiting = heapq.heappop(self._pending)
            if self._waiting.get(waiting.id) == waiting:
                del self._waiting[waiting.id]
                return waiting
        return None

    def pending_ids(self) -> list[str]:
        """Ids of the jobs that wait, in order."""
        return [waiting.id for waiting in sorted(self._waiting.values())]

    def running_ids(self) -> list[str]:
        """Ids of the jobs that run, the ones just starting too."""
        return list(dict.fromkeys((*self._running, *self._starting)))

    async def drop(self, jobs: Iterable[str]) -> int:
        """Take jobs out of the queue, those that wait only; how many that were."""
        dropped = [job for job in jobs if self._waiting.pop(job, None) is not None]
        for job in dropped:
            self._secrets.pop(job, None)
            await self._endings.write(job, Outcome(Status.CANCELLED, why="cancelled while waiting"))
        if dropped:
            self._changed()
        return len(dropped)

    async def cancel(self, job: str) -> bool:
        """Stop a job wherever it is; whether there was one. No other job is touched."""
        if job in self._starting:
            self._starting[job] = True
            return True
        running = self._running.get(job)
        if running is None:
            return await self.drop([job]) > 0
        now = time.monotonic()
        if running.cancelled is not None and now - running.cancelled > STUBBORN_SECONDS:
            logger.warning("Job %s does not stop; its worker is ended.", job)
            running.worker.kill()
        running.cancelled = running.cancelled or now
        self.watchers.wake(job)
        await running.worker.send(CancelJob(job))
        return True

    # running

    async def _assign_all(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            while (worker := self.crew.idle()) is not None and (waiting := self._pop()) is not None:
                worker.state = State.BUSY
                self._starting[waiting.id] = False
                try:
                    await self._start(waiting, worker)
                except sqlite3.Error as error:
                    logger.error("Job %s could not be started, and waits: %s", waiting.id, error)
                    worker.state = State.IDLE
                    self._push(waiting)
                    await asyncio.sleep(RETRY_SECONDS)
                finally:
                    self._starting.pop(waiting.id, None)

    async def _start(self, waiting: Waiting, worker: Worker) -> None:
        job = await self._store.load(waiting.id)
        if job is None:
            worker.state = State.IDLE
            return
        base = await self._store.start(job.id, time.time())
        running = Running(job, waiting, worker, base, Translator(job.id))
        if worker.state is State.DEAD:
            await self._requeue(running, "its worker died before it began")
            return
        worker.job = job.id
        self._running[job.id] = running
        self._tell_status()  # before the job's own first message, as ComfyUI does
        await worker.send(Listening(self._glimpses_are_wanted(job)))
        self.watchers.wake(job.id)
        await worker.send(job.with_secrets(self._secrets.get(job.id, {})))
        if self._starting.get(job.id):
            await self.cancel(job.id)

    async def worker_loaded(self, worker: Worker, loaded: Loaded) -> None:
        """See `workers.Employer`."""
        if await self._catalogue.replace(loaded):
            self._hub.send(frames.specs(loaded.failures))
        self.loaded()
        self._wake.set()

    async def worker_said(self, worker: Worker, message: Message) -> None:
        """See `workers.Employer`."""
        if isinstance(message, EventSent):
            running = self._running.get(message.event.job)
            if running is not None:
                self._tell(running, message)
        elif isinstance(message, JobDone):
            await self._done(worker, message)
        elif isinstance(message, Broadcast):
            self._broadcast(message)

    async def worker_died(self, worker: Worker, why: str) -> None:
        """See `workers.Employer`. Its job is told why; it runs once more, unless it has killed twice or was
        cancelled.
        """
        running = self._running.pop(worker.job, None) if worker.job else None
        self._hub.send(frames.died(worker.pid, why))
        if running is None:
            return
        self._flush(running)
        if running.cancelled is not None:
            running.last_words.append(running.translator.broken_off(f"cancelled; {why}"))
            await self._finish(running, "cancelled")
        elif running.attempt < MOST_ATTEMPTS:
            await self._requeue(running, why)
        else:
            nodes = running.translator.running_nodes
            error = died_twice("worker", why, running.job.prompt, nodes[-1] if nodes else None)
            running.last_words.append(running.translator.failed(error, time.time()))
            await self._finish(running, f"quarantined: {why}")

    async def _requeue(self, running: Running, why: str) -> None:
        job = running.job
        try:
            await self._store.requeue(job.id, why)
        except sqlite3.Error as error:  # it runs all the same; a restart would find it as interrupted
            logger.error("The journal does not say that job %s waits again: %s", job.id, error)
        self._push(running.place)
        self._send(running, frames.retried(job.id, why))
        self._changed()

    def _tell(self, running: Running, sent: EventSent) -> None:
        """Pass an event on to those who listen, and keep it."""
        event, job = sent.event, running.job
        for frame in running.translator.frames(event):
            if isinstance(frame, Picture):
                self._hub.show(frame, job.session, job.client_id, job.wants_glimpses)
                self.watchers.show(frame)
            elif isinstance(event, ENDS) and frame.type in LAST_WORDS:
                running.last_words.append(frame)
            else:
                self._hub.send(frame, job.session, job.client_id)
        if isinstance(event, PreviewReady):
            return
        running.tally.take(event)
        self.watchers.wake(job.id)
        shape, _ = to_json(event)
        shape["number"] += running.base
        if isinstance(event, Progress):
            running.live = shape
        else:
            running.unsaved.append((shape["number"], lenient(shape)))

    async def _done(self, worker: Worker, done: JobDone) -> None:
        worker.job, worker.state = None, State.IDLE
        running = self._running.pop(done.job, None)
        if running is None:
            self._wake.set()
            return
        translator = running.translator
        if done.error is not None and translator.error is None:
            error = error_of("EngineError", done.error)
            running.last_words.append(translator.failed(error, time.time()))
        translator.status = Status(done.status)
        await self._finish(running)
        self._wake.set()

    async def _finish(self, running: Running, why: str = "") -> None:
        self._flush(running)
        job = running.job
        self._secrets.pop(job.id, None)
        self._ending[job.id] = running
        try:
            await self._endings.write(job.id, running.translator.outcome(why))
        finally:
            del self._ending[job.id]
        self.ended(job.id, running.translator.outputs)
        for frame in running.last_words:
            self._send(running, frame)
        self._changed()
        self._tell_status()  # before the job's own last message, as ComfyUI does
        self._send(running, frames.ended(job.id))

    def _flush(self, running: Running) -> None:
        if running.unsaved:
            self._store.record(running.job.id, running.unsaved)
            running.unsaved = []

    async def _save_events(self) -> None:
        while True:
            await asyncio.sleep(EVENTS_SECONDS)
            for running in self._running.values():
                self._flush(running)
            await self._endings.write_again()

    # telling

    def _send(self, running: Running, frame: Frame) -> None:
        self._hub.send(frame, running.job.session, running.job.client_id)

    def _broadcast(self, message: Broadcast) -> None:
        """A pack's own message."""
        if message.payload:
            self._hub.send_bytes(frames.binary(int(message.name), message.payload), message.client)
            return
        frame = frames.of_pack(message.name, message.body, to_all=message.client is None)
        self._hub.send(frame, self._hub.session_of(message.client), message.client)

    def _changed(self) -> None:
        """The queue changed: look for work, and tell everybody, a moment later, how long it is."""
        self._wake.set()
        self.watchers.wake_all()
        if not self._status_due:
            self._status_due = True
            asyncio.get_running_loop().call_later(STATUS_SECONDS, self._tell_status_if_due)

    def _tell_status_if_due(self) -> None:
        if self._status_due:
            self._tell_status()

    def _tell_status(self) -> None:
        self._status_due = False
        self._hub.send(frames.status(self.remaining))

    def _tell_listening(self) -> None:
        """Somebody came or left: glimpses of what is unfinished are made only for those who ask."""
        for running in self._running.values():
            asked = self._glimpses_are_wanted(running.job)
            sending = asyncio.create_task(running.worker.send(Listening(asked)))
            self._sending.add(sending)
            sending.add_done_callback(self._sending.discard)

    def _glimpses_are_wanted(self, job: Queued) -> bool:
        told = self._hub.wants_glimpses(job.session, job.client_id, job.wants_glimpses)
        return told or self.watchers.looks(job.id)

    def standing(self, job: str) -> Standing | None:
        """Where a job is; None when it does not wait or run any more."""
        running = self._running.get(job) or self._ending.get(job)
        if running is not None:
            cancelled = running.cancelled is not None
            outputs = dict(running.translator.outputs)
            return Standing(True, cancelled, None, running.tally.to_json(), outputs)
        if job in self._starting:
            return Standing(True, self._starting[job])
        place = self._waiting.get(job)
        if place is None:
            return None
        return Standing(False, position=1 + sum(other < place for other in self._waiting.values()))

    def snapshot(self, session: str, client: str) -> Iterator[Frame]:
        """What a client that connects needs to know of its running jobs."""
        for running in self._running.values():
            if (running.job.session, running.job.client_id) == (session, client):
                yield from running.translator.snapshot()

    def live(self, job: str) -> Mapping[str, Any] | None:
        """The latest progress of a running job, as an event."""
        running = self._running.get(job)
        return running.live if running else None

    async def keep_events(self, job: str) -> None:
        """Have all events of a job so far in the store."""
        running = self._running.get(job)
        if running is not None:
            self._flush(running)
        await self._store.recorded()


def ignore(job: str, outputs: Mapping[str, Any]) -> None:
    """Nobody wants to know."""
