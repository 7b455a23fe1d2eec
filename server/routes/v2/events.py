"""/api/v2/jobs/{id}/events: what happens to a job, as server-sent events.

A connection begins with the whole state and then tells what has changed since it last looked. Nothing is
numbered or sent again: a client that comes back is told the whole state anew. It ends after the final status.
"""

import asyncio
import base64
import contextlib
from typing import Any

from aiohttp import web

from server.answers import dumps
from server.envelopes import Refusal
from server.frames import Picture
from server.jobs import FINAL, Status
from server.parts import parts
from server.routes.v2.views import outputs_view, state_of
from server.scheduler import Standing
from server.watching import Watchers

KEEPALIVE_SECONDS = 10.0
LEAST_SECONDS = 0.05
"""Between two looks at a job."""
RETRY_SECONDS = 10
HEADERS = {"Content-Type": "text/event-stream", "Cache-Control": "no-store", "X-Accel-Buffering": "no"}


async def get_events(request: web.Request) -> web.StreamResponse:
    """Tell of a job until it has ended or the client leaves."""
    here, job = parts(request), request.match_info["id"]
    if await here.store.job(job) is None:
        raise Refusal(404, "not_found", "There is no job of this id.")
    watchers = here.scheduler.watchers
    if len(watchers) >= here.limits.sockets:
        message = f"{here.limits.sockets} clients follow jobs, which is all there may be."
        raise Refusal(429, "too_many_streams", message, headers={"Retry-After": str(RETRY_SECONDS)})
    response = web.StreamResponse(headers=HEADERS)
    await response.prepare(request)
    with contextlib.suppress(ConnectionError):  # the client left
        await follow(Teller(request, response, job), watchers)
        await response.write_eof()
    return response


async def follow(teller: "Teller", watchers: Watchers) -> None:
    """Tell of a job until all is told."""
    with watchers.watch(teller.job) as watcher:
        while True:
            watcher.changed.clear()
            for node in list(watcher.pictures):
                await teller.preview(watcher.pictures.pop(node))
            if await teller.look():
                break
            await asyncio.sleep(LEAST_SECONDS)
            try:
                await asyncio.wait_for(watcher.changed.wait(), KEEPALIVE_SECONDS)
            except TimeoutError:
                await teller.say_nothing()


class Teller:
    """Tells one client of one job what is new to it."""

    def __init__(self, request: web.Request, response: web.StreamResponse, job: str) -> None:
        self._request, self._response, self.job = request, response, job
        self._told: dict[str, Any] = {}
        self._shown: set[tuple[str, str]] = set()

    async def say_nothing(self) -> None:
        """Show that the connection is alive."""
        await self._response.write(b": still here\n\n")

    async def _say(self, event: str, data: Any) -> None:
        await self._response.write(f"event: {event}\ndata: {dumps(data)}\n\n".encode())

    async def _say_if_new(self, event: str, data: Any) -> None:
        if self._told.get(event) != data:
            self._told[event] = data
            await self._say(event, data)

    async def preview(self, picture: Picture) -> None:
        """A picture of something unfinished."""
        data = base64.b64encode(picture.preview.data).decode()
        kind = f"image/{picture.preview.kind}"
        shown = {"node_id": picture.place.display_node, "content_type": kind, "data_base64": data}
        await self._say("preview", shown)

    async def look(self) -> bool:
        """Tell what has changed; whether the job has ended and all is told."""
        here = parts(self._request)
        standing = here.scheduler.standing(self.job)
        if standing is not None:
            await self._status({}, standing)
            if standing.progress is not None:
                await self._say_if_new("progress", standing.progress)
            await self._outputs(standing.outputs)
            return False
        record = await here.store.job(self.job)
        if record is None:
            return True
        if Status(record["status"]) not in FINAL:
            return False  # between its last event and its end in the store
        await self._outputs(record["outputs"] or {})
        await self._status(record, None)
        return True

    async def _status(self, record: dict[str, Any], standing: Standing | None) -> None:
        position = standing.position if standing is not None else None
        await self._say_if_new("status", {"status": state_of(record, standing), "queue_position": position})

    async def _outputs(self, outputs: Any) -> None:
        fresh = {node: ui for node, ui in outputs.items() if self._told.get(f"outputs {node}") != ui}
        for node, ui in fresh.items():
            self._told[f"outputs {node}"] = ui
        for output in await outputs_view(self._request, self.job, fresh) if fresh else ():
            if (output["node_id"], output["id"]) not in self._shown:
                self._shown.add((output["node_id"], output["id"]))
                await self._say("output", output)
