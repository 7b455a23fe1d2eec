"""Small prompts of toy nodes. A `seed` makes work new to the cache."""

from typing import Any

Prompt = dict[str, Any]


def node(kind: str, **inputs: Any) -> dict[str, Any]:
    """One node of a prompt."""
    return {"class_type": kind, "inputs": inputs}


def shown(source: dict[str, Any]) -> Prompt:
    """A prompt that shows what a node gives."""
    return {"1": source, "2": node("ToyShow", value=["1", 0])}


def number(value: int = 1) -> Prompt:
    return shown(node("ToyNumber", value=value))


def sleep(seconds: float, seed: int = 0) -> Prompt:
    return shown(node("ToySleep", seconds=seconds, seed=seed))


def saved(prefix: str, value: int = 1) -> Prompt:
    return {"1": node("ToyNumber", value=value), "2": node("ToySave", filename_prefix=prefix, value=["1", 0])}
