"""The parts of one server, joined by `server.app` and handed to every route through the application."""

import asyncio
import time
from collections.abc import Coroutine
from dataclasses import dataclass, field

from aiohttp import web

from execution.files.folders import Folders
from server.assets.library import Assets
from server.assets.seeding import Seeding
from server.login import Logins
from server.logs import LastLines
from server.pictures import Pictures
from server.safety import Gate
from server.scheduler import Scheduler
from server.settings import Limits, Settings
from server.sockets import Hub
from server.specs import Catalogue
from server.statics import Statics
from server.store import Store
from server.users import Users
from server.workers import Crew


@dataclass(frozen=True)
class Parts:
    """Everything a route may need."""

    settings: Settings
    gate: Gate
    logins: Logins
    store: Store
    assets: Assets
    seeding: Seeding
    hub: Hub
    catalogue: Catalogue
    scheduler: Scheduler
    crew: Crew
    pictures: Pictures
    users: Users
    statics: Statics
    log: LastLines
    started: float = field(default_factory=time.time)
    tasks: set["asyncio.Task[None]"] = field(default_factory=set)

    @property
    def folders(self) -> Folders:
        return self.settings.folders

    @property
    def limits(self) -> Limits:
        return self.settings.limits

    def background(self, work: Coroutine[None, None, None]) -> None:
        """Do something beside the request; it is cancelled when the server closes."""
        task = asyncio.create_task(work)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)


PARTS = web.AppKey("parts", Parts)


def parts(request: web.Request) -> Parts:
    """The parts of the server that got this request."""
    return request.app[PARTS]


def session(request: web.Request) -> str:
    """The session of a request that was let in."""
    return parts(request).logins.session(request) or ""
