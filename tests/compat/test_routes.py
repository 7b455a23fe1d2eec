"""Packs' HTTP routes, behind a socket."""

from __future__ import annotations

import threading
from pathlib import Path

import aiohttp
import pytest

from compat.modules import server
from compat.routes import PackRoutes, listed

PACK = """
import threading
from aiohttp import web
from server import PromptServer

routes = PromptServer.instance.routes

@routes.get("/mine/hello/{name}")
async def hello(request):
    return web.json_response({"hello": request.match_info["name"], "thread": threading.current_thread().name})

@routes.post("/mine/echo")
async def echo(request):
    return web.Response(body=await request.read(), status=201)

@routes.get("/mine/fails")
async def fails(request):
    raise RuntimeError("not today")

@routes.get("/mine/hello/{name}")
async def again(request):
    return web.Response(text="never reached")

PromptServer.instance.app.router.add_static("/mine/files", %r)
NODE_CLASS_MAPPINGS = {}
"""


async def ask(socket: Path, method: str, path: str, **options) -> tuple[int, bytes]:
    async with (
        aiohttp.ClientSession(connector=aiohttp.UnixConnector(str(socket))) as session,
        session.request(method, f"http://packs{path}", **options) as response,
    ):
        return response.status, await response.read()


async def test_routes_answer_in_a_thread_of_their_own(load, host, tmp_path: Path) -> None:
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "a.txt").write_text("static")
    load({"mine.py": PACK % str(tmp_path / "files")})
    with PackRoutes(host, tmp_path / "packs.sock") as serving:
        socket = serving.socket
        status, body = await ask(socket, "GET", "/mine/hello/anna")
        assert (status, body) == (200, b'{"hello": "anna", "thread": "pack routes"}')
        assert await ask(socket, "POST", "/mine/echo", data=b"abc") == (201, b"abc")
        assert await ask(socket, "GET", "/mine/files/a.txt") == (200, b"static")
        assert (await ask(socket, "GET", "/mine/fails"))[0] == 500
        assert (await ask(socket, "GET", "/other"))[0] == 404
        assert host.server.loop is serving.loop
        assert socket.stat().st_mode & 0o777 == 0o600
        assert listed(host) == [
            {"method": "POST", "path": "/mine/echo", "kind": "route"},
            {"method": "GET", "path": "/mine/fails", "kind": "route"},
            {"method": "GET", "path": "/mine/files", "kind": "static"},
            {"method": "GET", "path": "/mine/hello/{name}", "kind": "route"},
        ]
    assert not socket.exists()
    assert not any(thread.name == "pack routes" for thread in threading.enumerate())


def test_no_packs_no_routes(host, tmp_path: Path) -> None:
    assert listed(host) == []
    with PackRoutes(host, tmp_path / "packs.sock") as serving:
        assert serving.problems == []


def test_a_route_that_cannot_be_added_is_reported_and_the_others_serve(host, tmp_path: Path) -> None:
    instance = server.names(host)["PromptServer"].instance

    async def answer(request: object) -> aiohttp.web.Response:
        return aiohttp.web.Response(text="ok")

    instance.routes.get("no-slash")(answer)
    instance.routes.get("/fine")(answer)
    with PackRoutes(host, tmp_path / "packs.sock") as serving:
        assert [problem.partition(":")[0] for problem in serving.problems] == ["GET no-slash"]


def test_a_socket_that_cannot_be_made_is_an_error_at_the_start(host, tmp_path: Path) -> None:
    with pytest.raises(OSError, match=r"cannot be served at .*packs\.sock"):
        PackRoutes(host, tmp_path / "absent" / "packs.sock").start()
