"""Errors as facts: short texts, whatever values and exceptions are like."""

from __future__ import annotations

from typing import Any

from execution.errors import GraphError
from execution.events import Place
from execution.run.failure import LONGEST_TEXT, MOST_ITEMS, Failure, lines_of, shown, type_name

PLACE = Place("1", "1", None, "1", "A")


class Broken:
    def __str__(self) -> str:
        raise ValueError("no text")


def test_values_are_shown_as_they_are_or_as_short_text() -> None:
    for plain in (None, True, 1, 1.5, "text"):
        assert shown(plain) == plain
    assert shown([1, 2]) == "[1, 2]"
    assert shown(Broken()) == "<Broken>"
    assert len(shown("x" * 10**6)) == LONGEST_TEXT + 1


def test_types_of_errors_are_named_with_their_module_unless_built_in() -> None:
    assert type_name(ValueError()) == "ValueError"
    assert type_name(GraphError()) == "execution.errors.GraphError"


def test_a_failure_tells_what_an_event_needs() -> None:
    inputs: dict[str, list[Any]] = {"a": [1], "b": list(range(100))}
    facts = Failure(PLACE, ValueError("bad"), inputs).facts()
    assert facts["place"] is PLACE
    assert (facts["exception_type"], facts["exception_message"]) == ("ValueError", "bad")
    assert facts["traceback"] == ()
    assert facts["current_inputs"] == {"a": [1], "b": list(range(MOST_ITEMS))}


def test_notes_on_an_error_are_part_of_its_message() -> None:
    error = MemoryError("no room")
    error.add_note("Take less.")
    assert Failure(PLACE, error, {}).facts()["exception_message"] == "no room\nTake less."


def test_the_traceback_begins_where_the_engine_ends() -> None:
    def inner() -> None:
        raise ValueError

    try:
        inner()
    except ValueError as error:
        lines = lines_of(error)
    assert len(lines) == 2
    assert "in inner" in lines[-1]
