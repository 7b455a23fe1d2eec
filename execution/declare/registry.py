"""The node types a program has, bound to what it provides."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from execution.declare.node import NativeNode, NodeType
from execution.declare.spec import NodeSpec
from execution.errors import DeclarationError


class Registry:
    """Node types by name. Packs add theirs while they load; a later one replaces an earlier of its name."""

    def __init__(
        self, node_types: Iterable[NodeType] = (), provide: Mapping[type, Any] | None = None
    ) -> None:
        """Bind native types to the objects in `provide` (by class) and keep all by name.

        Raises:
            DeclarationError: two of `node_types` have one name, or a parameter's class is not provided.
        """
        self.provide: dict[type, Any] = dict(provide or {})
        self.failures: dict[str, str] = {}
        self._types: dict[str, NodeType] = {}
        for each in node_types:
            if each.spec.name in self._types:
                raise DeclarationError(each.spec.name, None, "is declared twice", "rename one of them")
            self.add(each)

    @property
    def types(self) -> Mapping[str, NodeType]:
        """The types by name."""
        return self._types

    def add(self, node_type: NodeType) -> None:
        """Take one more type."""
        bound = node_type.bind(self.provide) if isinstance(node_type, NativeNode) else node_type
        self._types[bound.spec.name] = bound

    def spec(self, name: str) -> NodeSpec | None:
        """The spec of one type as of now, or None; a type that fails to describe itself is in `failures`."""
        node_type = self._types.get(name)
        if node_type is None:
            return None
        try:
            spec = node_type.describe()
        except Exception as error:  # a pack's code: it fails alone
            self.failures[name] = f"{type(error).__name__}: {error}"
            return None
        self.failures.pop(name, None)
        return spec

    def specs(self) -> dict[str, NodeSpec]:
        """The specs of all types as of now, without those that fail to describe themselves."""
        found = ((name, self.spec(name)) for name in list(self._types))
        return {name: spec for name, spec in found if spec is not None}
