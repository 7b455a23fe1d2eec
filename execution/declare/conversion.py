"""Constants as the input's type wants them: `"20"` for an INT is 20."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

FALSE_WORDS = frozenset({"", "0", "false", "no", "off"})


def to_bool(value: Any) -> bool:
    """Truth; of a text, whether it does not say no."""
    return value.strip().lower() not in FALSE_WORDS if isinstance(value, str) else bool(value)


CONVERTERS: Mapping[str, tuple[type, Callable[[Any], Any]]] = {
    "INT": (int, int),
    "FLOAT": (float, float),
    "STRING": (str, str),
    "BOOLEAN": (bool, to_bool),
}
"""The Python type of each widget type and how to get there."""


def converted(kind: str | tuple[Any, ...], value: Any) -> Any:
    """`value` as the widget type `kind` wants it; unchanged for other types.

    Raises:
        ValueError, TypeError, OverflowError: it cannot be.
    """
    if type(kind) is not str or kind not in CONVERTERS:
        return value
    wanted, convert = CONVERTERS[kind]
    return value if type(value) is wanted else convert(value)


def converted_or_same(kind: str | tuple[Any, ...], value: Any) -> Any:
    """`value` as `kind` wants it, or unchanged where that cannot be."""
    try:
        return converted(kind, value)
    except (ValueError, TypeError, OverflowError):
        return value
