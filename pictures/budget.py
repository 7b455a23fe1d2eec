"""How much memory decoded pictures may take: a budget for each request to the server, and for each run.

A decoder says what it is about to hold before it does; what is too much is refused by the header alone, in
words that say how much it is and how much may be.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import threading

MEGABYTE = 2**20
A_PICTURE = 768 * MEGABYTE
"""Bytes that one picture, or one frame, may take: 8192×8192 as red, green and blue floats."""
A_RUN_AT_LEAST = 2048 * MEGABYTE
RUN_SHARE = 2
"""All pictures of a run may take this part of the machine's memory, unless told otherwise."""
IN_BYTES, FLOATS, MASK = 4, 12, 4
"""Bytes of a pixel: as PIL keeps colours (with or without alpha); as three floats; as one."""


class OverBudget(ValueError):
    """Pictures that would take more memory, once decoded, than may be."""


class Budget:
    """Bytes that may still be decoded. Thread-safe."""

    def __init__(
        self, total: int = A_PICTURE, picture: int = A_PICTURE, cure: str = "make it smaller"
    ) -> None:
        """`total` bytes for all pictures, `picture` for one frame; `cure` ends the refusals."""
        self.total, self.picture, self._cure = total, picture, cure
        self.taken = 0
        self._lock = threading.Lock()

    def take(self, name: str, width: int, height: int, each: int, frames: int = 1) -> int:
        """Count `frames` pictures of `each` bytes a pixel, and give their bytes.

        Raises:
            OverBudget: that is too much; nothing is counted then.
        """
        one = width * height * each
        size = f"{frames} × {width}×{height}" if frames > 1 else f"{width}×{height}"
        if one > self.picture:
            raise OverBudget(
                f"'{name}' has {size} pixels: decoded, one picture of that size takes {megabytes(one)}, "
                f"and {megabytes(self.picture)} is all that one may; {self._cure}"
            )
        with self._lock:
            if self.taken + one * frames > self.total:
                before = f" beside {megabytes(self.taken)} of others" if self.taken else ""
                raise OverBudget(
                    f"'{name}' has {size} pixels: decoded, that takes {megabytes(one * frames)}{before}, "
                    f"and {megabytes(self.total)} is all that may be decoded at a time; {self._cure}"
                )
            self.taken += one * frames
        return one * frames

    def give_back(self, size: int) -> None:
        """Count bytes as free again."""
        with self._lock:
            self.taken -= size


class Budgets:
    """The budgets of runs, each its own. `total` is bytes of a run (default: by the machine's memory)."""

    def __init__(self, total: int | None = None) -> None:
        """Nothing is counted yet."""
        self._total = total or max(A_RUN_AT_LEAST, machine_memory() // RUN_SHARE)
        self._picture = A_PICTURE if total is None else total
        self._job, self._budget = "", self.fresh()

    def fresh(self) -> Budget:
        """A budget for pictures that are let go of one by one, or belong to no run."""
        cure = "make it smaller, or start with a larger --decoded-memory"
        return Budget(self._total, self._picture, cure)

    def of(self, job: str) -> Budget:
        """The budget of a run, by its job's id; that of the run before is forgotten."""
        if not job:
            return self.fresh()
        if job != self._job:
            self._job, self._budget = job, self.fresh()
        return self._budget


def machine_memory() -> int:
    """Bytes of memory in all."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return 0


def trim() -> None:
    """Give freed memory back to the system; glibc keeps it, for each thread that ever decoded something."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)


def megabytes(size: int) -> str:
    """A size for people."""
    return f"{size / MEGABYTE:,.0f} MB"
