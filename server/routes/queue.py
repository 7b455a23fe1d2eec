"""/queue and /interrupt: what waits, what runs, and stopping it."""

from collections.abc import AsyncIterator, Iterable

from aiohttp import web

from server.answers import refusal
from server.bodies import read_object
from server.jobs import Status
from server.parts import Parts, parts

PIECE = 2**18


def routes() -> list[web.RouteDef]:
    return [
        web.get("/queue", get_queue),
        web.post("/queue", post_queue),
        web.post("/interrupt", post_interrupt),
    ]


async def stream_json(
    request: web.Request, pieces: AsyncIterator[str], etag: str | None = None
) -> web.StreamResponse:
    """Send a long JSON text piece by piece, compressed, without holding all of it."""
    response = web.StreamResponse(
        headers={"Content-Type": "application/json"} | ({"ETag": etag} if etag else {})
    )
    waiting, size = [], 0
    async for piece in pieces:
        waiting.append(piece)
        size += len(piece)
        if size >= PIECE:
            if not response.prepared:
                response.enable_compression()
                await response.prepare(request)
            await response.write("".join(waiting).encode())
            waiting, size = [], 0
    if not response.prepared:
        return web.Response(text="".join(waiting), headers=response.headers)
    await response.write("".join(waiting).encode())
    await response.write_eof()
    return response


async def joined(items: AsyncIterator[str]) -> AsyncIterator[str]:
    """Items with commas between them."""
    first = True
    async for item in items:
        yield item if first else f",{item}"
        first = False


async def get_queue(request: web.Request) -> web.StreamResponse:
    """`{"queue_running": [[number, id, prompt, extra_data, outputs]], "queue_pending": …}`."""
    return await stream_json(request, queue_text(parts(request)))


async def queue_text(here: Parts) -> AsyncIterator[str]:
    yield '{"queue_running":['
    told, comma = Status.RUNNING, ""
    async for status, item in here.store.queue():
        if status is not told:
            yield '],"queue_pending":['
            told, comma = status, ""
        yield f"{comma}{item}"
        comma = ","
    yield "]}" if told is Status.PENDING else '],"queue_pending":[]}'


def ids(value: object) -> Iterable[str]:
    """The ids of a `delete` list; 400 for anything else."""
    if not isinstance(value, list) or not all(isinstance(each, str | int) for each in value):
        raise refusal(400, "invalid_request", "delete must be a list of prompt ids.")
    return [str(each) for each in value]


async def post_queue(request: web.Request) -> web.Response:
    """`{"clear": true}` empties the queue; `{"delete": [ids]}` takes prompts out of it. What runs goes on."""
    here = parts(request)
    body = await read_object(request, here.limits.body, here.limits.depth)
    if body.get("clear"):
        await here.scheduler.drop(here.scheduler.pending_ids())
    if "delete" in body:
        await here.scheduler.drop(ids(body["delete"]))
    return web.Response()


async def post_interrupt(request: web.Request) -> web.Response:
    """Stop what runs: all of it, or, with `{"prompt_id"}`, that prompt if it runs."""
    here = parts(request)
    body = await read_object(request, here.limits.body, here.limits.depth)
    running = here.scheduler.running_ids()
    wanted = body.get("prompt_id")
    for job in running if wanted is None else [job for job in running if job == wanted]:
        await here.scheduler.cancel(job)
    return web.Response()
