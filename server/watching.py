"""Who follows single jobs: each is woken when something changed, and looks for itself, so that a slow one
only misses what is past. Of pictures the newest of each node is kept for it.
"""

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from server.frames import Picture
from server.sockets import do_nothing


@dataclass(eq=False)
class Watcher:
    """One follower of one job."""

    sees: bool = True
    """Whether it looks at pictures of what is unfinished, too."""
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    pictures: dict[str, Picture] = field(default_factory=dict)
    """The newest preview of each node, until it is taken out."""


class Watchers:
    """All followers, by job."""

    def __init__(self) -> None:
        self._by_job: dict[str, set[Watcher]] = {}
        self.changed: Callable[[], None] = do_nothing
        """Called when somebody came or left."""

    def __len__(self) -> int:
        return sum(map(len, self._by_job.values()))

    @contextlib.contextmanager
    def watch(self, job: str, sees: bool = True) -> Iterator[Watcher]:
        """Follow a job for as long as the block runs."""
        watcher = Watcher(sees)
        self._by_job.setdefault(job, set()).add(watcher)
        self.changed()
        try:
            yield watcher
        finally:
            self._by_job[job].discard(watcher)
            if not self._by_job[job]:
                del self._by_job[job]
            self.changed()

    def looks(self, job: str) -> bool:
        """Whether anybody looks at a job's pictures."""
        return any(watcher.sees for watcher in self._by_job.get(job, ()))

    def wake(self, job: str) -> None:
        """Something about a job changed."""
        for watcher in self._by_job.get(job, ()):
            watcher.changed.set()

    def wake_all(self) -> None:
        """The queue changed."""
        for job in self._by_job:
            self.wake(job)

    def show(self, picture: Picture) -> None:
        """A node of a job shows what it has so far."""
        for watcher in self._by_job.get(picture.job, ()):
            if watcher.sees:
                watcher.pictures[picture.place.display_node] = picture
                watcher.changed.set()
