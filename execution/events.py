"""The facts about a run, as they leave the engine: frozen, numbered from 1 for each job, timed.

`number` orders a job's events and lets a client ask for what it missed. `time` is wall time (seconds since
the epoch), `memory` what the given meter says (bytes), or None. A `Place` names a node: in an expanded
graph `node` is its unique id, `display_node` the node a person sees, `parent_node` the one which expanded,
`real_node` the one in the prompt.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal

Status = Literal["success", "error", "interrupted"]
Purpose = Literal["glimpse", "shown", "result"]
"""Of a preview: `glimpse`, of something unfinished, for those who ask; `shown`, for whoever listens, who can
do with the newest; `result`, what the node is there for: whoever listens gets each.
"""


@dataclass(frozen=True)
class Preview:
    """An encoded picture that a node shows while it works. `size` is (width, height) or None."""

    kind: Literal["jpeg", "png"]
    data: bytes
    size: tuple[int, int] | None = None
    purpose: Purpose = "glimpse"


@dataclass(frozen=True, slots=True)
class Place:
    """Which node a fact is about."""

    node: str
    display_node: str
    parent_node: str | None
    real_node: str
    class_type: str


@dataclass(frozen=True, kw_only=True)
class Event:
    """What every event says; the emitter fills these in."""

    number: int = 0
    job: str = ""
    time: float = 0.0
    memory: int | None = None


@dataclass(frozen=True, kw_only=True)
class Started(Event):
    """A job begins. `nodes` are the ids that its targets may need."""

    nodes: tuple[str, ...]
    targets: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Cached(Event):
    """These nodes need not run; said once at the start, and again when an expansion hits."""

    nodes: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Running(Event):
    """A node is called now."""

    place: Place


@dataclass(frozen=True, kw_only=True)
class Progress(Event):
    """A node has done `value` of `maximum`."""

    place: Place
    value: float
    maximum: float


@dataclass(frozen=True, kw_only=True)
class PreviewReady(Event):
    """A node shows what it has so far."""

    place: Place
    preview: Preview


@dataclass(frozen=True, kw_only=True)
class Noticed(Event):
    """A node goes on, but not quite as was asked for, such as without a file that is not there."""

    place: Place
    message: str


@dataclass(frozen=True, kw_only=True)
class Done(Event):
    """A node has its outputs, after `seconds` or from the cache. `ui` is what it shows."""

    place: Place
    ui: Mapping[str, Any] | None
    seconds: float
    cached: bool = False


@dataclass(frozen=True, kw_only=True)
class Blocked(Event):
    """A node does not run, because one of its inputs carries a blocker with this message."""

    place: Place
    message: str
    executed: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Failed(Event):
    """A node raised, which ends the job. Values are shown as text; `executed` are the nodes done by then."""

    place: Place
    exception_type: str
    exception_message: str
    traceback: tuple[str, ...]
    current_inputs: Mapping[str, Any]
    current_outputs: tuple[str, ...]
    executed: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Interrupted(Event):
    """The job was cancelled, while `place` ran if it is not None."""

    place: Place | None
    executed: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Finished(Event):
    """The last event of a job."""

    status: Status
    seconds: float


Emit = Callable[[Event], None]
"""Takes each event; may be called from the lane's thread or the event loop's, never by two at once."""

KINDS: Mapping[str, type[Event]] = {
    kind.__name__: kind
    for kind in (
        Started, Cached, Running, Progress, PreviewReady, Noticed, Done, Blocked, Failed, Interrupted,
        Finished,
    )
}  # fmt: skip


def to_json(event: Event) -> tuple[dict[str, Any], bytes]:
    """The event as JSON values, and the bytes of its preview (empty for other events)."""
    shape: dict[str, Any] = {"kind": type(event).__name__}
    payload = b""
    for each in fields(event):
        value = getattr(event, each.name)
        if isinstance(value, Preview):
            payload = value.data
            value = {"kind": value.kind, "size": value.size, "purpose": value.purpose}
        shape[each.name] = asdict(value) if isinstance(value, Place) else value
    return shape, payload


def from_json(shape: Mapping[str, Any], payload: bytes = b"") -> Event:
    """Read what `to_json` wrote."""
    kind: type[Any] = KINDS[shape["kind"]]
    values = {name: value for name, value in shape.items() if name != "kind"}
    if values.get("place") is not None:
        values["place"] = Place(**values["place"])
    if "preview" in values:
        described = values["preview"]
        size = tuple(described["size"]) if described["size"] else None
        values["preview"] = Preview(described["kind"], payload, size, described["purpose"])
    event: Event = kind(**{name: _tuple(each) for name, each in values.items()})
    return event


def _tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value
