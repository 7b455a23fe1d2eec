"""A token stops its own job, once, and tells who asked to be told."""

from __future__ import annotations

import pytest

from execution.cancel import CancelToken
from execution.errors import Cancelled, NodeloomError


def test_a_token_raises_once_it_is_cancelled_and_not_before() -> None:
    token, other = CancelToken(), CancelToken()
    token.check()
    assert not token.cancelled
    token.cancel()
    assert token.cancelled
    with pytest.raises(Cancelled):
        token.check()
    other.check()


def test_callbacks_are_called_once_and_late_ones_at_once() -> None:
    token, told = CancelToken(), []
    token.on_cancel(lambda: told.append("early"))
    assert told == []
    token.cancel()
    token.cancel()
    token.on_cancel(lambda: told.append("late"))
    assert told == ["early", "late"]


def test_a_node_that_catches_exceptions_does_not_catch_a_cancel() -> None:
    assert not issubclass(Cancelled, Exception)
    assert not issubclass(Cancelled, NodeloomError)
