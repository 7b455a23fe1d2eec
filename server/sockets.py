"""The WebSocket hub: who listens, what each is still owed, and what a client missed while it was away.

Every listener has its own outbox and its own task that empties it, so a slow reader delays nobody. Progress
and previews that were not
sent yet are replaced by newer ones; a reader that falls too far behind is disconnected and may come back with
the
number of the last message it got.
"""

import asyncio
import contextlib
import json
import time
import uuid
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from aiohttp import WSCloseCode, WSMessage, web

from server.frames import Frame, Picture, feature_flags

SEND_SECONDS = 30.0
GOODBYE_SECONDS = 10.0
OUTBOX_BYTES = 16 * 2**20
OUTBOX_FRAMES = 20_000
BACKLOG_FRAMES = 2_000
BACKLOG_BYTES = 2 * 2**20
CLIENTS_REMEMBERED = 256
IN_ORDER_FRAMES = 64
"""While no more than so many wait for a reader, progress and state keep their place among the others."""


@dataclass
class Backlog:
    """The last numbered messages of one client id. `since` is the number above which nothing was dropped."""

    since: int
    texts: deque[tuple[int, str]] = field(default_factory=deque)
    size: int = 0

    def keep(self, number: int, text: str) -> None:
        self.texts.append((number, text))
        self.size += len(text)
        while len(self.texts) > BACKLOG_FRAMES or self.size > BACKLOG_BYTES:
            self.since, dropped = self.texts.popleft()
            self.size -= len(dropped)

    def missed(self, after: int) -> list[str] | None:
        """Messages above `after`, or None when some of them are gone."""
        if after < self.since:
            return None
        return [text for number, text in self.texts if number > after]


class Listener:
    """One open socket."""

    def __init__(self, socket: web.WebSocketResponse, sid: str, session: str, wants_numbers: bool) -> None:
        self.socket = socket
        self.sid = sid
        self.session = session
        self.wants_numbers = wants_numbers
        self.features: Mapping[str, Any] = {}
        """What the client says it can do."""
        self._outbox: OrderedDict[int, str | bytes] = OrderedDict()
        self._replaceable: dict[str, int] = {}
        self._size = 0
        self._offered = 0
        self._last_kept = 0
        self._wake = asyncio.Event()
        self.overflowed = False

    def offer(self, message: str | bytes, replaces: str | None = None) -> None:
        """Queue a message; an unsent one with the same `replaces` gives way to it, across messages that
        replace nothing only when many wait.
        """
        if self.overflowed:
            return
        self._offered += 1
        if replaces is None:
            self._last_kept = self._offered
        else:
            self._give_way(self._replaceable.get(replaces, 0))
            self._replaceable[replaces] = self._offered
        self._outbox[self._offered] = message
        self._size += len(message)
        if self._size > OUTBOX_BYTES or len(self._outbox) > OUTBOX_FRAMES:
            self.overflowed = True
            self._outbox.clear()
        self._wake.set()

    def _give_way(self, old: int) -> None:
        if old > self._last_kept or len(self._outbox) > IN_ORDER_FRAMES:
            self._size -= len(self._outbox.pop(old, ""))

    def offer_frame(self, frame: Frame, number: int | None = None) -> None:
        """Queue a JSON frame, with its number if this client asked for numbers."""
        numbered = number is not None and self.wants_numbers
        self.offer(frame.numbered(number or 0) if numbered else frame.text, frame.replaces)

    @property
    def reads_metadata(self) -> bool:
        """Whether the client takes previews that say what they are of; such a client wants glimpses, too."""
        return bool(self.features.get("supports_preview_metadata"))

    def offer_picture(self, picture: Picture) -> None:
        """Queue a preview in the form the client understands; older unsent ones of the node are dropped, but
        not results.
        """
        message = picture.with_metadata if self.reads_metadata else picture.plain
        is_result = picture.preview.purpose == "result"
        self.offer(message, None if is_result else f"preview {picture.job} {picture.place.node}")

    async def send_all(self) -> None:
        """Send what is queued, for as long as the socket is open. Ends by cancellation or a reader that is
        too slow.
        """
        while not self.overflowed:
            await self._wake.wait()
            self._wake.clear()
            while self._outbox:
                _, message = self._outbox.popitem(last=False)
                self._size -= len(message)
                if not self._outbox:
                    self._replaceable.clear()
                await asyncio.wait_for(self._send(message), SEND_SECONDS)

    async def _send(self, message: str | bytes) -> None:
        if isinstance(message, str):
            await self.socket.send_str(message)
        else:
            await self.socket.send_bytes(message)


def do_nothing() -> None:
    """Nobody wants to know."""


