"""Messages arrive whole and in order over a real socket, whichever ends are used."""

import asyncio
import math
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from execution.errors import ChannelClosed
from execution.events import Done, Place, Preview, PreviewReady, Progress
from execution.job import Job
from execution.wire.channel import AsyncChannel, Channel, decode, encode, pair
from execution.wire.messages import (
    Answer,
    Ask,
    Broadcast,
    CancelJob,
    EventSent,
    Hello,
    JobDone,
    Listening,
    Loaded,
    Message,
    Shutdown,
)

PLACE = Place("5.0.1", "5", "5", "5", "KSampler")
MESSAGES: list[Message] = [
    Job("j", {"1": {"class_type": "a", "inputs": {"x": 1.5}}}, ("1",), {"client_id": "c"}),
    CancelJob("j"),
    Listening(True),
    Ask(3, "specs", {"name": "é"}),
    Shutdown(),
    Hello(12, "cpu"),
    Loaded({"a": {}}, {"bad": "reason"}, 0.5),
    EventSent(Progress(number=2, job="j", time=1.0, memory=None, place=PLACE, value=1.0, maximum=4.0)),
    EventSent(PreviewReady(number=3, job="j", place=PLACE, preview=Preview("jpeg", b"\xff\xd8\x00", (8, 4)))),
    EventSent(Done(number=4, job="j", place=PLACE, ui={"images": [{"filename": "a.png"}]}, seconds=0.25)),
    JobDone("j", "error", "MemoryError: no room for a graph of this size"),
    Answer(3, {"a": [1, None]}, None, b"bytes"),
    Broadcast("pack.event", {"n": 1}, None, b""),
]


def split(frame: bytes) -> Message:
    length = int.from_bytes(frame[:4], "big")
    return decode(frame[8 : 8 + length], frame[8 + length :])


@pytest.mark.parametrize("message", MESSAGES, ids=lambda each: type(each).__name__)
def test_every_message_survives_its_frame(message: Message) -> None:
    assert split(encode(message)) == message


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        max_leaves=20,
    ),
    st.binary(max_size=100),
)
def test_any_json_and_any_bytes_survive(value: object, payload: bytes) -> None:
    answer = Answer(1, value, None, payload)
    assert split(encode(answer)) == answer


def test_what_json_cannot_hold_travels_as_text() -> None:
    found = split(encode(Answer(1, {"path": complex(1, 2), "nan": math.nan})))
    assert isinstance(found, Answer)
    assert found.value["path"] == "(1+2j)"
    assert math.isnan(found.value["nan"])


def test_threads_send_whole_messages_to_an_event_loop() -> None:
    ours, theirs = pair()
    channel = Channel(theirs)

    def send(name: int) -> None:
        for number in range(50):
            channel.send(Answer(number, name, None, b"x" * 5000))

    async def receive() -> list[tuple[int, int]]:
        far = await AsyncChannel.open(ours)
        threads = [threading.Thread(target=send, args=(name,)) for name in range(4)]
        for thread in threads:
            thread.start()
        got = [await far.receive() for _ in range(200)]
        await far.close()
        for thread in threads:
            thread.join()
        return [(each.value, each.request) for each in got if isinstance(each, Answer)]

    got = asyncio.run(receive())
    for name in range(4):
        assert [number for who, number in got if who == name] == list(range(50))
    channel.close()


def test_a_closed_end_is_told_apart_from_silence() -> None:
    ours, theirs = pair()
    near, far = Channel(ours), Channel(theirs)
    near.send(Shutdown())
    near.close()
    assert far.receive() == Shutdown()
    with pytest.raises(ChannelClosed):
        far.receive()
    with pytest.raises(ChannelClosed):
        for _ in range(100):
            far.send(Hello(1, "x" * 10_000))
    far.close()
    far.close()


def test_closing_wakes_a_receiver() -> None:
    ours, theirs = pair()
    channel = Channel(ours)
    woken: list[type[BaseException]] = []

    def wait() -> None:
        with pytest.raises(ChannelClosed) as raised:
            channel.receive()
        woken.append(raised.type)

    thread = threading.Thread(target=wait)
    thread.start()
    channel.close()
    thread.join(5)
    assert woken == [ChannelClosed]
    theirs.close()


async def test_an_event_loop_hears_of_a_closed_end() -> None:
    ours, theirs = pair()
    channel = await AsyncChannel.open(ours)
    theirs.close()
    with pytest.raises(ChannelClosed):
        await channel.receive()
    with pytest.raises(ChannelClosed):
        for _ in range(100):
            await channel.send(Hello(1, "x" * 10_000))
    await channel.close()
