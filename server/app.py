"""The server put together: parts, gate, routes, and running it until a signal comes."""

import asyncio
import contextlib
import fcntl
import logging
import signal
import socket
import sqlite3
import ssl
import sys
import webbrowser
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator, Mapping
from pathlib import Path
from typing import IO, Any

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from server.answers import JSON_TYPE, answer, dumps, problem
from server.assets.library import Assets
from server.assets.outputs import note_outputs
from server.assets.seeding import Seeding
from server.database import Unstorable
from server.journal import Journal
from server.login import Logins, kept_token
from server.logs import LastLines
from server.parts import PARTS, Parts, parts
from server.pictures import Pictures
from server.refreshing import ask_packs
from server.rehearsal import rehearse
from server.routes import (
    assets,
    history,
    internal,
    jobs,
    models,
    nodeloom,
    prompt,
    queue,
    sockets,
    static,
    system,
    upload,
    userdata,
    view,
)
from server.routes.v2 import assets as v2_assets
from server.routes.v2 import jobs as v2_jobs
from server.safety import Gate, protect
from server.scheduler import Scheduler
from server.settings import Settings
from server.sockets import Hub
from server.specs import Catalogue
from server.statics import Statics
from server.sweeping import sweep_up
from server.users import Users
from server.workers import Crew

logger = logging.getLogger(__name__)
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
TOPICS = (
    prompt,
    queue,
    history,
    jobs,
    assets,
    v2_assets,
    v2_jobs,
    view,
    upload,
    models,
    userdata,
    system,
    internal,
    nodeloom,
    sockets,
)
API = "/api/"
"""Where every route is, too; some are nowhere else."""
OPEN_PATHS = frozenset({"/nodeloom/login", "/nodeloom/login.js"})
"""What may be reached without a session."""


def build_app(settings: Settings) -> web.Application:
    """The application; its workers start, and its store opens, when it does."""
    app = web.Application(middlewares=[mend, refuse], client_max_size=settings.limits.body)
    log = LastLines()
    for topic in TOPICS:
        for route in topic.routes():
            app.router.add_routes([route])
            if not route.path.startswith(API):
                app.router.add_routes(
                    [web.RouteDef(route.method, f"{API}{route.path[1:]}", route.handler, route.kwargs)]
                )
    app.router.add_routes(static.routes())
    app.cleanup_ctx.append(lambda app: joined(app, settings, log))
    app.on_response_prepare.append(finish_headers)
    return app


async def joined(app: web.Application, settings: Settings, log: LastLines) -> AsyncIterator[None]:
    """Make the parts, hand them to the application and start them; take them apart at its end."""
    logging.getLogger().addHandler(log)
    try:
        with journal_file(settings) as file:
            here = app[PARTS] = made_parts(settings, file, log)
            here.background(here.catalogue.load())
            here.background(sweep_up(here))
            await here.scheduler.open(here.crew)
            here.crew.start()
            here.background(here.seeding.start())
            yield
            await close(here)
    finally:
        logging.getLogger().removeHandler(log)


def made_parts(settings: Settings, file: Path, log: LastLines) -> Parts:
    """The parts of one server, its journal in `file`."""
    store = Journal(file, settings.limits.history)
    hub = Hub(settings.limits.sockets, settings.glimpses_for_all)
    catalogue = Catalogue(settings.folders, settings.state_dir / "specs", settings.declared_by)
    scheduler = Scheduler(store, hub, catalogue)
    assets = Assets(file.with_name(file.name.replace("journal", "assets")), settings.folders)
    token = settings.token or (kept_token(settings.state_dir / "token") if settings.needs_login else None)
    here = Parts(
        settings=settings,
        gate=Gate(settings),
        logins=Logins(token),
        store=store,
        assets=assets,
        seeding=Seeding(assets, settings.folders),
        hub=hub,
        catalogue=catalogue,
        scheduler=scheduler,
        crew=Crew([settings.worker_command], scheduler),
        pictures=Pictures(settings.limits.decoded),
        users=Users(settings.folders, settings.multi_user),
        statics=Statics(),
        log=log,
    )
    scheduler.loaded = lambda: worker_loaded(here)
    scheduler.ended = lambda job, outputs: here.background(noted(here, job, outputs))
    return here


async def noted(here: Parts, job: str, outputs: Mapping[str, Any]) -> None:
    """Note the files of a job that ended as assets; what fails is noted when they are asked for."""
    try:
        await note_outputs(here.assets, job, outputs)
    except (OSError, sqlite3.Error, web.HTTPException) as error:
        logger.warning("The files of job %s are no assets yet: %s", job, error)


def worker_loaded(here: Parts) -> None:
    """A worker is there, the first one or in place of one that died: ask it, and sweep up after the other."""
    here.background(ask_packs(here))
    here.background(sweep_up(here))


async def close(here: Parts) -> None:
    """Take the parts down, the journal last."""
    for task in list(here.tasks):
        task.cancel()
    await here.hub.close()
    await here.scheduler.close()
    await here.crew.close()
    await asyncio.to_thread(here.assets.close)
    await asyncio.to_thread(here.store.close)


