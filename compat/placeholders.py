"""Names of ComfyUI that we do not have: they can be imported and subclassed, and raise only when used.

Most packs import far more than they use, and one missing name fails a whole pack at import. A placeholder
lets the pack load; the node that truly needs the name says so when it runs. The table is `placeholders.txt`:
a line a module, its name, a colon, and the names in it that packs are known to ask for. A name not in the
table stays an error, so that `try: from comfy.x import y` still tells a pack what is not there.
"""

from __future__ import annotations

from abc import ABCMeta
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any


class NotAvailable(NotImplementedError):
    """A pack used a part of ComfyUI's inside that exists here only by name."""

    def __init__(self, name: str) -> None:
        super().__init__(
            f"{name} is an internal of ComfyUI that Nodeloom does not have, so this node cannot run here. "
            "Other nodes of the pack are not affected."
        )
        self.name = name


class PlaceholderType(ABCMeta):
    """The type of placeholders: attributes of a placeholder are placeholders again, calling one raises."""

    def __getattr__(cls, attribute: str) -> Any:
        if attribute.startswith("__") or "stands_for" not in vars(cls):
            raise AttributeError(f"type object {cls.__name__!r} has no attribute {attribute!r}")
        made = placeholder(f"{vars(cls)['stands_for']}.{attribute}")
        setattr(cls, attribute, made)
        return made

    def __repr__(cls) -> str:
        name = vars(cls).get("stands_for")
        return f"<placeholder for {name}>" if name else super().__repr__()


def placeholder(name: str) -> PlaceholderType:
    """A class that stands for `name` (dotted), may be subclassed, and raises NotAvailable when called."""

    def refuse(self: object, *_args: object, **_kwargs: object) -> None:
        raise NotAvailable(name)

    last = name.rpartition(".")[2]
    return PlaceholderType(
        last, (), {"stands_for": name, "__init__": refuse, "__module__": name.rpartition(".")[0]}
    )


def read_table(text: str) -> dict[str, frozenset[str]]:
    """Module → names, from lines `module: name name …`; `#` starts a comment."""
    rows = (line.partition("#")[0].partition(":") for line in text.splitlines())
    return {module.strip(): frozenset(names.split()) for module, colon, names in rows if colon}


@cache
def placeholder_table() -> MappingProxyType[str, frozenset[str]]:
    """The table, with every parent package of a module in it."""
    table = read_table(Path(__file__).with_name("placeholders.txt").read_text("utf-8"))
    parents = {module.rsplit(".", n)[0] for module in table for n in range(1, module.count(".") + 1)}
    return MappingProxyType({**dict.fromkeys(parents, frozenset()), **table})


def placeholder_names(module: str) -> frozenset[str]:
    """The names of one module that answer with a placeholder."""
    return placeholder_table().get(module, frozenset())
