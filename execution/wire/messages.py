"""What server and worker say to each other: plain data, one JSON object and maybe some bytes each.

    server → worker    Job, CancelJob, Listening, Ask, Shutdown
    worker → server    Hello, Loaded, EventSent, JobDone, Answer, Broadcast

An `Ask` is answered by one `Answer` with its number, also while a job computes. The questions a worker
knows are listed in `execution.wire.worker`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

from execution import events
from execution.events import Event, Status
from execution.job import Job

Frame = tuple[dict[str, Any], bytes]


@dataclass(frozen=True)
class CancelJob:
    """Stop this job, whether it runs or waits; no other one."""

    job: str


@dataclass(frozen=True)
class Listening:
    """Whether anybody asks for glimpses of what is unfinished; they are not made while nobody does."""

    previews: bool


@dataclass(frozen=True)
class Ask:
    """A question, by name, with a number for its answer."""

    request: int
    question: str
    arguments: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Shutdown:
    """Cancel what runs and end."""


@dataclass(frozen=True)
class Hello:
    """A worker process is there, before it has loaded anything."""

    pid: int
    device: str


@dataclass(frozen=True)
class Loaded:
    """The worker has its node types: `NodeSpec.to_json()` by name, and why others failed, by type or pack.

    replacements: what takes the place of types that have gone; see `workflows.replacements`.
    """

    specs: Mapping[str, Any]
    failures: Mapping[str, str]
    seconds: float
    replacements: Sequence[Mapping[str, Any]] = field(default_factory=list)


@dataclass(frozen=True)
class EventSent:
    """A fact about a job; the bytes of a preview travel beside it."""

    event: Event


@dataclass(frozen=True)
class JobDone:
    """A job is over; nothing follows about it. What its nodes showed its events have told.

    error: the text of a failure of the engine itself, when no `Failed` event says more.
    """

    job: str
    status: Status
    error: str | None = None


@dataclass(frozen=True)
class Answer:
    """The answer to `Ask` number `request`; `error` is a text when there is none."""

    request: int
    value: Any = None
    error: str | None = None
    payload: bytes = b""


@dataclass(frozen=True)
class Broadcast:
    """A message of a node pack to its page: to one client, or to all when `client` is None.

    payload: bytes in place of a body; `name` is then the number of their kind.
    """

    name: str
    body: Any = None
    client: str | None = None
    payload: bytes = b""


Message = (
    Job | CancelJob | Listening | Ask | Shutdown | Hello | Loaded | EventSent | JobDone | Answer | Broadcast
)
KINDS: Mapping[str, type[Any]] = {
    kind.__name__: kind
    for kind in (
        Job, CancelJob, Listening, Ask, Shutdown, Hello, Loaded, EventSent, JobDone, Answer, Broadcast
    )
}  # fmt: skip


def to_frame(message: Message) -> Frame:
    """A message as JSON values and bytes."""
    kind = type(message).__name__
    if isinstance(message, EventSent):
        shape, payload = events.to_json(message.event)
        return {"message": kind, "event": shape}, payload
    values = {each.name: getattr(message, each.name) for each in fields(message)}
    payload = values.pop("payload", b"")
    return {"message": kind, **values}, payload


def from_frame(shape: Mapping[str, Any], payload: bytes = b"") -> Message:
    """Read what `to_frame` wrote.

    Raises:
        KeyError: the kind of message is not known.
    """
    kind = KINDS[shape["message"]]
    if kind is EventSent:
        return EventSent(events.from_json(shape["event"], payload))
    values = {name: value for name, value in shape.items() if name != "message"}
    if kind in (Answer, Broadcast):
        values["payload"] = payload
    if values.get("targets") is not None:
        values["targets"] = tuple(values["targets"])
    message: Message = kind(**values)
    return message
