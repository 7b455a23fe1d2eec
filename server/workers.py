"""Worker processes: started with one end of a socket, talked to in messages, replaced when they die.

A `Worker` is one process. The `Crew` keeps one alive for each command it was given and tells its `Employer`
what comes in.
"""

import asyncio
import contextlib
import itertools
import logging
import signal
import socket
import subprocess
import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol

from execution.errors import ChannelClosed
from execution.wire.channel import AsyncChannel
from execution.wire.messages import Answer, Ask, Hello, Loaded, Message, Shutdown

logger = logging.getLogger(__name__)
WORKER_OUTPUT = logging.getLogger("worker")
LAST_LINES = 20
IDLE_SECONDS, BUSY_SECONDS = 0.5, 3.0
"""How long a worker is given to end by itself."""
LAST_WORDS_SECONDS = 1.0
BACKOFF_SECONDS = (0.2, 1.0, 3.0, 10.0, 30.0)
LINE_BYTES = 2**16


class State(StrEnum):
    STARTING = "starting"
    IDLE = "idle"
    BUSY = "busy"
    DEAD = "dead"


class NoAnswer(Exception):
    """A worker did not answer a question: it died, is still starting, took too long, or says why it
    cannot.
    """


@dataclass
class Worker:
    """One worker process and the server's end of its channel."""

    index: int
    process: asyncio.subprocess.Process
    channel: AsyncChannel
    state: State = State.STARTING
    device: str = ""
    job: str | None = None
    started: float = field(default_factory=time.time)
    stats: Mapping[str, Any] = field(default_factory=dict)
    """What it last said of its device."""
    last_lines: deque[str] = field(default_factory=lambda: deque(maxlen=LAST_LINES))
    _questions: dict[int, "asyncio.Future[Any]"] = field(default_factory=dict)
    _numbers: "itertools.count[int]" = field(default_factory=lambda: itertools.count(1))

    @property
    def pid(self) -> int:
        return self.process.pid

    async def send(self, message: Message) -> None:
        """Send a message; a worker that died meanwhile is noticed elsewhere."""
        with contextlib.suppress(ChannelClosed, OSError):
            await self.channel.send(message)

    async def ask(
        self, question: str, arguments: Mapping[str, Any] | None = None, seconds: float = 10.0
    ) -> Any:
        """The answer to a question. NoAnswer when there is none in time."""
        number = next(self._numbers)
        future = self._questions[number] = asyncio.get_running_loop().create_future()
        try:
            await self.send(Ask(number, question, arguments or {}))
            return await asyncio.wait_for(future, seconds)
        except TimeoutError:
            raise NoAnswer(f"the worker did not answer {question!r} within {seconds:g} s") from None
        finally:
            self._questions.pop(number, None)

    def answered(self, answer: Answer) -> None:
        """Hand an answer to who asked."""
        future = self._questions.get(answer.request)
        if future is None or future.done():
            return
        if answer.error is not None:
            future.set_exception(NoAnswer(answer.error))
        else:
            future.set_result(answer.value)

    def abandon(self) -> None:
        """Tell everybody who waits for an answer that none will come."""
        self.state = State.DEAD
        for future in self._questions.values():
            if not future.done():
                future.set_exception(NoAnswer("the worker stopped"))

    def kill(self) -> None:
        """End the process at once."""
        with contextlib.suppress(ProcessLookupError):
            self.process.kill()

    def to_json(self) -> dict[str, Any]:
        return {
            "pid": self.pid,
            "state": self.state,
            "device": self.device,
            "job": self.job,
            "started": self.started,
        }


class Employer(Protocol):
    """Who is told what workers say and do."""

    async def worker_loaded(self, worker: Worker, loaded: Loaded) -> None:
        """It has its node types and waits for jobs."""

    async def worker_said(self, worker: Worker, message: Message) -> None:
        """It sent something about a job, or a pack's message."""

    async def worker_died(self, worker: Worker, why: str) -> None:
        """Its process is gone."""


def cause_of_death(code: int | None, lines: Sequence[str]) -> str:
    """What an exit code and the last lines of output say, for people."""
    if code is None:
        reason = "its channel closed"
    elif code < 0:
        name = signal.Signals(-code).name if -code in signal.valid_signals() else str(-code)
        reason = f"killed by {name}" + (" (often: out of memory)" if name == "SIGKILL" else "")
    else:
        reason = f"exit code {code}"
    last = next((line for line in reversed(lines) if line.strip()), "")
    return f"{reason}; its last words: {last[:300]}" if last else reason


