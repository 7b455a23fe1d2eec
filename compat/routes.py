"""The HTTP routes that packs add, served on a socket that only this machine's server process can reach.

Packs live in the worker, which opens no public port. So their routes are an aiohttp application of their own
behind a Unix socket, in a thread with its own event loop: they answer while a node computes. The server
process forwards to it the requests for which `listed` has a route.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from aiohttp import web

from compat.host import Host


def listed(host: Host) -> list[dict[str, str]]:
    """The routes by path and method: `*` is any, GET means HEAD too, a static one covers all below it."""
    if host.server is None:
        return []
    shapes = [_shape(route) for route in host.server.routes]
    for route in host.server.app.router.routes():
        info = route.resource.get_info() if route.resource else {}
        path = str(info.get("path") or info.get("formatter") or info.get("prefix", ""))
        shapes.append(
            {"method": route.method, "path": path, "kind": "static" if "prefix" in info else "route"}
        )
    found = {(each["path"], each["method"]): each for each in shapes if each["method"] != "HEAD"}
    return [found[key] for key in sorted(found)]


def _shape(route: Any) -> dict[str, str]:
    if isinstance(route, web.StaticDef):
        return {"method": "GET", "path": route.prefix, "kind": "static"}
    return {"method": route.method, "path": route.path, "kind": "route"}


class PackRoutes:
    """Serves the routes from `start` until `close`."""

    def __init__(self, host: Host, socket: Path) -> None:
        self.host = host
        self.socket = socket
        self.loop = asyncio.new_event_loop()
        self.problems: list[str] = []
        self._thread = threading.Thread(target=self._run, name="pack routes", daemon=True)
        self._ready = threading.Event()
        self._failure: BaseException | None = None

    def start(self) -> PackRoutes:
        """Listen; the loop becomes `PromptServer.instance.loop`. Raises what listening raises."""
        self.host.loop = self.loop
        self._thread.start()
        self._ready.wait()
        if self._failure is not None:
            raise self._failure
        return self

    def close(self) -> None:
        """Stop listening and end the thread."""
        if self._thread.is_alive():
            self.loop.call_soon_threadsafe(self.loop.stop)
            self._thread.join()
        self.socket.unlink(missing_ok=True)

    def __enter__(self) -> PackRoutes:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.close()

    def _run(self) -> None:
        asyncio.set_event_loop(self.loop)
        try:
            runner = self.loop.run_until_complete(self._listen())
        except BaseException as failure:  # handed to the thread that started us
            self._failure = failure
            self._ready.set()
            self.loop.close()
            return
        self._ready.set()
        self.loop.run_forever()
        self.loop.run_until_complete(runner.cleanup())
        self.loop.close()

    async def _listen(self) -> web.AppRunner:
        app = web.Application() if self.host.server is None else self.host.server.app
        for route in self._routes():
            try:
                route.register(app.router)
            except (RuntimeError, ValueError, TypeError) as problem:
                self.problems.append(f"{_shape(route)['method']} {_shape(route)['path']}: {problem}")
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        try:
            self.socket.unlink(missing_ok=True)
            await web.UnixSite(runner, str(self.socket)).start()
            self.socket.chmod(0o600)
        except OSError as failure:
            await runner.cleanup()
            raise OSError(f"packs' routes cannot be served at {self.socket}: {failure}") from failure
        return runner

    def _routes(self) -> Iterator[web.AbstractRouteDef]:
        return iter(() if self.host.server is None else self.host.server.routes)