@contextlib.contextmanager
def journal_file(settings: Settings) -> Iterator[Path]:
    """The journal's file, for this process alone: a second server of the same data gets one of its own, by
    its port.
    """
    settings.state_dir.mkdir(parents=True, exist_ok=True)
    settings.state_dir.chmod(0o700)
    for name in ("journal", f"journal-{settings.port}", None):
        if name is None:
            raise RuntimeError(f"Another server uses {settings.state_dir} and this port already.")
        lock = (settings.state_dir / f"{name}.lock").open("w")
        if locked(lock):
            break
        lock.close()
        logger.warning("Another server keeps its queue in %s; this one keeps its own.", settings.state_dir)
    with lock:
        yield settings.state_dir / f"{name}.sqlite"


def locked(file: IO[str]) -> bool:
    """Lock a file; False when another process has it."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


@web.middleware
async def refuse(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Let nothing pass that the gate refuses or that has no session."""
    here = parts(request)
    refused = here.gate.refusal(request)
    if refused is not None:
        return answer(problem(refused.kind, refused.message), refused.status)
    if request.method == "OPTIONS":
        return web.Response()
    if here.logins.session(request) is None and request.path not in OPEN_PATHS:
        return await login_needed(request)
    return await handler(request)


async def login_needed(request: web.Request) -> web.StreamResponse:
    """401; with the login page for who came with a browser to see one."""
    if request.method == "GET" and "text/html" in request.headers.get("Accept", ""):
        response = await parts(request).statics.send(request, nodeloom.PAGES / "login.html")
        response.set_status(401)
        return response
    message = "Log in first: send the token that the server printed as Authorization: Bearer TOKEN."
    return answer(problem("login_required", message), 401, {"WWW-Authenticate": "Bearer"})


@web.middleware
async def mend(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer in JSON whatever goes wrong, and log what should not have."""
    try:
        return await handler(request)
    except web.HTTPException as error:
        if error.status < 400 or error.content_type == JSON_TYPE:
            raise
        text = dumps(problem(error.reason.lower().replace(" ", "_"), f"{error.reason}."))
        headers = {name: error.headers[name] for name in ("Allow",) if name in error.headers}
        return web.Response(status=error.status, text=text, content_type=JSON_TYPE, headers=headers)
    except (ConnectionError, asyncio.CancelledError):
        raise
    except (HttpProcessingError, web.RequestPayloadError) as error:
        return answer(problem("bad_request", "The request cannot be read.", str(error)[:200]), 400)
    except Unstorable as error:
        return answer(
            problem("invalid_value", "The request has a value that cannot be kept.", str(error)), 400
        )
    except Exception:
        logger.exception("%s %s failed", request.method, request.path)
        return answer(problem("server_error", "The server failed at this; its log says where."), 500)


async def finish_headers(request: web.Request, response: web.StreamResponse) -> None:
    """Headers of every answer."""
    here = parts(request)
    for name, value in here.gate.cors_headers(request).items():
        response.headers[name] = value
    protect(response)


# running


def run(settings: Settings) -> int:
    """Serve until SIGINT or SIGTERM; the exit code."""
    logging.basicConfig(level=settings.verbose.upper(), format="%(message)s", stream=sys.stderr)
    logging.getLogger("aiohttp.access").setLevel(logging.WARNING)
    if "*" in settings.cors_origins:
        logger.warning(
            "--enable-cors-header * would open the server to every web page; name the origin. Ignored."
        )
    try:
        return asyncio.run(serve(settings))
    except OSError as error:
        logger.error("Cannot listen on %s port %d: %s", ", ".join(settings.listen), settings.port, error)
        return 1
    except KeyboardInterrupt:
        return 130


async def serve(settings: Settings) -> int:
    """Listen first, then load; stop at a signal, or, for a quick test, when all is loaded. The exit code."""
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    runner = web.AppRunner(build_app(settings), access_log=None, shutdown_timeout=2.0)
    await runner.setup()
    try:
        port = settings.port
        for host in settings.listen:
            site = web.TCPSite(runner, host or None, port, ssl_context=tls_context(settings))
            await site.start()
            port = port or runner.addresses[0][1]
        announce(settings, runner.app[PARTS].logins.token, port)
        if settings.quick_test:
            return await unless(stop, rehearse(runner.app[PARTS]))
        await stop.wait()
        return 0
    finally:
        await runner.cleanup()


async def unless(stop: asyncio.Event, work: Coroutine[None, None, int]) -> int:
    """The exit code that `work` gives, or 130 when the signal comes first."""
    working, stopped = asyncio.create_task(work), asyncio.create_task(stop.wait())
    await asyncio.wait((working, stopped), return_when=asyncio.FIRST_COMPLETED)
    stopped.cancel()
    return working.result() if working.done() else 130


def tls_context(settings: Settings) -> ssl.SSLContext | None:
    """What HTTPS needs, if it is wanted."""
    if settings.tls is None:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(*settings.tls)
    return context


def announce(settings: Settings, token: str | None, port: int) -> None:
    """Print where the editor is, and the token if one is needed."""
    host = settings.listen[0]
    shown = {"0.0.0.0": socket.gethostname(), "::": socket.gethostname(), "": socket.gethostname()}.get(
        host, host
    )
    scheme = "https" if settings.tls else "http"
    url = f"{scheme}://{f'[{shown}]' if ':' in shown else shown}:{port}/"
    if token is not None:
        print(f"Log in with this token: {token}")
        url += f"#token={token}"
    elif not settings.is_local:
        print("Served beyond this machine WITHOUT a login: whoever reaches the port may run anything.")
    print(f"To see the GUI go to: {url}", flush=True)
    if settings.auto_launch:
        webbrowser.open(url)
