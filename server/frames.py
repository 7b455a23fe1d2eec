"""ComfyUI's WebSocket messages, and our own beside them. All are made here: nothing else in the server knows
their shapes.

JSON frames are `{"type", "data"}`. Binary frames start with their kind as a big-endian 32-bit number: 1 is a
preview (picture kind, then bytes), 4 a preview with metadata (length, JSON, bytes), for clients that read it.
"""

import json
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property, singledispatchmethod
from typing import Any

from execution.events import (
    Blocked,
    Cached,
    Done,
    Event,
    Failed,
    Finished,
    Interrupted,
    Noticed,
    Place,
    Preview,
    PreviewReady,
    Progress,
    Running,
    Started,
)
from server.jobs import Outcome, Status
from server.journal import lenient

PREVIEW, PREVIEW_WITH_METADATA = 1, 4
PICTURE_KINDS = {"jpeg": 1, "png": 2}
STATE_SECONDS = 0.05
"""The least time between two progress_state messages that only say that nodes of a large graph came and
went.
"""
SMALL_GRAPH = 64
"""Up to so many nodes, each that comes or goes is told by a progress_state."""
FINISHED_SHOWN = 256
"""How many finished nodes, cached ones too, a progress_state still lists."""


@dataclass(frozen=True)
class Frame:
    """A JSON message. Of frames with the same `replaces`, a reader that is behind only needs the newest."""

    type: str
    data: Mapping[str, Any]
    to_all: bool = False
    replaces: str | None = None

    @cached_property
    def text(self) -> str:
        return f'{{"type":{json.dumps(self.type)},"data":{lenient(self.data)}}}'

    def numbered(self, number: int) -> str:
        """The text with its number, for clients that reconnect by it."""
        return f'{self.text[:-1]},"number":{number}}}'


@dataclass(frozen=True)
class Picture:
    """A preview on its way to its client, encoded at most once a way."""

    job: str
    place: Place
    preview: Preview

    @cached_property
    def plain(self) -> bytes:
        return struct.pack(">II", PREVIEW, PICTURE_KINDS[self.preview.kind]) + self.preview.data

    @cached_property
    def with_metadata(self) -> bytes:
        described = {**where(self.place), "prompt_id": self.job, "image_type": f"image/{self.preview.kind}"}
        metadata = lenient(described).encode()
        return struct.pack(">II", PREVIEW_WITH_METADATA, len(metadata)) + metadata + self.preview.data


def where(place: Place) -> dict[str, Any]:
    """A node's place by ComfyUI's names."""
    return {
        "node_id": place.node,
        "display_node_id": place.display_node,
        "parent_node_id": place.parent_node,
        "real_node_id": place.real_node,
    }


def status(remaining: int, sid: str | None = None) -> Frame:
    """How many prompts wait or run; the first one tells a client its id."""
    data: dict[str, Any] = {"status": {"exec_info": {"queue_remaining": remaining}}}
    if sid is not None:
        return Frame("status", {**data, "sid": sid})
    return Frame("status", data, to_all=True, replaces="status")


def ended(job: str) -> Frame:
    """What follows the last word on a job, when its history can be read."""
    return Frame("executing", {"node": None, "prompt_id": job})


def feature_flags(features: Mapping[str, Any]) -> Frame:
    """What this server can do: the answer to a client that says what it can."""
    return Frame("feature_flags", features)


def missed() -> Frame:
    """A client that came back has missed messages that are gone: it reads queue and history anew."""
    return Frame("nodeloom.state", {"missed": True})


def specs(failures: Mapping[str, str]) -> Frame:
    """The node types have changed; `failures` says which packs and types did not load."""
    return Frame("nodeloom.specs", {"failures": failures}, to_all=True)


def died(worker: int, why: str) -> Frame:
    """The process of a worker has ended."""
    return Frame("nodeloom.worker", {"died": worker, "why": why}, to_all=True)


def retried(job: str, why: str) -> Frame:
    """A job whose worker died waits again."""
    advice = "It is run once more; if that fails in the same way it is given up."
    data = {"prompt_id": job, "why": f"The worker process died: {why}", "advice": advice}
    return Frame("nodeloom.retry", data)


def of_pack(name: str, body: Any, to_all: bool) -> Frame:
    """A pack's own message."""
    return Frame(name, body, to_all=to_all)


