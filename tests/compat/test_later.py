"""Coroutines waited for by code that cannot await."""

import asyncio
import threading
from contextvars import ContextVar

import pytest

from compat.later import run_now


async def where() -> str:
    await asyncio.sleep(0)
    return threading.current_thread().name


def test_without_a_loop_it_runs_in_this_thread() -> None:
    assert run_now(where()) == threading.current_thread().name


async def test_beside_a_loop_it_runs_in_another_thread_with_the_same_context() -> None:
    mine: ContextVar[int] = ContextVar("mine")
    mine.set(7)

    async def seen() -> int:
        return mine.get()

    assert run_now(where()) != threading.current_thread().name
    assert run_now(seen()) == 7


@pytest.mark.parametrize("kind", [ValueError, KeyboardInterrupt])
async def test_what_it_raises_is_raised_here(kind: type[BaseException]) -> None:
    async def fails() -> None:
        raise kind("said")

    with pytest.raises(kind, match="said"):
        run_now(fails())
