"""A real application in process, with a real worker process of toy nodes behind it."""

import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from execution.files.folders import Folders
from server.settings import Settings
from tests.server.client import Client, started

ROOT = Path(__file__).parents[2]
TOYS = (sys.executable, "-m", "tests.server.toys")
NOBODY = (sys.executable, "-I", "-S", "-c", "import os, sys; os.read(int(sys.argv[2]), 1)")
"""A worker that never says anything, for tests that need none: it starts ten times faster."""
Serve = Callable[..., AbstractAsyncContextManager[Client]]


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """A server of an empty data folder with a page of two files."""
    web = tmp_path / "web"
    web.mkdir()
    (web / "index.html").write_text("<!doctype html><title>Nodeloom</title>" + " " * 1000)
    (web / "main.js").write_text("export {};\n")
    data = tmp_path / "data"
    for name in ("input", "output", "temp", "user", "models/checkpoints", "models/embeddings"):
        (data / name).mkdir(parents=True)
    worker = (*TOYS, "--data", str(data))
    return Settings(Folders(data), tmp_path / "state", web, worker, declared_by=(ROOT / "tests" / "server",))


@pytest.fixture
def serve(settings: Settings) -> Serve:
    """`async with serve(insecure=True) as client:` — a running server and a client of it."""

    @asynccontextmanager
    async def serving(**changes: Any) -> AsyncIterator[Client]:
        async with started(replace(settings, **changes)) as client:
            yield client

    return serving


@pytest.fixture
async def calm(serve: Serve) -> AsyncIterator[Client]:
    """A client of a server whose worker never gets ready."""
    async with serve(worker_command=NOBODY) as connected:
        yield connected


@pytest.fixture
async def client(serve: Serve) -> AsyncIterator[Client]:
    """A client of a server with the plain settings."""
    async with serve() as connected:
        yield connected