class Crew:
    """Keeps a worker alive for each command."""

    def __init__(self, commands: Sequence[Sequence[str]], employer: Employer) -> None:
        self._commands = [tuple(command) for command in commands]
        self._employer = employer
        self._tasks: list[asyncio.Task[None]] = []
        self._closing = asyncio.Event()
        self.workers: list[Worker] = []
        self.problems: dict[int, str] = {}
        """Why a worker could not be started, by its index; emptied when it can."""
        self.tried = asyncio.Event()
        """Set once a worker has started, or could not be."""

    def start(self) -> None:
        """Begin starting workers; does not wait."""
        self._tasks = [asyncio.create_task(self._keep(index)) for index in range(len(self._commands))]

    def idle(self) -> Worker | None:
        """A worker that waits for a job."""
        return next((worker for worker in self.workers if worker.state is State.IDLE), None)

    def any(self) -> Worker | None:
        """A worker that can answer questions, rather one that is idle."""
        return min(self.ready(), key=lambda worker: worker.state is State.BUSY, default=None)

    def ready(self) -> list[Worker]:
        """The workers that have their node types."""
        return [worker for worker in self.workers if worker.state in (State.IDLE, State.BUSY)]

    async def ask(
        self, question: str, arguments: Mapping[str, Any] | None = None, seconds: float = 10.0
    ) -> Any:
        """Ask any worker. NoAnswer when there is none."""
        worker = self.any()
        if worker is None:
            problem = next(iter(self.problems.values()), "it is still starting")
            raise NoAnswer(f"no worker is ready: {problem}")
        return await worker.ask(question, arguments, seconds)

    async def close(self) -> None:
        """Ask all to end; kill those that do not."""
        self._closing.set()
        patience = (
            BUSY_SECONDS if any(worker.state is State.BUSY for worker in self.workers) else IDLE_SECONDS
        )
        for worker in list(self.workers):
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(worker.send(Shutdown()), IDLE_SECONDS)
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=patience)
        for worker in list(self.workers):
            worker.kill()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _keep(self, index: int) -> None:
        """Start the worker of a command again and again, slower after each that died before it was ready."""
        failures = 0
        while not self._closing.is_set():
            try:
                ready = await self._live(index)
            except Exception:  # whatever it was, the next worker may do better
                logger.exception("Worker %d was given up.", index)
                ready = False
            failures = 0 if ready else failures + 1
            if failures:
                pause = BACKOFF_SECONDS[min(failures, len(BACKOFF_SECONDS)) - 1]
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._closing.wait(), pause)

    async def _live(self, index: int) -> bool:
        """The life of one process; whether it ever was ready."""
        try:
            worker = await spawn(self._commands[index], index)
        except OSError as error:
            self.problems[index] = f"it could not be started: {error}"
            self.tried.set()
            logger.error("Worker %d could not be started: %s", index, error)
            return False
        self.workers.append(worker)
        if self._closing.is_set():
            worker.kill()
        reading = asyncio.create_task(read_output(worker))
        try:
            await self._listen(worker)
        finally:
            ready = worker.state is not State.STARTING
            worker.abandon()
            self.workers.remove(worker)
            await self._bury(worker, reading, ready)
        return ready

    async def _listen(self, worker: Worker) -> None:
        """Take what a worker says until its channel closes or its process ends."""
        listening = asyncio.create_task(self._take_all(worker))
        ending = asyncio.create_task(worker.process.wait())
        try:
            await asyncio.wait({listening, ending}, return_when=asyncio.FIRST_COMPLETED)
            await asyncio.wait({listening, ending}, timeout=LAST_WORDS_SECONDS)
        finally:
            for task in (listening, ending):
                task.cancel()
            await asyncio.gather(listening, ending, return_exceptions=True)

    async def _bury(self, worker: Worker, reading: "asyncio.Task[None]", ready: bool) -> None:
        code = worker.process.returncode  # none yet: it closed its channel, and is ended here
        worker.kill()
        await worker.channel.close()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(asyncio.gather(worker.process.wait(), reading), 5)
        if self._closing.is_set():
            return
        why = cause_of_death(code, list(worker.last_lines))
        if not ready:
            self.problems[worker.index] = f"it ended while starting: {why}"
            self.tried.set()
        logger.error("Worker %d (process %d) ended: %s", worker.index, worker.pid, why)
        await self._employer.worker_died(worker, why)

    async def _take_all(self, worker: Worker) -> None:
        with contextlib.suppress(ChannelClosed, OSError):
            while True:
                await self._take(worker, await worker.channel.receive())

    async def _take(self, worker: Worker, message: Message) -> None:
        if isinstance(message, Answer):
            worker.answered(message)
        elif isinstance(message, Hello):
            worker.device = message.device
        elif isinstance(message, Loaded):
            worker.state = State.IDLE
            self.problems.pop(worker.index, None)
            await self._employer.worker_loaded(worker, message)
            self.tried.set()
        else:
            await self._employer.worker_said(worker, message)


async def spawn(command: Sequence[str], index: int) -> Worker:
    """Start a worker process with its end of a socket pair as `--channel FD`."""
    ours, theirs = socket.socketpair()
    try:
        process = await asyncio.create_subprocess_exec(
            *command,
            "--channel",
            str(theirs.fileno()),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            pass_fds=(theirs.fileno(),),
            start_new_session=True,
            limit=LINE_BYTES,
        )
    except OSError:
        ours.close()
        raise
    finally:
        theirs.close()
    return Worker(index, process, await AsyncChannel.open(ours))


async def read_output(worker: Worker) -> None:
    """Log what a worker prints, and keep its last lines."""
    stream = worker.process.stdout
    assert stream is not None, "the process is started with a pipe"
    while True:
        try:
            line = await stream.readline()
        except ValueError:  # a line beyond the limit; what was read of it is dropped
            continue
        if not line:
            return
        text = line.decode(errors="replace").rstrip()
        worker.last_lines.append(text)
        WORKER_OUTPUT.info("%s", text)
