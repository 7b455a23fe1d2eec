"""Waiting for a coroutine from code that cannot await."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import Awaitable
from typing import Any


def run_now(awaitable: Awaitable[Any]) -> Any:
    """The result of an awaitable, on a loop of its own; in a thread of its own if this one has a loop."""

    async def wait() -> Any:
        return await awaitable

    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(wait())
    return _in_a_thread(lambda: asyncio.run(wait()))


def _in_a_thread(work: Any) -> Any:
    results: list[Any] = []
    problems: list[BaseException] = []
    context = contextvars.copy_context()

    def keep() -> None:
        try:
            results.append(context.run(work))
        except BaseException as problem:  # handed to the waiting thread
            problems.append(problem)

    thread = threading.Thread(target=keep, name="waits for a coroutine")
    thread.start()
    thread.join()
    if problems:
        raise problems[0]
    return results[0]
