"""Writing how jobs end, again where the disk did not take it: what ended must not look as if it ran."""

import logging
import sqlite3
import time

from server.jobs import Outcome
from server.store import Store

logger = logging.getLogger(__name__)


class Endings:
    """Ends on their way to the store."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._unwritten: list[tuple[str, Outcome, float]] = []

    async def write(self, job: str, outcome: Outcome) -> None:
        """Write how a job ended; what fails, for instance on a full disk, is kept for `write_again`."""
        ending = (job, outcome, time.time())
        try:
            await self._store.finish(*ending)
        except sqlite3.Error as error:
            logger.error("The end of job %s could not be written, and is tried again: %s", job, error)
            self._unwritten.append(ending)

    async def write_again(self) -> None:
        """Try what failed before, up to the first that fails again."""
        while self._unwritten:
            try:
                await self._store.finish(*self._unwritten[0])
            except sqlite3.Error:
                return
            del self._unwritten[0]
