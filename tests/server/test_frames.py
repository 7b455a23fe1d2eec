"""The engine's events as ComfyUI's messages: names, fields and order as its API documents them."""

import json
from collections.abc import Sequence
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
from server.frames import FINISHED_SHOWN, Frame, Picture, Translator, ended, status
from server.jobs import Status

PLACE = Place("4.0.0.1", "4", "4", "4", "KSampler")
AT: dict[str, Any] = {"job": "j", "time": 12.5}
UI = {"images": [{"filename": "a.png", "subfolder": "", "type": "output"}]}
STATE = {
    "node_id": "4.0.0.1", "display_node_id": "4", "parent_node_id": "4", "real_node_id": "4",
    "prompt_id": "j",
}  # fmt: skip


def told(*events: Event) -> tuple[list[tuple[str, Any]], Translator]:
    translator = Translator("j")
    frames = [frame for event in events for frame in translator.frames(event)]
    return [(frame.type, frame.data) for frame in frames if isinstance(frame, Frame)], translator


def kinds(frames: Sequence[tuple[str, Any]]) -> list[str]:
    return [kind for kind, _ in frames if kind != "progress_state"]


def test_a_node_that_shows_nothing_is_in_the_history_and_in_no_message() -> None:
    frames, translator = told(Done(place=PLACE, ui={}, seconds=1.0, **AT))
    assert "executed" not in kinds(frames)
    assert translator.outcome().outputs == {"4.0.0.1": {}}
    assert translator.outcome().meta["4.0.0.1"]["real_node_id"] == "4"


def test_a_run_from_start_to_success() -> None:
    frames, translator = told(
        Started(nodes=("4",), targets=("4",), **AT),
        Cached(nodes=("1", "2"), **AT),
        Running(place=PLACE, **AT),
        Progress(place=PLACE, value=1.0, maximum=20.0, **AT),
        Done(place=PLACE, ui=UI, seconds=1.0, **AT),
        Finished(status="success", seconds=1.0, **AT),
    )
    stamp = {"prompt_id": "j", "timestamp": 12_500}
    executed = {"node": "4.0.0.1", "display_node": "4", "output": UI, "prompt_id": "j"}
    expected = [
        ("execution_start", stamp),
        ("execution_cached", {"nodes": ["1", "2"], **stamp}),
        ("executing", {"node": "4.0.0.1", "display_node": "4", "prompt_id": "j"}),
        ("progress", {"value": 1.0, "max": 20.0, "prompt_id": "j", "node": "4.0.0.1"}),
        ("executed", executed),
        ("execution_success", stamp),
    ]
    assert [frame for frame in frames if frame[0] != "progress_state"] == expected
    outcome = translator.outcome()
    assert outcome.status is Status.SUCCESS
    assert outcome.outputs == {"4.0.0.1": UI}
    meta = {"node_id": "4.0.0.1", "display_node": "4", "parent_node": "4", "real_node_id": "4"}
    assert outcome.meta == {"4.0.0.1": meta}
    assert [message[0] for message in outcome.messages] == [
        "execution_start", "execution_cached", "execution_success",
    ]  # fmt: skip
    assert ended("j").data == {"node": None, "prompt_id": "j"}


def test_progress_state_says_how_far_each_node_is() -> None:
    frames, _ = told(
        Started(nodes=(), targets=(), **AT),
        Progress(place=PLACE, value=3.0, maximum=4.0, **AT),
        Done(place=PLACE, ui=None, seconds=1.0, job="j", time=99.0),
    )
    states = [data["nodes"]["4.0.0.1"] for kind, data in frames if kind == "progress_state"]
    assert states[0] == {**STATE, "value": 3.0, "max": 4.0, "state": "running"}
    assert states[-1] == {**STATE, "value": 4.0, "max": 4.0, "state": "finished"}


def test_cached_is_always_said_once_before_anything_runs() -> None:
    frames, _ = told(
        Started(nodes=(), targets=(), **AT),
        Running(place=PLACE, **AT),
        Finished(status="success", seconds=0, **AT),
    )
    assert kinds(frames) == ["execution_start", "execution_cached", "executing", "execution_success"]


