"""File prefixes that speak of the workflow: `%date:yyyy-MM-dd%` and `%KSampler.seed%`."""

import re
import time
from collections.abc import Iterator, Mapping
from typing import Annotated, Any

from execution.declare.node import Hidden

PromptGraph = Annotated[dict[str, Any] | None, Hidden("PROMPT")]
"""The prompt that is run."""
ExtraPngInfo = Annotated[dict[str, Any] | None, Hidden("EXTRA_PNGINFO")]
"""What came with it to be kept in files; `workflow` is the editor's document."""

DATE_PARTS = {"yyyy": "%Y", "yy": "%y", "MM": "%m", "dd": "%d", "hh": "%H", "mm": "%M", "ss": "%S"}
SINGLE_PARTS = {"M": "tm_mon", "d": "tm_mday", "h": "tm_hour", "m": "tm_min", "s": "tm_sec"}
DATE = re.compile("|".join([*DATE_PARTS, *SINGLE_PARTS]))
NOT_IN_NAMES = re.compile(r'[/?<>\\:*|"\x00-\x1f\x7f]')


def prefix_of(prefix: str, prompt: PromptGraph, extra: ExtraPngInfo) -> str:
    """`filled` from what a saving node is handed."""
    return filled(prefix, prompt, (extra or {}).get("workflow"))


def filled(
    prefix: str,
    prompt: Mapping[str, Any] | None,
    workflow: Mapping[str, Any] | None = None,
    now: time.struct_time | None = None,
) -> str:
    """`prefix` with dates and values of the workflow in place of what stands between percent signs.

    `%Node.widget%` is the value of a widget; the node goes by its "Node name for S&R", its
    title, its type or its id. What is not known (`%width%` among it) stays as it is.
    """
    if "%" not in prefix:
        return prefix
    now = now or time.localtime()

    def replace(found: re.Match[str]) -> str:
        key = found.group(1)
        if key.startswith("date:"):
            return date(key.removeprefix("date:"), now)
        value = widget_value(key, prompt or {}, workflow or {})
        return found.group(0) if value is None else NOT_IN_NAMES.sub("_", str(value))

    return re.sub(r"%([^%]+)%", replace, prefix)


def date(pattern: str, now: time.struct_time) -> str:
    """`pattern` with yyyy, yy, MM, M, dd, d, hh, h, mm, m, ss and s replaced by the time."""

    def part(found: re.Match[str]) -> str:
        name = found.group(0)
        if name in DATE_PARTS:
            return time.strftime(DATE_PARTS[name], now)
        return str(getattr(now, SINGLE_PARTS[name]))

    return DATE.sub(part, pattern)


def widget_value(
    key: str, prompt: Mapping[str, Any], workflow: Mapping[str, Any]
) -> str | int | float | None:
    """The value of `Node.widget` in the prompt, or None."""
    name, _, widget = key.rpartition(".")
    for node_id in _ids_of(name, prompt, workflow) if name else ():
        value = prompt.get(node_id, {}).get("inputs", {}).get(widget)
        if isinstance(value, str | int | float):
            return value
    return None


def _ids_of(name: str, prompt: Mapping[str, Any], workflow: Mapping[str, Any]) -> Iterator[str]:
    """Ids of the nodes that are called `name`, the surest first."""
    for each in workflow.get("nodes", ()):
        if each.get("properties", {}).get("Node name for S&R") == name:
            yield str(each.get("id"))
    for each in workflow.get("nodes", ()):
        if each.get("title") == name:
            yield str(each.get("id"))
    for node_id, each in prompt.items():
        if name in (each.get("_meta", {}).get("title"), each.get("class_type"), node_id):
            yield node_id
