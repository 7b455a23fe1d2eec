"""The engine's side of a node's `Run`: progress, previews, work beside the lane, lazy inputs."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any, Protocol, TypeVar

from execution import events
from execution.declare.run import LazyPreview
from execution.events import Preview
from execution.run.emitter import Emitter
from execution.run.task import Task

T = TypeVar("T")


class House(Protocol):
    """What a seat needs of the job it belongs to."""

    emit: Emitter

    def wants_previews(self) -> bool:
        """Whether somebody asks for glimpses of what is unfinished."""

    def submit(self, work: Callable[[], T]) -> Future[T]:
        """Start work beside the lane."""

    def wrote(self, task: Task, path: Path) -> None:
        """A task has written a file."""

    def went_wrong_behind(self, task: Task, error: BaseException) -> None:
        """Background work of a task failed."""

    def seated(self, seat: NodeSeat) -> None:
        """The task of this seat has background work."""

    def in_lane(self, work: Callable[[], T]) -> Awaitable[T]:
        """Run work in the lane."""

    def need(self, task: Task, name: str) -> Awaitable[list[Any]]:
        """Compute a lazy input."""


class NodeSeat:
    """The seat of one task, for all of its calls."""

    __slots__ = ("_failed", "_house", "_lock", "_pending", "_report", "task")

    def __init__(self, house: House, task: Task) -> None:
        """Take a seat."""
        self._house, self.task = house, task
        self._lock: threading.Lock | None = None
        self._pending = 0
        self._failed = False
        self._report: Callable[[], None] | None = None

    def progress(self, value: float, maximum: float, preview: LazyPreview | None) -> None:
        """Report progress; a glimpse of something unfinished is made only for somebody who asks."""
        place = self.task.place
        self._house.emit(events.Progress, place=place, value=value, maximum=maximum)
        if preview is None:
            return
        is_made = isinstance(preview, Preview) and preview.purpose != "glimpse"
        if is_made or self._house.wants_previews():
            picture = preview if isinstance(preview, Preview) else preview()
            self._house.emit(events.PreviewReady, place=place, preview=picture)

    def notice(self, message: str) -> None:
        """Tell the person something about this node, each thing once."""
        if message not in self.task.notices:
            self.task.notices += (message,)
            self._house.emit(events.Noticed, place=self.task.place, message=message)

    def background(self, work: Callable[[], T]) -> Future[T]:
        """Start work beside the lane that the job waits for before it is finished."""
        if self._lock is None:
            self._lock = threading.Lock()
            self._house.seated(self)
        with self._lock:
            self._pending += 1
        future = self._house.submit(work)
        future.add_done_callback(self._finished)
        return future

    def when_idle(self, report: Callable[[], None]) -> bool:
        """Call `report` once the background work so far is over; False when some of it has failed already."""
        assert self._lock is not None
        with self._lock:
            if self._failed:
                return False
            if self._pending:
                self._report = report
                return True
        report()
        return True

    def _finished(self, future: Future[Any]) -> None:
        assert self._lock is not None
        error = future.exception()
        with self._lock:
            self._pending -= 1
            self._failed = self._failed or error is not None
            report = None if self._pending or self._failed else self._report
        if error is not None:
            self._house.went_wrong_behind(self.task, error)
        if report is not None:
            report()

    def wrote(self, path: Path) -> None:
        """A file belongs to the result of this node, and of those whose expansion it is in."""
        self._house.wrote(self.task, path)

    def in_lane(self, work: Callable[[], T]) -> Awaitable[T]:
        """Run work in the lane, for `async def` nodes."""
        return self._house.in_lane(work)

    def need(self, name: str) -> Awaitable[list[Any]]:
        """Compute a lazy input; gives its list of values."""
        return self._house.need(self.task, name)


def settle_future(future: asyncio.Future[T], work: Callable[[], T]) -> None:
    """Do work in this thread and give its result to a future of another thread's loop."""
    try:
        result = work()
    except BaseException as error:
        future.get_loop().call_soon_threadsafe(_set_exception, future, error)
    else:
        future.get_loop().call_soon_threadsafe(_set_result, future, result)


def _set_result(future: asyncio.Future[T], result: T) -> None:
    if not future.done():
        future.set_result(result)


def _set_exception(future: asyncio.Future[Any], error: BaseException) -> None:
    if not future.done():
        future.set_exception(error)
