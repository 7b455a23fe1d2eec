"""Every event survives the way to the server."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest

from execution import events
from execution.events import Event, Place, Preview

PLACE = Place("5.0.1", "5", "5.0", "5", "KSampler")
BASE: Mapping[str, Any] = {"number": 3, "job": "j", "time": 1.5, "memory": 100}
ALL: list[Event] = [
    events.Started(**BASE, nodes=("1", "2"), targets=("2",)),
    events.Cached(**BASE, nodes=()),
    events.Running(**BASE, place=PLACE),
    events.Progress(**BASE, place=PLACE, value=1.0, maximum=2.0),
    events.PreviewReady(**BASE, place=PLACE, preview=Preview("jpeg", b"\xff\x00", (4, 3))),
    events.PreviewReady(**BASE, place=PLACE, preview=Preview("png", b"")),
    events.Noticed(**BASE, place=PLACE, message="There is no such file."),
    events.Done(**BASE, place=PLACE, ui={"images": [{"filename": "a.png"}]}, seconds=0.5, cached=True),
    events.Blocked(**BASE, place=PLACE, message="no", executed=("1",)),
    events.Failed(
        **BASE,
        place=PLACE,
        exception_type="ValueError",
        exception_message="bad",
        traceback=("a", "b"),
        current_inputs={"x": [1]},
        current_outputs=("1",),
        executed=("1",),
    ),
    events.Interrupted(**BASE, place=None, executed=()),
    events.Interrupted(**BASE, place=PLACE, executed=("1",)),
    events.Finished(**BASE, status="success", seconds=2.0),
]


@pytest.mark.parametrize("event", ALL, ids=lambda each: type(each).__name__)
def test_every_event_survives_json(event: Event) -> None:
    shape, payload = events.to_json(event)
    assert events.from_json(json.loads(json.dumps(shape)), payload) == event


def test_all_kinds_of_events_are_tried_above() -> None:
    assert {type(each).__name__ for each in ALL} == set(events.KINDS)


def test_events_are_frozen() -> None:
    with pytest.raises(AttributeError):
        ALL[0].number = 9  # type: ignore[misc]  # that is the point
