"""Cancelling one job: a token that its nodes look at and nobody else's."""

from __future__ import annotations

import threading
from collections.abc import Callable

from execution.errors import Cancelled


class CancelToken:
    """Set once, from any thread; read by everything that works for the job."""

    def __init__(self) -> None:
        """Start out not cancelled."""
        self._lock = threading.Lock()
        self._cancelled = False
        self._callbacks: list[Callable[[], None]] = []

    @property
    def cancelled(self) -> bool:
        """Whether the job should stop."""
        return self._cancelled

    def cancel(self) -> None:
        """Ask the job to stop. Asking again changes nothing."""
        with self._lock:
            if self._cancelled:
                return
            self._cancelled = True
            callbacks, self._callbacks = self._callbacks, []
        for callback in callbacks:
            callback()

    def check(self) -> None:
        """Raise `Cancelled` when the job should stop; call it in every long loop."""
        if self._cancelled:
            raise Cancelled

    def on_cancel(self, callback: Callable[[], None]) -> None:
        """Call `callback` on cancelling, in the canceller's thread; at once when that has happened."""
        with self._lock:
            if not self._cancelled:
                self._callbacks.append(callback)
                return
        callback()
