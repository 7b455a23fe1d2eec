"""The worker process's side of the channel: runs jobs one after another and answers questions meanwhile.

Three threads share the work. The caller's runs jobs in an event loop; one reads the channel, so that a cancel
arrives while a node computes; one answers questions, so that a slow answer holds up no cancel.

Questions: `specs`, `spec` {name}, `validate` {prompt, targets}, `explain` {prompt, targets}, and the services
that the worker was given, by name.
"""

from __future__ import annotations

import asyncio
import os
import queue
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from execution.cancel import CancelToken
from execution.check.validation import validate_with
from execution.declare.registry import Registry
from execution.engine import Engine
from execution.errors import ChannelClosed
from execution.events import Event
from execution.files.folders import Folders
from execution.job import Job
from execution.wire.channel import Channel
from execution.wire.messages import (
    Answer,
    Ask,
    CancelJob,
    EventSent,
    JobDone,
    Listening,
    Loaded,
    Shutdown,
)

Service = Callable[..., Any]
"""Answers a question: takes its arguments by name, gives what JSON can hold."""

GRACE_SECONDS = 1.0
"""How long a node may go on computing for a server that is gone."""


class Worker:
    """One engine at the end of a channel. Make it, build the engine with its `emit`, then `serve`."""

    def __init__(self, channel: Channel) -> None:
        """Talk over `channel`; nothing is sent or received yet."""
        self.channel = channel
        self.previews_wanted = False
        self._tokens: dict[str, CancelToken] = {}
        self._lock = threading.Lock()
        self._jobs: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._questions: queue.SimpleQueue[Ask | None] = queue.SimpleQueue()

    def emit(self, event: Event) -> None:
        """Send a fact about a job; a server that is gone is noticed by the reading thread."""
        self._send(EventSent(event))

    def serve(
        self,
        engine: Engine,
        registry: Registry,
        services: Mapping[str, Service] | None = None,
        *,
        folders: Folders | None = None,
        failures: Mapping[str, str] | None = None,
        seconds: float = 0.0,
        replacements: Sequence[Mapping[str, Any]] = (),
    ) -> None:
        """Say what node types there are (`failures`: packs that did not load; `replacements`: of types that
        have gone), then work until `Shutdown`.

        When the server is gone, what runs is cancelled, and the process ended if that does not help.
        """
        specs = {name: spec.to_json() for name, spec in registry.specs().items()}
        self._send(Loaded(specs, {**(failures or {}), **registry.failures}, seconds, replacements))
        answers = _Answers(engine, registry, folders, services or {})
        threads = [
            threading.Thread(target=self._read, name="channel", daemon=True),
            threading.Thread(target=self._answer, args=(answers,), name="answers", daemon=True),
        ]
        for thread in threads:
            thread.start()
        while (job := self._jobs.get()) is not None:
            self._run(engine, job)
        threads[1].join(GRACE_SECONDS)

    def _run(self, engine: Engine, job: Job) -> None:
        try:
            done = JobDone(job.id, engine.run_sync(job, cancel=self._tokens[job.id], keep=()).status)
        except Exception as error:  # the engine itself failed: the job is lost, the worker need not be
            done = JobDone(job.id, "error", error=f"{type(error).__name__}: {error}")
        with self._lock:
            del self._tokens[job.id]
        self._send(done)

    def _read(self) -> None:
        """Take messages until there are no more."""
        while True:
            try:
                message = self.channel.receive()
            except ChannelClosed:
                return self._end(abruptly=True)
            if isinstance(message, Job):
                self._take(message)
            elif isinstance(message, CancelJob):
                self._cancel(message.job)
            elif isinstance(message, Ask):
                self._questions.put(message)
            elif isinstance(message, Listening):
                self.previews_wanted = message.previews
            elif isinstance(message, Shutdown):
                return self._end(abruptly=False)

    def _take(self, job: Job) -> None:
        with self._lock:
            self._tokens[job.id] = CancelToken()
        self._jobs.put(job)

    def _cancel(self, job: str) -> None:
        """Stop a job that runs, or that waits in this worker; one that is over is left alone."""
        with self._lock:
            token = self._tokens.get(job)
        if token is not None:
            token.cancel()

    def _end(self, abruptly: bool) -> None:
        """Cancel everything and let `serve` return; a node that does not stop must not outlive the server."""
        with self._lock:
            tokens = list(self._tokens.values())
        for token in tokens:
            token.cancel()
        self._jobs.put(None)
        self._questions.put(None)
        if abruptly and tokens:
            time.sleep(GRACE_SECONDS)
            os._exit(1)

    def _answer(self, answers: _Answers) -> None:
        while (asked := self._questions.get()) is not None:
            self._send(answers.to(asked))

    def _send(self, message: EventSent | JobDone | Answer | Loaded) -> None:
        try:
            self.channel.send(message)
        except ChannelClosed:
            self.previews_wanted = False


class _Answers:
    """What the server may ask."""

    def __init__(
        self, engine: Engine, registry: Registry, folders: Folders | None, services: Mapping[str, Service]
    ) -> None:
        self._engine, self._registry, self._folders = engine, registry, folders
        self._services: dict[str, Service] = {
            "specs": self._specs,
            "spec": self._spec,
            "validate": self._validate,
            "explain": self._explain,
            **services,
        }

    def to(self, asked: Ask) -> Answer:
        """The answer; an unknown or failing question gives one with `error`, never silence."""
        service = self._services.get(asked.question)
        if service is None:
            known = ", ".join(sorted(self._services))
            return Answer(
                asked.request, error=f"the worker knows no question {asked.question!r}; it knows {known}"
            )
        try:
            value = service(**asked.arguments)
            return Answer(asked.request, value)
        except Exception as error:  # any service, of a pack too: the one who asked is told
            return Answer(asked.request, error=f"{asked.question}: {type(error).__name__}: {error}")

    def _specs(self) -> dict[str, Any]:
        return {name: spec.to_json() for name, spec in self._registry.specs().items()}

    def _spec(self, name: str) -> dict[str, Any] | None:
        spec = self._registry.spec(name)
        return spec.to_json() if spec else None

    def _validate(self, prompt: dict[str, Any], targets: list[str] | None = None) -> dict[str, Any]:
        found = asyncio.run(
            validate_with(prompt, self._registry, targets, self._folders, targets is not None)
        )
        return {"error": found.error, "node_errors": found.node_errors, "outputs": found.outputs}

    def _explain(self, prompt: dict[str, Any], targets: list[str] | None = None) -> Any:
        return self._engine.explain(prompt, targets)
