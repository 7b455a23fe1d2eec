"""ComfyUI's `server`: the one PromptServer that packs add routes to and send messages through.

It lives where packs live, in the worker. Its routes are collected in a real aiohttp table, to be mounted by
the server process (see `compat.routes`); its messages go out through `Host.send`.
"""

from __future__ import annotations

import asyncio
import struct
import uuid
from collections.abc import Callable, Mapping
from typing import Any

from aiohttp import web

from compat.current import current_run
from compat.host import Host
from compat.previews import preview_of

OnPrompt = Callable[[dict[str, Any]], dict[str, Any]]


class BinaryEventTypes:
    """The numbers of binary websocket messages."""

    PREVIEW_IMAGE = 1
    UNENCODED_PREVIEW_IMAGE = 2
    TEXT = 3
    PREVIEW_IMAGE_WITH_METADATA = 4


class PromptQueue:
    """The queue as packs look at it: from the worker only its own job is in sight, so it seems empty."""

    def __init__(self) -> None:
        self.currently_running: dict[int, Any] = {}
        self.queue: list[Any] = []
        self.history: dict[str, Any] = {}
        self.flags: dict[str, Any] = {}

    def get_current_queue(self) -> tuple[list[Any], list[Any]]:
        """Running and waiting jobs."""
        return list(self.currently_running.values()), list(self.queue)

    get_current_queue_volatile = get_current_queue

    def get_tasks_remaining(self) -> int:
        """How many jobs there are."""
        return len(self.queue) + len(self.currently_running)

    def get_history(self, prompt_id: str | None = None, **_kwargs: Any) -> dict[str, Any]:
        """What has run."""
        return (
            self.history if prompt_id is None else {k: v for k, v in self.history.items() if k == prompt_id}
        )

    def set_flag(self, name: str, data: Any) -> None:
        """Ask for something before the next job."""
        self.flags[name] = data

    def get_flags(self, reset: bool = True) -> dict[str, Any]:
        """What was asked for."""
        flags = dict(self.flags)
        if reset:
            self.flags.clear()
        return flags


class PromptServer:
    """Routes, messages and prompt handlers, under ComfyUI's names. `instance` is the only one."""

    instance: PromptServer

    def __init__(self, host: Host) -> None:
        self.host = host
        self.routes = web.RouteTableDef()
        self.app = web.Application()
        self.prompt_queue = PromptQueue()
        self.supports: list[str] = ["custom_nodes_from_web"]
        self.on_prompt_handlers: list[OnPrompt] = []
        self.number = 0
        self.sockets: dict[str, Any] = {}
        self.messages: asyncio.Queue[Any] = asyncio.Queue()
        self.address = "127.0.0.1"
        self.port = 8188
        self.client_session: Any = None
        self.user_manager: Any = None
        self.web_root = str(host.base / "web")
        self.last_prompt_id: str | None = None

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The loop that the worker runs on."""
        if self.host.loop is None:
            try:
                self.host.loop = asyncio.get_running_loop()
            except RuntimeError:
                self.host.loop = asyncio.new_event_loop()
        return self.host.loop

    @property
    def client_id(self) -> str | None:
        """The client that asked for the running job."""
        run = current_run()
        return run.client_id if run else None

    @property
    def last_node_id(self) -> str | None:
        """The node that is running."""
        run = current_run()
        return run.node if run else None

    def send_sync(self, event: str | int, data: Any, sid: str | None = None) -> None:
        """Send a message to one client, or to all when `sid` is None."""
        if isinstance(event, int):
            event, data = _binary(event, data)
        self.host.send(event, data, sid)

    async def send(self, event: str | int, data: Any, sid: str | None = None) -> None:
        """`send_sync`, to be awaited."""
        self.send_sync(event, data, sid)

    async def send_json(self, event: str, data: Any, sid: str | None = None) -> None:
        """`send_sync` of JSON values, to be awaited."""
        self.send_sync(event, data, sid)

    async def send_bytes(self, event: int, data: bytes, sid: str | None = None) -> None:
        """`send_sync` of bytes, to be awaited."""
        self.send_sync(event, data, sid)

    def send_progress_text(self, text: str | bytes, node_id: str, sid: str | None = None) -> None:
        """Show a line of text on a node."""
        words = text.encode() if isinstance(text, str) else text
        node = node_id.encode()
        self.send_sync(BinaryEventTypes.TEXT, struct.pack(">I", len(node)) + node + words, sid)

    def add_on_prompt_handler(self, handler: OnPrompt) -> None:
        """Have `handler` look at, and maybe change, each prompt before it is queued."""
        self.on_prompt_handlers.append(handler)

    def trigger_on_prompt(self, json_data: dict[str, Any]) -> dict[str, Any]:
        """What the handlers make of a posted prompt; one that raises is passed over."""
        for handler in self.on_prompt_handlers:
            try:
                json_data = handler(json_data)
            except Exception as problem:
                self.host.complain(
                    f"a pack's prompt handler {getattr(handler, '__qualname__', handler)}", problem
                )
        return json_data

    def get_queue_info(self) -> dict[str, Any]:
        """What the status message holds."""
        return {"exec_info": {"queue_remaining": self.prompt_queue.get_tasks_remaining()}}

    def queue_updated(self) -> None:
        """Tell everybody the status."""
        self.send_sync("status", {"status": self.get_queue_info()})

    def add_routes(self) -> None:
        """Routes are mounted by the server process."""

    def get_prompt_server(self) -> PromptServer:
        """This one."""
        return self


def _binary(event: int, data: Any) -> tuple[int, bytes]:
    """The number and payload of a binary message; pictures are encoded, with their format before them."""
    if event != BinaryEventTypes.UNENCODED_PREVIEW_IMAGE:
        return event, bytes(data)
    preview = preview_of(data)
    assert preview is not None
    return BinaryEventTypes.PREVIEW_IMAGE, struct.pack(
        ">I", 1 if preview.kind == "jpeg" else 2
    ) + preview.data


def names(host: Host) -> Mapping[str, Any]:
    """What packs import. The server object is made once per host."""
    import aiohttp

    bound: Any = type("PromptServer", (PromptServer,), {"__module__": "server"})
    if host.server is None:
        host.server = bound(host)
    bound.instance = host.server
    return {
        "BinaryEventTypes": BinaryEventTypes,
        "PromptServer": bound,
        "aiohttp": aiohttp,
        "asyncio": asyncio,
        "uuid": uuid,
        "web": web,
    }
