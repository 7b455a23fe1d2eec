"""What a node is handed works alone, too, so that a test can call a node by hand."""

from __future__ import annotations

import asyncio

import pytest

from execution.cancel import CancelToken
from execution.declare.markers import Lazy
from execution.declare.outcome import BlockedInput, ExecutionBlocker
from execution.declare.run import AloneSeat, LazyInput, Run
from execution.errors import Cancelled
from execution.events import Preview
from execution.run.graph import Graph


class Fixed(AloneSeat):
    def __init__(self, values: list[object]) -> None:
        self.values = values

    async def need(self, name: str) -> list[object]:
        return self.values


def test_a_run_without_an_engine_does_everything_at_once() -> None:
    run = Run()
    run.check()
    run.progress(1, 2, Preview("png", b""))
    assert run.background(lambda: 5).result() == 5
    assert asyncio.run(_awaited(run)) == 6


async def _awaited(run: Run) -> int:
    with pytest.raises(LookupError, match="input 'x' is not linked"):
        await LazyInput(Run(pending=frozenset({"x"})), "x", None)
    return await run.in_lane(lambda: 6)


def test_a_cancelled_run_raises_at_the_next_progress() -> None:
    token = CancelToken()
    run = Run(cancel=token)
    token.cancel()
    for stop in (run.check, lambda: run.progress(1, 2)):
        with pytest.raises(Cancelled):
            stop()


def test_hidden_inputs_come_from_the_run() -> None:
    graph = Graph({})
    extra = {"extra_pnginfo": {"workflow": 1}, "client_id": "c", "auth_token_comfy_org": "t"}
    run = Run("j", "5.1", "5", {"5": {}}, extra, graph)
    assert run.hidden("PROMPT") == {"5": {}}
    assert run.hidden("UNIQUE_ID") == "5.1"
    assert run.hidden("DYNPROMPT") is graph
    assert run.hidden("EXTRA_PNGINFO") == {"workflow": 1}
    assert run.hidden("AUTH_TOKEN_COMFY_ORG") == "t"
    assert run.hidden("SOMETHING_ELSE") is None
    assert run.client_id == "c"
    assert Run().client_id is None


def test_an_awaited_lazy_input_is_there_already_or_asked_for() -> None:
    async def take(lazy: LazyInput[object]) -> object:
        return await lazy

    assert asyncio.run(take(LazyInput(Run(), "x", 3))) == 3
    for index, expected in ((0, "a"), (1, "b"), (7, "b")):
        run = Run(pending=frozenset({"x"}), index=index, seat=Fixed(["a", "b"]))
        assert asyncio.run(take(LazyInput(run, "x", None))) == expected
    with pytest.raises(NotImplementedError):
        Lazy[int]().__await__()
    blocker = ExecutionBlocker("why")
    run = Run(pending=frozenset({"x"}), seat=Fixed([blocker]))
    with pytest.raises(BlockedInput, match="why") as caught:
        asyncio.run(take(LazyInput(run, "x", None)))
    assert caught.value.blocker is blocker
