"""A worker at the end of a real channel: jobs, questions, cancelling, and a server that goes away."""

import sys
import threading
from collections.abc import Callable, Iterator

import pytest

from execution.declare.node import Run, Ui, node, node_types
from execution.declare.registry import Registry
from execution.engine import Engine
from execution.events import Done, Place
from execution.job import Job
from execution.wire.channel import Channel, pair
from execution.wire.messages import (
    Answer,
    Ask,
    CancelJob,
    EventSent,
    JobDone,
    Listening,
    Loaded,
    Message,
    Shutdown,
)
from execution.wire.worker import Worker


@node("Say", category="toy", output_node=True)
def say(text: str = "") -> Ui:
    """Say."""
    return Ui(text=[text])


@node("Wait", category="toy", output_node=True, not_idempotent=True)
def wait(run: Run) -> Ui:
    """Wait.

    Until it is cancelled.
    """
    run.progress(0, 1)
    while True:
        run.check()


@pytest.fixture
def server() -> Iterator[Channel]:
    """The server's end of a channel that a worker serves in a thread."""
    ours, theirs = pair()
    near, far = Channel(ours), Channel(theirs)
    worker = Worker(far)
    registry = Registry(node_types(sys.modules[__name__]))
    engine = Engine(registry, emit=worker.emit, previews=lambda: worker.previews_wanted)
    services = {"echo": lambda **given: given, "broken": lambda: 1 / 0}
    thread = threading.Thread(target=worker.serve, args=(engine, registry, services), daemon=True)
    thread.start()
    yield near
    near.send(Shutdown())
    thread.join(10)
    assert not thread.is_alive()
    near.close()
    far.close()
    engine.close()


def until(server: Channel, wanted: Callable[[Message], bool]) -> Message:
    """The next message for which `wanted` is true."""
    while not wanted(message := server.receive()):
        pass
    return message


def say_job(job: str, text: str) -> Job:
    return Job(job, {"1": {"class_type": "Say", "inputs": {"text": text}}}, ("1",))


def test_a_worker_says_what_it_has_then_runs_jobs_in_order(server: Channel) -> None:
    loaded = server.receive()
    assert isinstance(loaded, Loaded)
    assert set(loaded.specs) == {"Say", "Wait"}
    server.send(say_job("a", "one"))
    server.send(say_job("b", "two"))
    for job, text in (("a", "one"), ("b", "two")):
        done = until(server, lambda each: isinstance(each, EventSent) and isinstance(each.event, Done))
        assert isinstance(done, EventSent)
        assert isinstance(done.event, Done)
        assert (done.event.job, done.event.ui) == (job, {"text": [text]})
        assert done.event.place == Place("1", "1", None, "1", "Say")
        assert until(server, lambda each: isinstance(each, JobDone)) == JobDone(job, "success")


def test_questions_are_answered_while_a_job_computes_and_the_job_can_be_cancelled(server: Channel) -> None:
    server.send(Job("long", {"1": {"class_type": "Wait", "inputs": {}}}, ("1",)))
    server.send(Listening(True))
    server.send(Ask(1, "echo", {"a": [1]}))
    server.send(Ask(2, "spec", {"name": "Say"}))
    server.send(Ask(3, "spec", {"name": "None"}))
    answers = {n: until(server, lambda each: isinstance(each, Answer)) for n in (1, 2, 3)}
    assert answers[1] == Answer(1, {"a": [1]})
    assert isinstance(answers[2], Answer)
    assert answers[2].value["name"] == "Say"
    assert answers[3] == Answer(3, None)
    server.send(CancelJob("another"))
    server.send(CancelJob("long"))
    done = until(server, lambda each: isinstance(each, JobDone))
    assert isinstance(done, JobDone)
    assert (done.job, done.status) == ("long", "interrupted")


def test_a_job_cancelled_before_its_turn_does_not_run(server: Channel) -> None:
    server.send(Job("first", {"1": {"class_type": "Wait", "inputs": {}}}, ("1",)))
    server.send(say_job("second", "never"))
    server.send(CancelJob("second"))
    server.send(CancelJob("first"))
    states = [until(server, lambda each: isinstance(each, JobDone)) for _ in range(2)]
    assert [(each.job, each.status) for each in states if isinstance(each, JobDone)] == [
        ("first", "interrupted"),
        ("second", "interrupted"),
    ]


@pytest.mark.parametrize(
    ("question", "arguments", "complaint"),
    [
        ("nothing", {}, "knows no question 'nothing'; it knows broken, echo"),
        ("broken", {}, "broken: ZeroDivisionError"),
        ("spec", {"wrong": 1}, "spec: TypeError"),
    ],
)
def test_a_question_that_fails_is_answered_too(
    server: Channel, question: str, arguments: dict[str, int], complaint: str
) -> None:
    server.send(Ask(9, question, arguments))
    answer = until(server, lambda each: isinstance(each, Answer))
    assert isinstance(answer, Answer)
    assert complaint in (answer.error or "")


def test_specs_validation_and_explanations_are_answered(server: Channel) -> None:
    prompt = {"1": {"class_type": "Say", "inputs": {"text": 5}}, "2": {"class_type": "Say", "inputs": {}}}
    server.send(Ask(1, "specs"))
    server.send(Ask(2, "validate", {"prompt": prompt}))
    server.send(Ask(3, "explain", {"prompt": {"1": prompt["1"]}}))
    answers = [until(server, lambda each: isinstance(each, Answer)) for _ in range(3)]
    specs, checked, explained = (each.value for each in answers if isinstance(each, Answer))
    assert set(specs) == {"Say", "Wait"}
    assert checked["outputs"] == ["1"]
    assert set(checked["node_errors"]) == {"2"}
    assert explained
