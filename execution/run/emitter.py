"""Numbering a job's facts and sending them out, in order, from whichever thread they come."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Any

from execution.events import Emit, Event

logger = logging.getLogger(__name__)
Meter = Callable[[], int]
"""How many bytes of memory are in use now."""


def ignore(event: Event) -> None:
    """The listener of an engine nobody listens to."""


class Emitter:
    """One job's way out for events."""

    def __init__(self, job: str, emit: Emit = ignore, memory: Meter | None = None) -> None:
        """Count from 1."""
        self._job, self._emit, self._memory = job, emit, memory
        self._lock = threading.Lock()
        self._number = 0
        self._broken = False

    def __call__(self, kind: type[Event], **facts: Any) -> None:
        """Send one event; a listener that fails is not called again, and the job goes on."""
        with self._lock:
            self._number += 1
            memory = self._memory() if self._memory is not None else None
            event = kind(number=self._number, job=self._job, time=time.time(), memory=memory, **facts)
            if self._broken:
                return
            try:
                self._emit(event)
            except Exception:
                self._broken = True
                logger.exception("the listener of job %s failed at event %d", self._job, self._number)
