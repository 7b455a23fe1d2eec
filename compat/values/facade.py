"""What the facades of values share."""

from __future__ import annotations

from typing import Any


class Facade:
    """Base of the facades."""

    kind = "value"

    def own(self) -> Any:
        """Our value."""
        raise NotImplementedError

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(
            f"this {self.kind} has no {name!r}: it is Nodeloom's own, not the inside of ComfyUI's, "
            "which the node wants to reach into"
        )
