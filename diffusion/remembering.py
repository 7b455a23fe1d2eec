"""Hooks that remember something together: several functions of one object, made afresh for each run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from diffusion.hooks import Hook


@dataclass
class _Shared:
    """Makes one object for each run, whose functions are asked for one after the other."""

    make: Callable[[], object]
    current: object | None = None
    asked: set[str] = field(default_factory=set)

    def started(self, name: str) -> Hook:
        """One of the functions for a run that begins; a name asked for again means another run."""
        if self.current is None or name in self.asked:
            self.current, self.asked = self.make(), set()
        self.asked.add(name)
        function: Hook = getattr(self.current, name)
        return function


@dataclass(frozen=True)
class Method:
    """One function of the object, as a hook that is started with each run."""

    shared: _Shared
    name: str

    def __call__(self, *values: Any) -> Any:
        """The function of an object that lives for this one call; runs ask for `for_run` instead."""
        return getattr(self.shared.make(), self.name)(*values)

    def for_run(self) -> Hook:
        """The function for a run that begins."""
        return self.shared.started(self.name)


def methods(make: Callable[[], object], *names: str) -> tuple[Method, ...]:
    """Hooks that are the functions `names` of one object, which `make` makes for each run."""
    shared = _Shared(make)
    return tuple(Method(shared, name) for name in names)