def test_a_node_that_raises() -> None:
    failed = Failed(
        place=PLACE, exception_type="ValueError", exception_message="no", traceback=("a", "b"),
        current_inputs={"x": ["1"]}, current_outputs=("1",), executed=("1",), **AT,
    )  # fmt: skip
    frames, translator = told(
        Started(nodes=(), targets=(), **AT), failed, Finished(status="error", seconds=0, **AT)
    )
    assert kinds(frames) == ["execution_start", "execution_cached", "execution_error"]
    assert frames[2][1] == {
        "prompt_id": "j", "node_id": "4", "node_type": "KSampler", "executed": ["1"],
        "exception_message": "no",
        "exception_type": "ValueError", "traceback": ["a", "b"], "current_inputs": {"x": ["1"]},
        "current_outputs": ["1"], "timestamp": 12_500,
    }  # fmt: skip
    assert translator.outcome().status is Status.ERROR
    assert translator.outcome().error is not None


def test_a_node_that_raised_is_not_shown_as_running() -> None:
    failed = Failed(
        place=PLACE, exception_type="E", exception_message="no", traceback=(), current_inputs={},
        current_outputs=(), executed=(), **AT,
    )  # fmt: skip
    frames, translator = told(Running(place=PLACE, **AT), failed, Finished(status="error", seconds=0, **AT))
    states = [data["nodes"] for kind, data in frames if kind == "progress_state"]
    assert states[-1]["4.0.0.1"]["state"] == "error"
    assert list(translator.snapshot()) == []


def test_a_blocked_output_is_an_error_and_the_run_goes_on() -> None:
    frames, translator = told(
        Started(nodes=(), targets=(), **AT),
        Blocked(place=PLACE, message="not today", executed=(), **AT),
        Finished(status="success", seconds=0, **AT),
    )
    assert kinds(frames)[-2:] == ["execution_error", "execution_success"]
    assert frames[2][1]["exception_message"] == "Execution Blocked: not today"
    assert frames[2][1]["exception_type"] == "ExecutionBlocked"
    assert translator.outcome().status is Status.SUCCESS


def test_an_interruption_is_told_to_all() -> None:
    translator = Translator("j")
    frames = list(translator.frames(Interrupted(place=PLACE, executed=("1",), **AT)))
    frame = frames[-1]
    assert isinstance(frame, Frame)
    assert frame.to_all
    assert frame.data == {
        "prompt_id": "j", "node_id": "4", "node_type": "KSampler", "executed": ["1"], "timestamp": 12_500,
    }  # fmt: skip
    nobody = list(Translator("j").frames(Interrupted(place=None, executed=(), **AT)))[-1]
    assert isinstance(nobody, Frame)
    assert nobody.data["node_id"] is None


def test_a_preview_is_a_picture_with_its_place() -> None:
    translator = Translator("j")
    frames = list(translator.frames(PreviewReady(place=PLACE, preview=Preview("jpeg", b"abc", (2, 1)), **AT)))
    picture = frames[-1]
    assert isinstance(picture, Picture)
    assert picture.plain == b"\0\0\0\1\0\0\0\1abc"
    length = int.from_bytes(picture.with_metadata[4:8], "big")
    metadata = json.loads(picture.with_metadata[8 : 8 + length])
    assert metadata == {**STATE, "image_type": "image/jpeg"}


def test_who_comes_late_is_told_what_runs() -> None:
    _, translator = told(
        Started(nodes=(), targets=(), **AT), Progress(place=PLACE, value=3.0, maximum=4.0, **AT)
    )
    assert [frame.type for frame in translator.snapshot()] == ["executing", "progress_state"]
    list(translator.frames(Done(place=PLACE, ui=None, seconds=0.0, **AT)))
    assert list(translator.snapshot()) == []


def test_ten_thousand_nodes_do_not_make_ten_thousand_long_messages() -> None:
    translator = Translator("j")
    size = 0
    for index in range(10_000):
        place = Place(str(index), str(index), None, str(index), "A")
        for event in (
            Running(place=place, job="j", time=index / 10_000),
            Done(place=place, ui=None, seconds=0, **AT),
        ):
            size += sum(len(frame.text) for frame in translator.frames(event) if isinstance(frame, Frame))
    assert size < 3_000_000
    assert len(translator._finished) <= FINISHED_SHOWN


def test_a_frame_can_carry_its_number() -> None:
    frame = status(3, "me")
    assert json.loads(frame.numbered(17)) == {**json.loads(frame.text), "number": 17}


def test_a_notice_names_its_node_and_stays_in_the_history() -> None:
    frames, translator = told(Started(nodes=(), targets=(), **AT), Noticed(place=PLACE, message="No.", **AT))
    kind, data = frames[-1]
    assert kind == "nodeloom.notice"
    assert (data["message"], data["prompt_id"], data["node_id"]) == ("No.", "j", PLACE.real_node)
    assert translator.messages[-1] == (kind, data)
