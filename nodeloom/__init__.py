"""The parts joined: what the command line and Python start from.

from nodeloom import Engine

with Engine(models="models") as engine:
    result = engine.run("workflow.json")
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nodeloom.session import Engine as Engine

__all__ = ["Engine"]


def __getattr__(name: str) -> Any:
    """`Engine`, loaded when it is asked for: the command line must not pay for torch to print its help."""
    if name == "Engine":
        from nodeloom.session import Engine

        return Engine
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
