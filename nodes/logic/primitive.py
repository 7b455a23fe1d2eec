"""Single values on a node of their own, so that several inputs can share one."""

from typing import Annotated

from execution.declare.node import Multiline, Options, Range, Tip, node

LIMIT = 9223372036854775807  # of a 64-bit number


@node("PrimitiveString", category="utils/primitive")
def string(value: Annotated[str, Options(multiline=False), Tip("The text.")]) -> str:
    """String.

    One line of text.
    """
    return value


@node("PrimitiveStringMultiline", category="utils/primitive")
def string_multiline(value: Annotated[str, Multiline(), Tip("The text.")]) -> str:
    """String (Multiline).

    A text of several lines.
    """
    return value


@node("PrimitiveInt", category="utils/primitive")
def integer(
    value: Annotated[int, Range(-LIMIT, LIMIT), Options(control_after_generate=True), Tip("The number.")],
) -> int:
    """Int.

    A whole number.
    """
    return value


@node("PrimitiveFloat", category="utils/primitive")
def real(value: Annotated[float, Range(-LIMIT, LIMIT), Tip("The number.")]) -> float:
    """Float.

    A number with decimals.
    """
    return value


@node("PrimitiveBoolean", category="utils/primitive")
def boolean(value: Annotated[bool, Tip("Yes or no.")]) -> bool:
    """Boolean.

    Yes or no.
    """
    return value
