"""The identity of a node's result: a hash of its type, its code, its constants and its parents' keys.

No node ids are in it, so equal work under another id or in another workflow has the same key. Constants
are written canonically: `1`, `1.0` and `true` differ, NaN equals itself, the order of an object's members
does not matter. A result that has no such identity, because its fingerprint holds a NaN ("always run") or
a constant cannot be named, gets a key of its own once (`fresh_key`) and is called volatile, as is all
that follows from it.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

Key = bytes
ValueKey = Callable[[Any], str | None]
"""Names a value by its content, or gives None: how to name what the engine does not know (tensors)."""
KEY_BYTES = 16
MOST_PARTS = 200_000
"""A constant of more parts is not named (or contains itself)."""


class Source(NamedTuple):
    """Where a linked input comes from: the parent's key and the output's slot; of a list, maybe one item."""

    key: Key
    slot: int
    item: int | None = None


class Parts(NamedTuple):
    """What goes into a key. `node_id` is given where the id matters to the result."""

    class_type: str
    code: str
    constants: Mapping[str, Any]
    links: Mapping[str, Source]
    fingerprint: Any = None
    node_id: str | None = None


def no_name(value: Any) -> str | None:
    """The value key of a program that names no values."""
    return None


def fresh_key() -> Key:
    """A key that no other result has."""
    return os.urandom(KEY_BYTES)


def key_of(parts: Parts, value_key: ValueKey = no_name) -> Key | None:
    """The key of a node, or None when it has no identity."""
    words = [parts.class_type, parts.code]
    constants = parts.constants
    for name in sorted(constants) if len(constants) > 1 else constants:
        word = canonical(constants[name], value_key)
        if word is None:
            return None
        words += (name, word)
    words.append("")
    links = parts.links
    for name in sorted(links) if len(links) > 1 else links:
        key, slot, item = links[name]
        words += (name, key.hex(), f"{slot}.{item}")
    if parts.fingerprint is not None or parts.node_id is not None:
        word = None if has_nan(parts.fingerprint) else canonical(parts.fingerprint, value_key)
        if word is None:
            return None
        words += ("", word, repr(parts.node_id))
    text = "\1".join(words).encode("utf-8", "surrogatepass")
    return hashlib.blake2b(text, digest_size=KEY_BYTES).digest()


def canonical(value: Any, value_key: ValueKey = no_name) -> str | None:
    """A text that is the same for equal values and differs for others; None when part of it has no name."""
    if type(value) in (str, int, float, bool):
        return repr(value)
    words: list[str] = []
    pending: list[Any] = [value]
    while pending and len(words) < MOST_PARTS:
        current = pending.pop()
        word, inside = _written(current, value_key)
        if word is None:
            return None
        words.append(word)
        pending += inside
    return None if pending else ",".join(words)


def _written(value: Any, value_key: ValueKey) -> tuple[str | None, list[Any]]:
    """One value as a word, and what is inside it, last first."""
    if value is None or value is True or value is False:
        return repr(value), []
    for kind in (str, int, float):
        if isinstance(value, kind):
            return kind.__repr__(value), []
    named = value_key(value)
    if named is not None:
        return f"={type(value).__name__} {named}", []
    if isinstance(value, list | tuple):
        return f"[{len(value)}", list(reversed(value))
    if isinstance(value, dict):
        members = sorted(value.items(), key=lambda member: repr(member[0]), reverse=True)
        return f"{{{len(value)}", [part for name, member in members for part in (member, name)]
    if isinstance(value, set | frozenset):
        return f"<{sorted(map(repr, value))!r}", []
    return (repr(value) if isinstance(value, bytes) else None), []


def has_nan(value: Any) -> bool:
    """Whether a NaN is in the value, or anywhere in its lists and objects."""
    pending, seen = [value], 0
    while pending and seen < MOST_PARTS:
        current = pending.pop()
        seen += 1
        if isinstance(current, float) and current != current:
            return True
        if isinstance(current, list | tuple | set | frozenset):
            pending += current
        elif isinstance(current, dict):
            pending += current.values()
    return False