def binary(kind: int, payload: bytes) -> bytes:
    """A pack's own message of bytes."""
    return struct.pack(">I", kind) + payload


class Translator:
    """Turns the events of one run into frames, and keeps what the history will say of it."""

    def __init__(self, job: str) -> None:
        self._job = job
        self.outputs: dict[str, Any] = {}
        self.meta: dict[str, Any] = {}
        self.messages: list[tuple[str, Mapping[str, Any]]] = []
        self.error: Mapping[str, Any] | None = None
        self.status: Status | None = None
        self._said_cached = False
        self._running: dict[str, dict[str, Any]] = {}
        self._finished: dict[str, dict[str, Any]] = {}
        self._state_at = 0.0

    @property
    def running_nodes(self) -> tuple[str, ...]:
        """Ids of the nodes that are at work now, or were when the run broke off."""
        return tuple(self._running)

    def outcome(self, why: str = "") -> Outcome:
        """What the history keeps."""
        return Outcome(
            self.status or Status.ERROR, self.outputs, self.meta, tuple(self.messages), self.error, why
        )

    def frames(self, event: Event) -> Iterator[Frame | Picture]:
        """The messages that tell a client of `event`."""
        if not self._said_cached and not isinstance(event, Started | Cached):
            yield from self._cached(Cached(nodes=(), job=event.job, time=event.time))
        yield from self._frames(event)

    def snapshot(self) -> Iterator[Frame]:
        """What a client that comes late needs: the nodes at work and how far they are."""
        for state in self._running.values():
            data = {
                "node": state["node_id"],
                "display_node": state["display_node_id"],
                "prompt_id": self._job,
            }
            yield Frame("executing", data)
        if self._running:
            yield self._state()

    def failed(self, error: Mapping[str, Any], at: float) -> Frame:
        """End the run with an execution_error that no node raised, such as the death of its worker."""
        self.status, self.error = Status.ERROR, error
        return self._noted("execution_error", dict(error), at)

    def broken_off(self, why: str) -> Frame:
        """End the run as interrupted where the engine could not: its process, or the server, stops."""
        self.status = Status.INTERRUPTED
        notice = {"prompt_id": self._job, "executed": [], "reason": why}
        self.messages.append(("execution_interrupted", notice))
        return Frame("execution_interrupted", notice, to_all=True)

    @singledispatchmethod
    def _frames(self, event: Event) -> Iterator[Frame | Picture]:
        return iter(())

    @_frames.register
    def _started(self, event: Started) -> Iterator[Frame | Picture]:
        self._said_cached = False
        self._finished.clear()
        self.messages.clear()
        yield self._noted("execution_start", {}, event.time)

    @_frames.register
    def _cached(self, event: Cached) -> Iterator[Frame | Picture]:
        first, self._said_cached = not self._said_cached, True
        if first:
            yield self._noted("execution_cached", {"nodes": list(event.nodes)}, event.time)
            for node in event.nodes:
                self._put_by(self._entry(Place(node, node, None, node, ""), 1.0, 1.0, "finished"))
            if event.nodes:
                yield self._state()
        elif event.nodes:
            yield Frame("execution_cached", self._stamped({"nodes": list(event.nodes)}, event.time))

    @_frames.register
    def _now_running(self, event: Running) -> Iterator[Frame | Picture]:
        place = event.place
        self._running[place.node] = self._entry(place, 0.0, 1.0, "running")
        data = {"node": place.node, "display_node": place.display_node, "prompt_id": self._job}
        yield Frame("executing", data)
        yield from self._state_if_due(event.time)

    @_frames.register
    def _progress(self, event: Progress) -> Iterator[Frame | Picture]:
        place = event.place
        self._running[place.node] = self._entry(place, event.value, event.maximum, "running")
        data = {"value": event.value, "max": event.maximum, "prompt_id": self._job, "node": place.node}
        yield self._state()
        yield Frame("progress", data, replaces=f"progress {self._job} {place.node}")

    @_frames.register
    def _preview(self, event: PreviewReady) -> Iterator[Frame | Picture]:
        yield Picture(self._job, event.place, event.preview)

    @_frames.register
    def _noticed(self, event: Noticed) -> Iterator[Frame | Picture]:
        data = {
            "node_id": event.place.real_node,
            "display_node": event.place.display_node,
            "node_type": event.place.class_type,
            "message": event.message,
        }
        yield self._noted("nodeloom.notice", data, event.time)

    @_frames.register
    def _done(self, event: Done) -> Iterator[Frame | Picture]:
        place = event.place
        state = self._running.pop(place.node, None)
        if state is not None or event.cached:
            state = state or self._entry(place, 1.0, 1.0, "finished")
            known = place.node in self._finished
            self._put_by({**state, "value": state["max"], "state": "finished"})
            if not known:
                yield from self._state_if_due(event.time)
        if event.ui is not None:
            shown = self._executed(place, event.ui)
            if event.ui:
                yield shown

    def _put_by(self, state: dict[str, Any]) -> None:
        """Keep a node that came to its end among those still shown."""
        self._finished[state["node_id"]] = state
        while len(self._finished) > FINISHED_SHOWN:
            del self._finished[next(iter(self._finished))]

    def _executed(self, place: Place, ui: Mapping[str, Any]) -> Frame:
        self.outputs[place.node] = ui
        self.meta[place.node] = {
            "node_id": place.node,
            "display_node": place.display_node,
            "parent_node": place.parent_node,
            "real_node_id": place.real_node,
        }
        data = {"node": place.node, "display_node": place.display_node, "output": ui, "prompt_id": self._job}
        return Frame("executed", data)

    @_frames.register
    def _blocked(self, event: Blocked) -> Iterator[Frame | Picture]:
        error = {
            "node_id": event.place.real_node,
            "node_type": event.place.class_type,
            "executed": list(event.executed),
            "exception_message": f"Execution Blocked: {event.message}",
            "exception_type": "ExecutionBlocked",
            "traceback": [],
            "current_inputs": {},
            "current_outputs": [],
        }
        yield self._noted("execution_error", error, event.time)

    @_frames.register
    def _failed(self, event: Failed) -> Iterator[Frame | Picture]:
        state = self._running.pop(event.place.node, None)
        if state is not None:
            self._put_by({**state, "state": "error"})
        self.error = {
            "node_id": event.place.real_node,
            "node_type": event.place.class_type,
            "executed": list(event.executed),
            "exception_message": event.exception_message,
            "exception_type": event.exception_type,
            "traceback": list(event.traceback),
            "current_inputs": event.current_inputs,
            "current_outputs": list(event.current_outputs),
        }
        yield self._noted("execution_error", self.error, event.time)

    @_frames.register
    def _interrupted(self, event: Interrupted) -> Iterator[Frame | Picture]:
        place = event.place
        data = {
            "node_id": place.real_node if place else None,
            "node_type": place.class_type if place else None,
            "executed": list(event.executed),
        }
        yield self._noted("execution_interrupted", data, event.time, to_all=True)

    @_frames.register
    def _over(self, event: Finished) -> Iterator[Frame | Picture]:
        self.status = Status(event.status)
        self._running.clear()
        if self._finished:
            yield self._state()
        if self.status is Status.SUCCESS:
            yield self._noted("execution_success", {}, event.time)

    def _stamped(self, data: Mapping[str, Any], at: float) -> dict[str, Any]:
        return {"prompt_id": self._job, **data, "timestamp": round(at * 1000)}

    def _noted(self, kind: str, data: Mapping[str, Any], at: float, to_all: bool = False) -> Frame:
        """A frame that the history repeats."""
        stamped = self._stamped(data, at)
        self.messages.append((kind, stamped))
        return Frame(kind, stamped, to_all)

    def _entry(self, place: Place, value: float, maximum: float, state: str) -> dict[str, Any]:
        return {**where(place), "value": value, "max": maximum, "state": state, "prompt_id": self._job}

    def _state(self) -> Frame:
        nodes = {**self._finished, **self._running}
        return Frame(
            "progress_state", {"prompt_id": self._job, "nodes": nodes}, replaces=f"state {self._job}"
        )

    def _state_if_due(self, now: float) -> Iterator[Frame]:
        small = len(self._finished) + len(self._running) <= SMALL_GRAPH
        if small or now - self._state_at >= STATE_SECONDS:
            self._state_at = now
            yield self._state()
