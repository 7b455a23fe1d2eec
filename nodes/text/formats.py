"""Texts put together from values, and values taken out of texts."""

import json
from collections.abc import Mapping, Sequence
from string import Formatter, ascii_lowercase
from typing import Annotated, Any

from execution.declare.node import Grows, Multiline, Output, Tip, node

Text = Annotated[str, Output("STRING")]


@node("StringFormat", category="text", v3=True, search_aliases=("template", "f-string", "placeholder"))
def format_text(
    f_string: Annotated[
        str, Multiline(), Tip("A text with {a}, {b} … for values, {a:.2f} for two places.")
    ] = "{a}",
    *,
    values: Annotated[
        Mapping[str, Any], Grows(names=tuple(ascii_lowercase), min=0), Tip("What stands for the letters.")
    ],
) -> Text:
    """Format Text.

    Puts values into a text. Write {{ and }} for braces themselves.
    """
    return filled(f_string, values)


@node("JsonExtractString", category="text", v3=True, search_aliases=("json", "parse", "key"))
def json_extract(
    json_string: Annotated[
        str, Multiline(), Tip("A text that holds a JSON object, maybe among other words.")
    ] = "",
    key: Annotated[str, Tip("The name of the value that is wanted.")] = "",
) -> Text:
    """Extract Text from JSON.

    Gives the value of a key of the first JSON object in a text; nothing if there is none.
    """
    value = (first_object(json_string) or {}).get(key)
    return "" if value is None else value if isinstance(value, str) else str(value)


class PlainFormatter(Formatter):
    """Python's format language, but for reaching into values: `{a}` and `{a:.2f}`, no `{a.b}` or `{a[0]}`."""

    def get_field(self, field_name: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> tuple[Any, str]:
        """The value of a name. ValueError for anything else."""
        if field_name not in kwargs:
            known = ", ".join(f"{{{name}}}" for name in kwargs) or "none yet"
            raise ValueError(f"input 'f_string' names {{{field_name}}}; values that are linked: {known}")
        return kwargs[field_name], field_name


def filled(template: str, values: Mapping[str, Any]) -> str:
    """A template with values in the places of their names. ValueError says which place is wrong."""
    return PlainFormatter().vformat(template, (), values)


def first_object(text: str) -> Mapping[str, Any] | None:
    """The first JSON object that begins anywhere in a text."""
    decoder, start = json.JSONDecoder(), text.find("{")
    while start >= 0:
        try:
            found, _ = decoder.raw_decode(text, start)
        except (ValueError, RecursionError):
            start = text.find("{", start + 1)
            continue
        return found if isinstance(found, dict) else None
    return None
