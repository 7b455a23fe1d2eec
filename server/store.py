"""What the server remembers: the queue, the history and the events of each job.

`Store` is the interface that the rest of the server codes against; `server.journal` keeps it in SQLite. Texts
are JSON ready to
be sent, so that a long list costs no parsing.
"""

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

from server.jobs import Once, Outcome, Queued, Status


class IdTaken(Exception):
    """A job with this id waits or runs."""


class Repeated(Exception):
    """A request with this key has been answered by a job already; `same` tells whether it asked the same."""

    def __init__(self, job: str, same: bool) -> None:
        self.job, self.same = job, same
        super().__init__(job)


class Waiting(NamedTuple):
    """A pending job's place: lower numbers first, then the order of arrival."""

    number: float
    ordinal: int
    id: str


@dataclass(frozen=True)
class Recovered:
    """What a restart finds: what waits, of it what was cut off and runs `again`, what was cut off too often,
    and the first free queue number.
    """

    pending: tuple[Waiting, ...]
    again: tuple[str, ...]
    given_up: tuple[str, ...]
    next_number: float


@dataclass(frozen=True)
class Page:
    """A part of a list, newest first or oldest first."""

    limit: int
    offset: int = 0
    statuses: tuple[Status, ...] = tuple(Status)
    workflow_id: str | None = None
    by_duration: bool = False
    ascending: bool = False
    labels: Mapping[str, str] = field(default_factory=dict)
    before: int | None = None
    """Only jobs that were added before the one with this `ordinal`."""


class Store(Protocol):
    """Durable memory. Whatever a method returned from survives a `kill -9`."""

    async def recover(self) -> Recovered:
        """Take up what an earlier process left: what ran is put back before all that waits, unless it was
        cut off before. Called once, first.
        """

    async def add(self, job: Queued) -> Waiting:
        """Keep a new pending job. A finished one with the same id is replaced; otherwise `IdTaken`.
        `Repeated` when its key has a job already.
        """

    async def answered(self, session: str, once: Once) -> None:
        """Raises `Repeated` when a key of this session has a job already."""

    async def load(self, job: str) -> Queued | None:
        """A job that is not finished, without its secrets."""

    async def start(self, job: str, at: float) -> int:
        """A worker has it now; counts an attempt. Gives the number of the last event of earlier attempts."""

    async def requeue(self, job: str, why: str) -> None:
        """It waits again, in its old place."""

    async def finish(self, job: str, outcome: Outcome, at: float) -> None:
        """It has ended."""

    def record(self, job: str, events: Sequence[tuple[int, str]]) -> None:
        """Keep numbered events of a running job; does not wait."""

    async def recorded(self) -> None:
        """Wait until all events given to `record` so far can be read."""

    async def events(self, job: str, after: int, limit: int) -> list[str]:
        """Kept events of a job with numbers above `after`, in order, as JSON texts."""

    def queue(self) -> AsyncIterator[tuple[Status, str]]:
        """Jobs that run, then those that wait, in queue order, page by page, as
        `[number, id, prompt, extra_data, targets]`.
        """

    def history(self, most: int | None, offset: int | None) -> AsyncIterator[str]:
        """Ended jobs, oldest first, as `"id":{entry}`: the newest `most`, or `most` from `offset` on."""

    async def history_of(self, job: str) -> str:
        """`{"id":{entry}}`, or `{}` when it has not ended or is unknown."""

    async def forget(self, jobs: Iterable[str] | None) -> None:
        """Drop these ended jobs, or all of them."""

    async def jobs(self, page: Page) -> tuple[list[dict[str, Any]], int]:
        """Short records of jobs, and how many there are in all."""

    async def job(self, job: str) -> dict[str, Any] | None:
        """The full record of a job."""

    @property
    def revision(self) -> int:
        """Grows with every change of a job's state."""

    def close(self) -> None:
        """Finish what waits to be written."""
