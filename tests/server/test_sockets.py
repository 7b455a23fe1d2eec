"""The hub: bound ids, numbered messages, replay after a break, readers that are slow or gone."""

import asyncio
import json
import time
from typing import Any

import aiohttp
import pytest

from execution.events import Place, Preview
from server.frames import Frame, Picture, status
from server.sockets import BACKLOG_FRAMES, IN_ORDER_FRAMES, OUTBOX_FRAMES, Backlog, Hub, Listener
from tests.server.client import Client
from tests.server.conftest import NOBODY, Serve

PLACE = Place("5", "5", None, "5", "ToySteps")


class Page:
    """A client of the socket that collects what it is sent."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.socket = socket

    async def next(self, kind: str | None = None, seconds: float = 5.0) -> dict[str, Any]:
        """The next message, of a kind if one is named."""
        async with asyncio.timeout(seconds):
            while True:
                message = await self.socket.receive()
                assert message.type is aiohttp.WSMsgType.TEXT, message
                document: dict[str, Any] = json.loads(message.data)
                if kind in (None, document["type"]):
                    return document


async def page(client: Client, query: str) -> Page:
    return Page(await client.session.ws_connect(f"{client.origin}/ws?{query}"))


async def test_the_first_message_is_the_status_with_the_id(calm: Client) -> None:
    for path in ("/ws", "/api/ws"):
        socket = await calm.session.ws_connect(f"{calm.origin}{path}?clientId=me")
        first = json.loads((await socket.receive()).data)
        remaining = {"exec_info": {"queue_remaining": 0}}
        assert first == {"type": "status", "data": {"status": remaining, "sid": "me"}}
        await socket.close()


@pytest.mark.parametrize("query", ["", "clientId=", "clientId=" + "x" * 200, "clientId=a%0Ab"])
async def test_without_a_fit_id_a_client_is_given_one(calm: Client, query: str) -> None:
    first = await (await page(calm, query)).next()
    assert len(first["data"]["sid"]) == 32


async def test_messages_reach_their_client_and_broadcasts_everybody(calm: Client) -> None:
    one, two = await page(calm, "clientId=one"), await page(calm, "clientId=two")
    await one.next()
    await two.next()
    calm.parts.hub.send(Frame("mine", {"n": 1}), "", "one")
    calm.parts.hub.send(Frame("nobodys", {}), "", None)
    calm.parts.hub.send(Frame("all", {}, to_all=True))
    assert [(await one.next())["type"] for _ in range(2)] == ["mine", "all"]
    assert (await two.next())["type"] == "all"


async def test_features_are_negotiated_and_choose_the_form_of_previews(calm: Client) -> None:
    old, new = await page(calm, "clientId=old"), await page(calm, "clientId=new")
    for each in (old, new):
        await each.next()
    await new.socket.send_str(
        json.dumps({"type": "feature_flags", "data": {"supports_preview_metadata": True}})
    )
    answer = await new.next("feature_flags")
    assert answer["data"]["supports_preview_metadata"] is True
    assert answer["data"]["max_upload_size"] == calm.parts.limits.upload
    for name in ("old", "new"):
        calm.parts.hub.show(Picture("j", PLACE, Preview("png", b"bytes", (1, 1), "shown")), "", name)
    plain = (await old.socket.receive(timeout=5)).data
    assert plain == b"\0\0\0\1" + b"\0\0\0\2" + b"bytes"
    rich = (await new.socket.receive(timeout=5)).data
    length = int.from_bytes(rich[4:8], "big")
    assert rich[:4] == b"\0\0\0\4"
    assert rich[8 + length :] == b"bytes"
    metadata = json.loads(rich[8 : 8 + length])
    assert metadata["image_type"] == "image/png"
    assert (metadata["node_id"], metadata["prompt_id"]) == ("5", "j")


def glimpse(data: bytes) -> Picture:
    return Picture("j", PLACE, Preview("png", data, (1, 1)))


async def test_glimpses_of_what_is_unfinished_go_to_those_who_ask(serve: Serve) -> None:
    """comfy-api-simplified and stable-canvas take each picture for a result; comfyui-utils fails at bytes."""
    asking = json.dumps({"type": "feature_flags", "data": {"supports_preview_metadata": True}})
    async with serve(worker_command=NOBODY) as client:
        hub, plain, rich = (
            client.parts.hub,
            await page(client, "clientId=a"),
            await page(client, "clientId=b"),
        )
        await rich.socket.send_str(asking)
        await rich.next("feature_flags")
        assert [hub.wants_glimpses("", name, None) for name in "abc"] == [False, True, False]
        assert [hub.wants_glimpses("", name, True) for name in "abc"] == [True, True, False]
        assert hub.wants_glimpses("", "b", False) is False
        for name in "ab":
            hub.show(glimpse(b"unasked"), "", name)
            hub.show(glimpse(b"refused"), "", name, wanted=False)
            hub.show(glimpse(b"prompted"), "", name, wanted=True)
            hub.send(Frame("end", {}), "", name)
        heard = [await pictures_of(each) for each in (plain, rich)]
        assert heard == [[b"prompted"], [b"prompted"]], "of glimpses that were not sent the newest is enough"
    async with serve(worker_command=NOBODY, glimpses_for_all=True) as client:
        plain = await page(client, "clientId=a")
        await plain.next()
        client.parts.hub.show(glimpse(b"for all"), "", "a")
        client.parts.hub.send(Frame("end", {}), "", "a")
        assert await pictures_of(plain) == [b"for all"]


async def test_each_picture_that_is_a_result_is_sent(calm: Client) -> None:
    one = await page(calm, "clientId=a")
    await one.next()
    for number in range(100):
        calm.parts.hub.show(Picture("j", PLACE, Preview("png", bytes([number]), None, "result")), "", "a")
    calm.parts.hub.send(Frame("end", {}), "", "a")
    assert await pictures_of(one) == [bytes([number]) for number in range(100)]


async def pictures_of(listener: Page) -> list[bytes]:
    """The pictures that come before the frame `end`."""
    found: list[bytes] = []
    while True:
        data = (await listener.socket.receive(timeout=5)).data
        if isinstance(data, bytes):
            start = 8 + int.from_bytes(data[4:8], "big") if data[3] == 4 else 8
            found.append(data[start:])
        elif json.loads(data)["type"] == "end":
            return found


async def test_nonsense_from_a_client_is_ignored(calm: Client) -> None:
    one = await page(calm, "clientId=one")
    await one.next()
    for said in (
        "x",
        "[]",
        "null",
        '{"type":"feature_flags"}',
        '{"type":"feature_flags","data":3}',
        "[" * 9_000,
    ):
        await one.socket.send_str(said)
    await one.socket.send_bytes(b"\0" * 100)
    calm.parts.hub.send(Frame("still", {}), "", "one")
    assert (await one.next())["type"] == "still"


async def test_who_comes_back_gets_what_it_missed(calm: Client) -> None:
    first = await page(calm, "clientId=me&after=0")
    assert "number" in await first.next()
    hub = calm.parts.hub
    hub.send(Frame("a", {}), "", "me")
    seen = await first.next("a")
    await first.socket.close()
    for kind in ("b", "c"):
        hub.send(Frame(kind, {}), "", "me")
    hub.send(Frame("progress", {}, replaces="p"), "", "me")
    again = await page(calm, f"clientId=me&after={seen['number']}")
    kinds = [(await again.next())["type"] for _ in range(3)]
    assert kinds == ["status", "b", "c"], "progress is not repeated: the state of now follows"
    hub.send(Frame("d", {}), "", "me")
    last = await again.next()
    assert last["type"] == "d"
    assert last["number"] > seen["number"]


async def test_who_was_away_too_long_is_told_so(calm: Client) -> None:
    hub = calm.parts.hub
    old = hub.number
    for _ in range(BACKLOG_FRAMES + 5):
        hub.send(Frame("x", {}), "", "me")
    again = await page(calm, f"clientId=me&after={old}")
    assert [(await again.next())["type"] for _ in range(2)] == ["status", "nodeloom.state"]
    stranger = await page(calm, "clientId=unknown&after=5")
    assert [(await stranger.next())["type"] for _ in range(2)] == ["status", "nodeloom.state"]


async def test_clients_that_do_not_ask_get_no_numbers(calm: Client) -> None:
    plain = await page(calm, "clientId=me")
    assert set(await plain.next()) == {"type", "data"}
    calm.parts.hub.send(Frame("a", {}), "", "me")
    assert set(await plain.next()) == {"type", "data"}


async def test_a_reader_that_sleeps_delays_nobody_and_is_let_go(calm: Client) -> None:
    asleep = await page(calm, "clientId=asleep")
    awake = await page(calm, "clientId=awake")
    await asleep.next()
    await awake.next()
    start = time.monotonic()
    text = "x" * 10_000
    for index in range(3_000):
        calm.parts.hub.send(Frame("flood", {"text": text}), "", "asleep")
        calm.parts.hub.send(Frame("drop", {"index": index}), "", "awake")
        if index % 100 == 0:
            await asyncio.sleep(0)
    assert [(await awake.next("drop"))["data"]["index"] for _ in range(3_000)] == list(range(3_000))
    assert (await calm.get("/queue"))[0] == 200
    assert time.monotonic() - start < 20
    async with asyncio.timeout(10):
        while not (await asleep.socket.receive()).type.name.startswith("CLOS"):
            pass
    assert asleep.socket.close_code == 1013


class Mute:
    """A socket that takes nothing: enough of one for an outbox that is not emptied."""


def listener(numbers: bool = False) -> Listener:
    return Listener(Mute(), "me", "", numbers)  # type: ignore[arg-type]  # never sent to


async def test_an_outbox_keeps_the_newest_of_what_replaces_itself() -> None:
    reader = listener()
    reader.offer_frame(Frame("executing", {"node": "1"}))
    for value in range(1_000):
        reader.offer_frame(Frame("progress", {"value": value}, replaces="p"))
        reader.offer_picture(Picture("j", PLACE, Preview("jpeg", b"x" * 10_000, None)))
        reader.offer_frame(status(value))
    assert len(reader._outbox) == 4
    assert reader._size < 11_000
    assert '"value":999' in str(reader._outbox.values())


async def test_an_outbox_keeps_the_order_while_little_waits() -> None:
    reader = listener()
    for node in range(1_000):
        reader.offer_frame(Frame("executing", {"node": node}))
        for value in range(3):
            reader.offer_frame(Frame("progress_state", {"of": node, "value": value}, replaces="s"))
    kinds = [json.loads(text)["type"] for text in reader._outbox.values()]
    assert kinds[:8] == ["executing", "progress_state"] * 4, "one state, the newest, between two frames"
    assert kinds.count("progress_state") <= IN_ORDER_FRAMES, (
        "a reader that is far behind needs the newest only"
    )
    assert json.loads(list(reader._outbox.values())[-1])["data"] == {"of": 999, "value": 2}


async def test_an_outbox_has_an_end() -> None:
    reader = listener()
    for index in range(OUTBOX_FRAMES + 10):
        reader.offer_frame(Frame("executed", {"index": index}))
    assert reader.overflowed
    assert len(reader._outbox) == 0


def test_a_backlog_says_when_it_no_longer_knows() -> None:
    backlog = Backlog(since=10)
    assert backlog.missed(9) is None
    assert backlog.missed(10) == []
    for number in range(11, 11 + BACKLOG_FRAMES + 3):
        backlog.keep(number, "x")
    assert backlog.missed(10) is None
    assert backlog.missed(13) is not None
    assert len(backlog.missed(13) or []) == BACKLOG_FRAMES


async def test_an_id_belongs_to_the_session_that_had_it_first() -> None:
    hub = Hub()
    assert hub.client_id("x", "alice") == "x"
    assert hub.client_id("x", "alice") == "x"
    assert hub.client_id("x", "bob") != "x"
    assert hub.session_of("x") == "alice"


async def test_numbers_grow_over_a_restart() -> None:
    before = Hub()
    before.send(Frame("a", {}, to_all=True))
    await asyncio.sleep(0.001)
    after = Hub()
    after.send(Frame("a", {}, to_all=True))
    assert after.number > before.number
    assert after.number < 2**53, "JavaScript reads it exactly"
