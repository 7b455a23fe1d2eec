"""What the tests talk to a server with: aiohttp for the ordinary, raw sockets where nothing may be
normalised.
"""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp
from aiohttp import web

from server.app import build_app
from server.parts import PARTS, Parts
from server.settings import Settings

Prompt = dict[str, Any]


@dataclass
class RawAnswer:
    """A response as it came over the wire."""

    status: int
    headers: dict[str, str]
    body: bytes


@dataclass
class Client:
    """A session with one server, and that server itself."""

    session: aiohttp.ClientSession
    host: str
    port: int
    app: web.Application

    @property
    def parts(self) -> Parts:
        return self.app[PARTS]

    @property
    def origin(self) -> str:
        return f"http://{self.host}:{self.port}"

    async def get(self, path: str, **options: Any) -> tuple[int, Any]:
        """Status and body (parsed if it is JSON) of a GET."""
        return await self.ask("GET", path, **options)

    async def post(self, path: str, document: Any = None, **options: Any) -> tuple[int, Any]:
        """Status and body of a POST of a JSON document."""
        if document is not None:
            options["json"] = document
        return await self.ask("POST", path, **options)

    async def ask(self, method: str, path: str, **options: Any) -> tuple[int, Any]:
        async with self.session.request(method, self.origin + path, **options) as response:
            body = await response.read()
            if response.content_type == "application/json" and body:
                return response.status, json.loads(body)
            return response.status, body

    async def response(self, method: str, path: str, **options: Any) -> tuple[aiohttp.ClientResponse, bytes]:
        async with self.session.request(method, self.origin + path, **options) as response:
            return response, await response.read()

    async def raw(self, data: bytes | str, seconds: float = 10.0) -> RawAnswer:
        """Send bytes as they are and read one response (the connection is closed by us)."""
        reader, writer = await asyncio.open_connection(self.host, self.port)
        try:
            writer.write(data if isinstance(data, bytes) else data.encode())
            await writer.drain()
            return await asyncio.wait_for(read_answer(reader), seconds)
        finally:
            writer.close()

    async def request(
        self,
        method: str,
        target: str,
        headers: Mapping[str, str | None] | None = None,
        body: bytes = b"",
    ) -> RawAnswer:
        """A raw request: `target` goes out as it is; a header of None is left out."""
        lines = {"Host": f"{self.host}:{self.port}", "Connection": "close", **(headers or {})}
        if body or method not in ("GET", "HEAD"):
            lines.setdefault("Content-Length", str(len(body)))
        head = "".join(f"{name}: {value}\r\n" for name, value in lines.items() if value is not None)
        return await self.raw(f"{method} {target} HTTP/1.1\r\n{head}\r\n".encode() + body)

    async def submit(self, prompt: Prompt, **more: Any) -> str:
        """Queue a prompt and give its id."""
        status, body = await self.post("/prompt", {"prompt": prompt, **more})
        assert status == 200, body
        return str(body["prompt_id"])

    async def finished(self, job: str, seconds: float = 30.0) -> dict[str, Any]:
        """The history entry of a job, once it is there."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            _, history = await self.get(f"/history/{job}")
            if job in history:
                entry: dict[str, Any] = history[job]
                return entry
            await asyncio.sleep(0.02)
        raise AssertionError(f"job {job} did not end: {await self.get(f'/api/jobs/{job}')}")

    async def state(self, job: str) -> str:
        """Our word for where a job is."""
        _, record = await self.get(f"/api/jobs/{job}")
        return str(record["state"])

    async def until(self, job: str, state: str, seconds: float = 30.0) -> None:
        """Wait until a job is in a state."""
        end = time.monotonic() + seconds
        while await self.state(job) != state:
            assert time.monotonic() < end, f"{job} is {await self.state(job)}, not {state}"
            await asyncio.sleep(0.02)

    async def began(self, job: str, kind: str = "Running", seconds: float = 30.0) -> None:
        """Wait until an event is told of a job: by default, that one of its nodes is called."""
        end = time.monotonic() + seconds
        while kind not in (kinds := [event["kind"] for event in await self.events(job)]):
            assert time.monotonic() < end, f"{job} told no {kind}, but {kinds}"
            await asyncio.sleep(0.02)

    async def progressed(self, job: str, seconds: float = 30.0) -> None:
        """Wait until a node of a job tells how far it is."""
        end = time.monotonic() + seconds
        while not (await self.get(f"/nodeloom/events?job={job}"))[1]["live"]:
            assert time.monotonic() < end, f"{job} told no progress"
            await asyncio.sleep(0.02)

    async def events(self, job: str) -> list[dict[str, Any]]:
        """The events that were told of a job."""
        found: list[dict[str, Any]] = (await self.get(f"/nodeloom/events?job={job}"))[1]["events"]
        return found

    async def ready(self, seconds: float = 30.0) -> None:
        """Wait until a worker waits for jobs."""
        end = time.monotonic() + seconds
        while self.parts.crew.idle() is None:
            assert time.monotonic() < end, f"no worker: {self.parts.crew.problems}"
            await asyncio.sleep(0.02)


async def read_answer(reader: asyncio.StreamReader) -> RawAnswer:
    """Read a response up to the end of its body."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    headers = {
        name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:] if line)
    }
    status = int(head[0].split(" ")[1])
    if "content-length" in headers:
        body = await reader.readexactly(int(headers["content-length"]))
    else:
        body = await reader.read() if status not in (101, 204, 304) else b""
    return RawAnswer(status, headers, body)


@asynccontextmanager
async def started(settings: Settings) -> AsyncIterator[Client]:
    """A server on a free port and a client of it."""
    runner = web.AppRunner(build_app(settings), shutdown_timeout=1.0)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        port = runner.addresses[0][1]
        async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as session:
            yield Client(session, "127.0.0.1", port, runner.app)
    finally:
        await runner.cleanup()
