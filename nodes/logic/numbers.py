"""Calculating with numbers."""

import ast
import math
from collections.abc import Callable, Mapping
from string import ascii_lowercase
from typing import Annotated, NamedTuple

from simpleeval import DEFAULT_OPERATORS, EvalWithCompoundTypes, InvalidExpression

from execution.declare.node import Grows, Multiline, Tip, node


def power(base: float, exponent: float) -> float:
    """base ** exponent, as long as that takes no more than a moment. ValueError beyond."""
    if abs(exponent) > LARGEST_EXPONENT or abs(base) > LARGEST_BASE:
        raise ValueError(f"{base} to the power of {exponent} is too large")
    found: float = base**exponent
    return found


def shifted(value: int, places: int) -> int:
    """value << places, within reason. ValueError beyond."""
    if not 0 <= places <= LARGEST_EXPONENT:
        raise ValueError(f"{value} << {places} is too large")
    return value << places


LARGEST_EXPONENT, LARGEST_BASE = 4000, 1e300
OPERATORS = {**DEFAULT_OPERATORS, ast.Pow: power, ast.LShift: shifted}
FUNCTIONS: Mapping[str, Callable[..., object]] = {
    **{each.__name__: each for each in (sum, min, max, abs, round, int, float)},
    **{
        name: getattr(math, name)
        for name in ["sqrt", "ceil", "floor", "log", "log2", "log10", "sin", "cos", "tan"]
    },
    "pow": power,
}
"""What an expression may call."""

CONSTANTS: Mapping[str, float | bool] = {"pi": math.pi, "e": math.e, "True": True, "False": False}


class BadFormula(ValueError):
    """A formula that cannot be calculated; the message names the input, the formula and why."""


class Numbers(NamedTuple):
    """A number, as each kind of number."""

    FLOAT: float
    INT: int
    BOOL: bool


class Converted(NamedTuple):
    """A number with and without its fraction."""

    FLOAT: float
    INT: int


@node("ComfyMathExpression", category="math", v3=True, search_aliases=("calculate", "formula", "arithmetic"))
def expression(
    expression: Annotated[
        str, Multiline(), Tip("A formula of the values a, b, c …, such as max(a, 2 * b).")
    ] = "a + b",
    *,
    values: Annotated[
        Mapping[str, float | int | bool],
        Grows(names=tuple(ascii_lowercase), min=1),
        Tip("The numbers of the formula, by their letters."),
    ],
) -> Numbers:
    """Math Expression.

    Calculates a formula of numbers: + - * / // % **, comparisons, & | ~, and sum, min, max, abs, round, pow,
    sqrt, ceil, floor, log, log2, log10, sin, cos, tan, int, float. `values` is the list of all numbers.
    """
    number = calculated(expression, values)
    return Numbers(float(number), int(number), bool(number))


@node("ComfyNumberConvert", category="math", v3=True, search_aliases=("int", "float", "parse number"))
def convert(
    value: Annotated[int | float | str | bool, Tip("A number, a truth, or a text that holds a number.")],
) -> Converted:
    """Convert Number.

    A number of a text or of another kind; without its fraction as INT.
    """
    return Converted(*parsed(value))


def calculated(formula: str, values: Mapping[str, float]) -> float:
    """The value of a formula of named numbers.

    Nothing but the operators, FUNCTIONS and the names is understood, so that a formula in a stranger's
    workflow can do no harm.

    Raises:
        BadFormula: it is empty, cannot be read, or gives no finite number; the message says what.
    """
    if not formula.strip():
        raise BadFormula("input 'expression' is empty; write a formula such as a + b")
    names = {**CONSTANTS, **values, "values": list(values.values())}
    try:
        reader = EvalWithCompoundTypes(operators=OPERATORS, functions=dict(FUNCTIONS), names=names)
        found = reader.eval(formula, ast.parse(formula.strip(), mode="eval").body)  # one expression
        if not isinstance(found, int | float):
            raise ValueError(f"it gives {found!r}, which is no number")
        if not math.isfinite(float(found)):
            raise ValueError(f"it gives {found}")
    except (InvalidExpression, SyntaxError, ArithmeticError, TypeError, ValueError, LookupError) as error:
        raise BadFormula(f"input 'expression', {formula.strip()!r}: {error}") from error
    return found


def parsed(value: int | float | str | bool) -> tuple[float, int]:
    """A number as float and as int, the fraction cut off; whole numbers of any length are exact.

    Raises:
        ValueError: a text is empty or no finite number.
    """
    if isinstance(value, str):
        text = value.strip()
        try:
            value = int(text) if text.lstrip("+-").isdigit() else float(text)
        except ValueError:
            raise ValueError(f"input 'value' is {value!r}, which is no number") from None
    if not math.isfinite(value):
        raise ValueError(f"input 'value' is {value}, which is no finite number")
    return float(value), int(value)
