"""Constants become what their input is, or stay what they are."""

from __future__ import annotations

import math
from typing import Any

import pytest

from execution.declare.conversion import converted, converted_or_same

CASES: list[tuple[Any, Any, Any]] = [
    ("INT", 3, 3),
    ("INT", "3", 3),
    ("INT", 3.9, 3),
    ("INT", True, 1),
    ("FLOAT", 3, 3.0),
    ("FLOAT", "1e3", 1000.0),
    ("STRING", 3, "3"),
    ("STRING", None, "None"),
    ("BOOLEAN", 1, True),
    ("BOOLEAN", 0, False),
    ("BOOLEAN", "true", True),
    ("BOOLEAN", "False ", False),
    ("BOOLEAN", "0", False),
    ("BOOLEAN", "", False),
    ("IMAGE", "3", "3"),
    ("*", "3", "3"),
    (("a", "b"), 3, 3),
]


@pytest.mark.parametrize(("kind", "value", "expected"), CASES)
def test_a_constant_becomes_what_the_input_is(kind: Any, value: Any, expected: Any) -> None:
    found = converted(kind, value)
    assert (found, type(found)) == (expected, type(expected))
    assert converted_or_same(kind, value) == expected


@pytest.mark.parametrize(
    ("kind", "value"),
    [("INT", "x"), ("INT", None), ("INT", math.nan), ("INT", math.inf), ("FLOAT", "x"), ("FLOAT", [1])],
)
def test_what_cannot_become_that_is_an_error_or_left_alone(kind: str, value: Any) -> None:
    with pytest.raises((ValueError, TypeError, OverflowError)):
        converted(kind, value)
    assert converted_or_same(kind, value) is value
