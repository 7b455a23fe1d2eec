# ruff: noqa: E501 - scripts and tables that stand in one line each read better than wrapped
"""A small stand-in for the server while the page is developed: static files, recorded specs, user files in memory."""

import argparse
import asyncio
import contextlib
import hashlib
import json
import mimetypes
import threading
from collections.abc import Iterator
from pathlib import Path

from aiohttp import web

from server.examples import examples

ROOT = Path(__file__).parents[2] / "web"
SPECS = Path(__file__).parent / "data" / "object_info.json"
POLICY = "default-src 'self'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' blob: data:; object-src 'none'; base-uri 'none'"


def specs() -> dict:
    """The recorded specs with one checkpoint, as on a fresh installation."""
    recorded = json.loads(SPECS.read_text())
    recorded["CheckpointLoaderSimple"]["input"]["required"]["ckpt_name"][0] = [
        "nodeloom-emoji-128.safetensors"
    ]
    return recorded


def etag(body: bytes) -> str:
    """What a revision of a file is called."""
    return f'"{hashlib.sha256(body).hexdigest()[:16]}"'


class Pages:
    """The routes the page asks at its start, and user files with revisions."""

    def __init__(self) -> None:
        """Nothing is kept yet."""
        self.files: dict[str, bytes] = {}
        self.settings: dict[str, object] = {}
        self.prompts: list[dict] = []
        self.pictures: dict[str, bytes] = {}

    async def object_info(self, _: web.Request) -> web.Response:
        response = web.json_response(specs())
        response.enable_compression()
        return response

    async def get_settings(self, _: web.Request) -> web.Response:
        return web.json_response(self.settings)

    async def post_settings(self, request: web.Request) -> web.Response:
        self.settings.update(await request.json())
        return web.Response()

    async def userdata(self, request: web.Request) -> web.Response:
        folder = request.query["dir"]
        found = [name for name in self.files if name.startswith(folder + "/")]
        return web.json_response(
            [
                {"path": name.removeprefix(folder + "/"), "size": len(self.files[name]), "modified": 0}
                for name in found
            ]
        )

    async def file(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        if request.method == "POST":
            wanted = request.headers.get("If-Match")
            if wanted and (name not in self.files or etag(self.files[name]) != wanted):
                return web.json_response({"error": {"message": "changed"}}, status=412)
            if name in self.files and not wanted and request.query.get("overwrite") == "false":
                return web.json_response({"error": {"message": "exists"}}, status=409)
            self.files[name] = await request.read()
            return web.json_response({"path": name}, headers={"ETag": etag(self.files[name])})
        if name not in self.files:
            raise web.HTTPNotFound
        if request.method == "DELETE":
            del self.files[name]
            return web.Response(status=204)
        return web.Response(body=self.files[name], headers={"ETag": etag(self.files[name])})

    async def move(self, request: web.Request) -> web.Response:
        name, to = request.match_info["name"], request.match_info["to"]
        self.files[to] = self.files.pop(name)
        return web.json_response({"path": to})

    async def prompt(self, request: web.Request) -> web.Response:
        self.prompts.append(await request.json())
        return web.json_response(
            {"prompt_id": f"job-{len(self.prompts)}", "number": len(self.prompts), "node_errors": {}}
        )

    async def upload(self, request: web.Request) -> web.Response:
        form = await request.post()
        picture = form["image"]
        self.pictures[picture.filename] = picture.file.read()
        return web.json_response({"name": picture.filename, "subfolder": "", "type": "input"})

    async def view(self, request: web.Request) -> web.Response:
        name = request.query["filename"]
        if name not in self.pictures:
            raise web.HTTPNotFound
        return web.Response(body=self.pictures[name], content_type="image/png")

    async def sent(self, _: web.Request) -> web.Response:
        return web.json_response(self.prompts)

    async def queue(self, _: web.Request) -> web.Response:
        return web.json_response({"queue_running": [], "queue_pending": []})

    async def empty(self, _: web.Request) -> web.Response:
        return web.json_response({})

    async def listed_examples(self, _: web.Request) -> web.Response:
        return web.json_response(examples(ROOT / "examples"))

    async def none(self, _: web.Request) -> web.Response:
        return web.json_response([])

    async def socket(self, request: web.Request) -> web.WebSocketResponse:
        open_socket = web.WebSocketResponse()
        await open_socket.prepare(request)
        await open_socket.send_json(
            {
                "type": "status",
                "data": {"status": {"exec_info": {"queue_remaining": 0}}, "sid": request.query["clientId"]},
            }
        )
        async for _ in open_socket:
            pass
        return open_socket

    async def page(self, request: web.Request) -> web.StreamResponse:
        path = ROOT / (request.match_info.get("path") or "index.html")
        if not path.is_file():
            raise web.HTTPNotFound
        kind = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
        body = path.read_bytes()
        headers = {"Content-Security-Policy": POLICY, "Cache-Control": "no-cache", "ETag": etag(body)}
        if request.headers.get("If-None-Match") == etag(body):
            return web.Response(status=304, headers=headers)
        response = web.Response(body=body, content_type=kind, headers=headers)
        response.enable_compression()
        return response


def application() -> web.Application:
    """The routes the page asks at its start."""
    app, pages = web.Application(), Pages()
    app.add_routes(
        [
            web.get("/api/object_info", pages.object_info),
            web.get("/api/settings", pages.get_settings),
            web.post("/api/settings", pages.post_settings),
            web.get("/api/userdata", pages.userdata),
            web.route("*", "/api/userdata/{name}", pages.file),
            web.post("/api/userdata/{name}/move/{to}", pages.move),
            web.post("/api/prompt", pages.prompt),
            web.post("/api/upload/image", pages.upload),
            web.get("/api/view", pages.view),
            web.get("/test/prompts", pages.sent),
            web.get("/api/queue", pages.queue),
            web.post("/api/queue", pages.empty),
            web.get("/api/history", pages.empty),
            web.get("/api/extensions", pages.none),
            web.get("/nodeloom/examples", pages.listed_examples),
            web.get("/api/ws", pages.socket),
            web.get("/{path:.*}", pages.page),
        ]
    )
    return app


@contextlib.contextmanager
def served() -> Iterator[str]:
    """The page on a free port, from a thread with a loop of its own; gives the address."""
    ready, stop, addresses = threading.Event(), asyncio.Event(), []
    loops: list[asyncio.AbstractEventLoop] = []

    async def serve() -> None:
        loops.append(asyncio.get_running_loop())
        runner = web.AppRunner(application(), shutdown_timeout=1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        addresses.append(f"http://127.0.0.1:{runner.addresses[0][1]}/")
        ready.set()
        await stop.wait()
        await runner.cleanup()

    thread = threading.Thread(target=lambda: asyncio.run(serve()), daemon=True)
    thread.start()
    assert ready.wait(20)
    try:
        yield addresses[0]
    finally:
        loops[0].call_soon_threadsafe(stop.set)
        thread.join(20)


if __name__ == "__main__":
    options = argparse.ArgumentParser()
    options.add_argument("--port", type=int, default=8199)
    web.run_app(application(), host="127.0.0.1", port=options.parse_args().port, print=None)