class Hub:
    """All listeners. Knows nothing of jobs; it is told whom a message is for."""

    def __init__(self, most: int = 1024, glimpses_for_all: bool = False) -> None:
        """For so many sockets. Pictures of what is unfinished go to those who ask, or to all."""
        self._most = most
        self._glimpses_for_all = glimpses_for_all
        self._listeners: set[Listener] = set()
        self._owners: OrderedDict[str, str] = OrderedDict()
        self._backlogs: OrderedDict[tuple[str, str], Backlog] = OrderedDict()
        self._number = time.time_ns() // 1000
        self.changed: Callable[[], None] = do_nothing
        """Called when somebody came, left, or said what it can do."""

    @property
    def is_full(self) -> bool:
        return len(self._listeners) >= self._most

    @property
    def number(self) -> int:
        """The number of the newest message. Grows over restarts, since it starts at the microseconds since
        1970.
        """
        return self._number

    def client_id(self, wanted: str, session: str) -> str:
        """`wanted`, unless it is unfit or another session has it: then a new one."""
        fit = 0 < len(wanted) <= 128 and wanted.isprintable()
        if not fit or self._owners.get(wanted, session) != session:
            wanted = uuid.uuid4().hex
        self._owners[wanted] = session
        self._owners.move_to_end(wanted)
        while len(self._owners) > 64 * CLIENTS_REMEMBERED:
            self._owners.popitem(last=False)
        return wanted

    def wants_glimpses(self, session: str, client: str | None, wanted: bool | None) -> bool:
        """Whether this client is to see what is unfinished; `wanted` is what its prompt says."""
        return any(self._glimpses(each, wanted) for each in self._of(session, client))

    def _of(self, session: str, client: str | None) -> list[Listener]:
        return [each for each in self._listeners if each.sid == client and each.session == session]

    def _glimpses(self, listener: Listener, wanted: bool | None) -> bool:
        return self._glimpses_for_all or listener.reads_metadata if wanted is None else wanted

    def session_of(self, client: str | None) -> str:
        """The session that a client id belongs to."""
        return self._owners.get(client or "", "")

    def missed(self, session: str, client: str, after: int) -> list[str] | None:
        """The client's messages above `after`, or None when they are not all known any more."""
        backlog = self._backlogs.get((session, client))
        if backlog is None:
            return [] if after >= self._number else None
        return backlog.missed(after)

    def send(self, frame: Frame, session: str = "", client: str | None = None) -> None:
        """Send to all sockets of a client, or to everybody. Without a client only `to_all` frames are
        sent.
        """
        self._number = max(self._number + 1, time.time_ns() // 1000)
        if client is not None and frame.replaces is None:
            self._remember(session, client, frame)
        for listener in self._listeners:
            if frame.to_all or (listener.sid == client and listener.session == session):
                listener.offer_frame(frame, self._number)

    def show(self, picture: Picture, session: str, client: str | None, wanted: bool | None = None) -> None:
        """Send a preview to a client; `wanted` is what its prompt says of glimpses."""
        for listener in self._of(session, client):
            if picture.preview.purpose != "glimpse" or self._glimpses(listener, wanted):
                listener.offer_picture(picture)

    def send_bytes(self, message: bytes, client: str | None) -> None:
        """Send a pack's binary message to a client, or to everybody."""
        for listener in self._listeners:
            if client is None or listener.sid == client:
                listener.offer(message)

    def _remember(self, session: str, client: str, frame: Frame) -> None:
        backlog = self._backlogs.get((session, client))
        if backlog is None:
            backlog = self._backlogs[session, client] = Backlog(self._number - 1)
            while len(self._backlogs) > CLIENTS_REMEMBERED:
                self._backlogs.popitem(last=False)
        self._backlogs.move_to_end((session, client))
        backlog.keep(self._number, frame.numbered(self._number))

    async def attend(self, listener: Listener, features: Mapping[str, Any], first: Iterable[str]) -> None:
        """Serve one socket until it closes: the `first` messages, then whatever is sent to it."""
        for text in first:
            listener.offer(text)
        self._listeners.add(listener)
        self.changed()
        sending = asyncio.create_task(listener.send_all())
        receiving = asyncio.create_task(self._receive(listener, features))
        try:
            await asyncio.wait({sending, receiving}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._listeners.discard(listener)
            self.changed()
            for task in (sending, receiving):
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError, OSError, TimeoutError, RuntimeError):
                    await task
            code = WSCloseCode.TRY_AGAIN_LATER if listener.overflowed else WSCloseCode.OK
            with contextlib.suppress(OSError, RuntimeError, TimeoutError):
                await asyncio.wait_for(listener.socket.close(code=code), GOODBYE_SECONDS)

    async def _receive(self, listener: Listener, features: Mapping[str, Any]) -> None:
        """Read what a client says: its features, answered by ours. The rest is for other servers."""
        async for message in listener.socket:
            said = features_said(message)
            if said is not None:
                listener.features = said
                listener.offer(feature_flags(features).text)
                self.changed()

    async def close(self) -> None:
        """Say goodbye to everybody."""
        farewells = [each.socket.close(code=WSCloseCode.GOING_AWAY) for each in self._listeners]
        await asyncio.gather(*farewells, return_exceptions=True)


def features_said(message: WSMessage) -> Mapping[str, Any] | None:
    """The features that a message names, if it is one that does."""
    if message.type is not web.WSMsgType.TEXT:
        return None
    try:
        said = json.loads(message.data)
    except (ValueError, RecursionError):
        return None
    if not isinstance(said, dict) or said.get("type") != "feature_flags":
        return None
    features = said.get("data")
    return features if isinstance(features, dict) else None
