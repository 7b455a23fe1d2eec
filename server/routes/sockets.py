"""GET /ws?clientId=…: the socket on which progress, previews and results come.

With `after=N` (the `number` of the last message got, 0 at first) messages carry numbers and those missed are
sent again; when some are gone, `nodeloom.state` says so and the client reads /queue and /history anew.
"""

from collections.abc import Iterator

from aiohttp import web

from server.answers import refusal
from server.frames import missed, status
from server.parts import Parts, parts, session
from server.routes.history import whole
from server.routes.system import features
from server.sockets import Listener

HEARTBEAT_SECONDS = 30.0
MOST_MESSAGE = 2**16


def routes() -> list[web.RouteDef]:
    return [web.get("/ws", get_socket, allow_head=False)]


async def get_socket(request: web.Request) -> web.WebSocketResponse:
    """Serve one socket for as long as it is open."""
    here, who, after = parts(request), session(request), whole(request, "after", 2**53)
    if here.hub.is_full:
        raise refusal(
            503, "too_many_sockets", f"{here.limits.sockets} sockets are open, which is all there may be."
        )
    socket = web.WebSocketResponse(heartbeat=HEARTBEAT_SECONDS, compress=False, max_msg_size=MOST_MESSAGE)
    await socket.prepare(request)
    client = here.hub.client_id(request.query.get("clientId", ""), who)
    listener = Listener(socket, client, who, wants_numbers=after is not None)
    await here.hub.attend(listener, features(here), greeting(here, listener, after))
    return socket


def greeting(here: Parts, listener: Listener, after: int | None) -> Iterator[str]:
    """Status with the client's id, what it missed, and how far its running jobs are."""
    number = here.hub.number
    frames = [status(here.scheduler.remaining, listener.sid)]
    again = here.hub.missed(listener.session, listener.sid, after) if after else []
    if after is not None and again is None:
        frames.append(missed())
    for frame in frames:
        yield frame.text if after is None else frame.numbered(after if again else number)
    yield from again or []
    for frame in here.scheduler.snapshot(listener.session, listener.sid):
        yield frame.text
