"""SQLite behind two threads: one writes, joining what waits into one commit; one reads. The event loop never
waits on a disk.
"""

import asyncio
import contextlib
import logging
import queue
import sqlite3
import threading
from collections.abc import Callable
from concurrent.futures import Future, InvalidStateError, ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

logger = logging.getLogger(__name__)
T = TypeVar("T")
Work = Callable[[sqlite3.Connection], Any]
Waiting = tuple[Work, "Future[Any]"]
Result = tuple["Future[Any]", Any, Exception | None]
MOST_PER_COMMIT = 256


def connect(path: Path) -> sqlite3.Connection:
    """A connection whose commits survive the process and, as far as the disk tells the truth, the power."""
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=30)
    connection.row_factory = sqlite3.Row
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    return connection


class Unstorable(ValueError):
    """A value that no table holds: a text that is no Unicode, a whole number beyond 64 bits."""


def run_work(work: Callable[[sqlite3.Connection], T], connection: sqlite3.Connection) -> T:
    """The result of `work`. Raises `Unstorable` for values that no client should have sent."""
    try:
        return work(connection)
    except UnicodeEncodeError as error:
        raise Unstorable(f"a text is no Unicode: {error.object[:40]!a}") from error
    except OverflowError as error:
        raise Unstorable("a whole number is beyond 64 bits") from error


class Database:
    """Runs functions of a connection, in order for writes. `schema` makes the tables that are missing."""

    def __init__(self, path: Path, schema: str) -> None:
        self._connection = connect(path)
        self._connection.executescript(schema)
        self._reading = connect(path)
        self._reader = ThreadPoolExecutor(1, thread_name_prefix="store-reader")
        self._queue: queue.SimpleQueue[Waiting | None] = queue.SimpleQueue()
        self._writer = threading.Thread(target=self._write_all, name="store-writer", daemon=True)
        self._writer.start()

    async def read(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """The result of `work`, which sees all that was committed before."""
        return await asyncio.get_running_loop().run_in_executor(self._reader, run_work, work, self._reading)

    async def write(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """The result of `work`, once it is on disk. What it raises, and a failed commit, is raised here."""
        future: Future[T] = Future()
        self._queue.put((work, future))
        return await asyncio.wrap_future(future)

    def post(self, work: Work) -> None:
        """Write without waiting. A failure is logged."""
        future: Future[Any] = Future()
        future.add_done_callback(log_failure)
        self._queue.put((work, future))

    def close(self) -> None:
        """Finish what waits, then close the file."""
        self._queue.put(None)
        self._writer.join()
        self._reader.shutdown()
        self._reading.close()
        self._connection.close()

    def _write_all(self) -> None:
        while (first := self._queue.get()) is not None:
            batch, closing = self._batch(first)
            self._commit(batch)
            if closing:
                return

    def _batch(self, first: Waiting) -> tuple[list[Waiting], bool]:
        """What waits now, up to a cap, and whether the end was among it."""
        batch = [first]
        while len(batch) < MOST_PER_COMMIT:
            try:
                waiting = self._queue.get_nowait()
            except queue.Empty:
                break
            if waiting is None:
                return batch, True
            batch.append(waiting)
        return batch, False

    def _commit(self, batch: list[Waiting]) -> None:
        """Run a batch in one transaction; one that raises is undone alone. All are told after the commit: an
        error, too, may rest on what another of the batch wrote.
        """
        results: list[Result] = []
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            for work, future in batch:
                self._run(work, future, results)
            self._connection.execute("COMMIT")
        except sqlite3.Error as error:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            for _, future in batch:
                settle(future, error=error)
            return
        for future, result, raised in results:
            settle(future, result, raised)

    def _run(self, work: Work, future: "Future[Any]", results: list[Result]) -> None:
        self._connection.execute("SAVEPOINT one")
        try:
            results.append((future, run_work(work, self._connection), None))
        except Exception as error:
            if not self._connection.in_transaction:
                raise  # a full disk ends the whole transaction
            self._connection.execute("ROLLBACK TO one")
            results.append((future, None, error))
        self._connection.execute("RELEASE one")


def settle(future: "Future[Any]", result: Any = None, error: Exception | None = None) -> None:
    """Give a result or an error to who waits, if somebody still does and has not been told yet."""
    with contextlib.suppress(InvalidStateError):
        if error is None:
            future.set_result(result)
        else:
            future.set_exception(error)


def log_failure(future: "Future[Any]") -> None:
    """Say why a write that nobody waits for failed."""
    error = future.exception()
    if error is not None:
        logger.error("The journal could not be written: %s", error)
