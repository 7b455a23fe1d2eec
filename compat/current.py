"""Which run the code of a pack is working for right now.

ComfyUI's API has names that take no run (`ProgressBar`, `GraphBuilder`,
`throw_exception_if_processing_interrupted`). They find it here: the adapters enter a `Call` around each call
of a node, in the thread or task that makes the call.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from execution.declare.node import Run


@dataclass
class Call:
    """One call of one node: the run, the item of a list it is for, and how many graphs it has begun."""

    run: Run
    index: int = 0
    graphs: int = 0


_call: ContextVar[Call | None] = ContextVar("compat_call", default=None)


@contextmanager
def calling(run: Run, index: int = 0) -> Iterator[Call]:
    """Make `run` the current one until the block is left."""
    token = _call.set(Call(run, index))
    try:
        call = _call.get()
        assert call is not None
        yield call
    finally:
        _call.reset(token)


def current_call() -> Call | None:
    """The call this thread or task is inside of, or None outside of any node."""
    return _call.get()


def current_run() -> Run | None:
    """The run this thread or task works for, or None outside of any node."""
    call = _call.get()
    return call.run if call else None
