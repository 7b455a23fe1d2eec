"""Formulas give what they say, and nothing else can be done with them."""

import contextlib
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodes.logic.numbers import BadFormula, calculated, parsed

RIGHT = {
    "a + b": 5.0,
    "max(((a + 15) // 16) * 16, 256)": 256.0,
    "(a // 32) * 32": 0.0,
    "a & ~1": 2,
    "a > 1": True,
    "floor(a / 2) * 2": 2,
    "round (a * 24)": 48,
    "sum(values)": 5,
    "pow(a, b)": 8,
    "a ** -1": 0.5,
    "a if a > b else b": 3,
    "max(5, round(a * 24)) + (5 - (max(5, round(a * 24)) % 17)) % 17": 56,
    "int(log2(8)) << 2": 12,
    "  a\n": 2,
}
WRONG = {
    "": "empty",
    "a +": "",
    "c": "'c' is not defined",
    "__import__('os')": "",
    "a.__class__": "",
    "'x' * 9": "no number",
    "9 ** 9 ** 9": "too large",
    "1 << 99999999": "too large",
    "1 / 0": "zero",
    "1e308 * 10": "inf",
    "values[9]": "",
    "[x for x in values if x]": "no number",
    "float('nan')": "nan",
    "a; b": "invalid syntax",
    "c = a": "invalid syntax",
}


@pytest.mark.parametrize("formula", RIGHT)
def test_a_formula_is_calculated(formula: str) -> None:
    found = calculated(formula, {"a": 2, "b": 3})
    assert found == RIGHT[formula]


@pytest.mark.parametrize("formula", WRONG)
def test_what_cannot_be_calculated_is_named(formula: str) -> None:
    with pytest.raises(ValueError, match="expression") as caught:
        calculated(formula, {"a": 2, "b": 3})
    assert WRONG[formula] in str(caught.value)


@given(st.text(max_size=40))
def test_any_text_gives_a_number_or_an_error_that_names_the_input(text: str) -> None:
    with contextlib.suppress(BadFormula):
        assert math.isfinite(calculated(text, {"a": 1}))


@given(st.integers(-(10**30), 10**30))
def test_whole_numbers_of_any_length_are_exact(number: int) -> None:
    assert parsed(str(number))[1] == number
    assert parsed(number)[1] == number


@pytest.mark.parametrize(
    ("value", "wanted"), [("3.9", (3.9, 3)), (True, (1.0, 1)), (-2.5, (-2.5, -2)), (" 7 ", (7.0, 7))]
)
def test_numbers_are_found(value: str | float, wanted: tuple[float, int]) -> None:
    assert parsed(value) == wanted


@pytest.mark.parametrize("value", ["", "word", "inf", "nan", math.inf])
def test_what_is_no_number_is_said(value: str | float) -> None:
    with pytest.raises(ValueError, match="value"):
        parsed(value)
