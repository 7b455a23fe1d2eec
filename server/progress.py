"""How far a job is: nodes done of those it needs and steps of the one at work, counted from its events."""

from functools import singledispatchmethod
from typing import Any

from execution.events import Cached, Done, Event, Place, Progress, Running, Started


class Tally:
    """Takes a job's events; gives the whole state at any time. Nodes of expanded graphs count as the one that
    expanded.
    """

    def __init__(self) -> None:
        self._nodes: frozenset[str] = frozenset()
        self._done: set[str] = set()
        self._current: Place | None = None
        self._step: tuple[float, float] | None = None

    def take(self, event: Event) -> None:
        """Count an event."""
        self._take(event)

    @singledispatchmethod
    def _take(self, event: Event) -> None:
        """Most events say nothing of this."""

    @_take.register
    def _started(self, event: Started) -> None:
        self._nodes = frozenset(event.nodes)

    @_take.register
    def _cached(self, event: Cached) -> None:
        self._done |= self._nodes & set(event.nodes)

    @_take.register
    def _running(self, event: Running) -> None:
        self._current, self._step = event.place, None

    @_take.register
    def _progress(self, event: Progress) -> None:
        self._current, self._step = event.place, (event.value, event.maximum)

    @_take.register
    def _over(self, event: Done) -> None:
        self._done |= self._nodes & {event.place.node}
        if self._current is not None and event.place.node == self._current.node:
            self._current, self._step = None, None

    def to_json(self) -> dict[str, Any]:
        """The state: `value` from 0 to 1, `nodes_done` of `nodes_total`, the node at work and its step."""
        total, done = len(self._nodes), len(self._done)
        step, steps = self._step or (None, None)
        part = step / steps if step is not None and steps else 0.0
        place = self._current
        return {
            "value": round(min(1.0, (done + min(max(part, 0.0), 1.0)) / total), 6) if total else 0.0,
            "nodes_done": done,
            "nodes_total": total,
            "current_node": place.display_node if place else None,
            "current_node_class": place.class_type if place else None,
            "step": None if step is None else round(step),
            "steps": None if steps is None else round(steps),
            "message": f"{place.class_type} {step:g}/{steps:g}" if place and step is not None else None,
        }
