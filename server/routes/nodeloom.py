"""Our own routes: events of a job, explain, lint, cache, timings, examples, workers, logging in."""

import asyncio
import contextlib
import json
import time
from pathlib import Path
from typing import Any

from aiohttp import web

from server.answers import answer, json_text, not_found, refusal
from server.bodies import read_object
from server.examples import examples
from server.journal import lenient
from server.parts import Parts, parts
from server.routes.history import whole
from server.submission.checking import check
from server.submission.rejected import Rejected
from server.workers import NoAnswer

MOST_EVENTS = 1_000
MOST_WAIT = 30
PAGES = Path(__file__).parent.parent / "pages"


def routes() -> list[web.RouteDef]:
    return [
        web.get("/nodeloom/events", get_events),
        web.get("/nodeloom/timings", get_timings),
        web.get("/nodeloom/explain", get_explain),
        web.post("/nodeloom/explain", post_explain),
        web.get("/nodeloom/value", get_value),
        web.post("/nodeloom/lint", post_lint),
        web.get("/nodeloom/cache", get_cache),
        web.get("/nodeloom/examples", get_examples),
        web.get("/nodeloom/packs", get_packs),
        web.get("/nodeloom/workers", get_workers),
        web.post("/nodeloom/login", post_login),
        web.get("/nodeloom/login.js", get_login_script),
    ]


async def known_job(request: web.Request) -> dict[str, Any]:
    """The record of the job in the query, of the newest one if none is named; 404 when there is none."""
    here, job = parts(request), request.query.get("job")
    record = await here.store.job(
        job or next(reversed([*await newest(here), *here.scheduler.running_ids()]), "")
    )
    if record is None:
        not_found()
    return record


async def newest(here: Parts) -> list[str]:
    """The id of the job that was made last, if there is one."""
    from server.store import Page

    records, _ = await here.store.jobs(Page(limit=1))
    return [record["id"] for record in records]


async def get_events(request: web.Request) -> web.Response:
    """Events of a job with numbers above `after`; `wait` seconds for some to come.

    `{"job", "state", "events", "last", "live"}`: `last` is the next question's `after`, `live` the progress.
    """
    here, record = parts(request), await known_job(request)
    job, after, patience = record["id"], whole(request, "after") or 0, whole(request, "wait", MOST_WAIT) or 0
    events = await events_after(here, job, after, patience)
    live = here.scheduler.live(job)
    last = json.loads(events[-1])["number"] if events else after
    state = (await here.store.job(job) or record)["status"]
    head = f'"job":{json.dumps(job)},"state":{json.dumps(state)},"last":{last},"live":{lenient(live)}'
    return json_text(f'{{{head},"events":[{",".join(events)}]}}')


async def events_after(here: Parts, job: str, after: int, patience: float) -> list[str]:
    """Events of a job with numbers above `after`; while it runs and there are none, the next ones to come."""
    end = time.monotonic() + patience
    with here.scheduler.watchers.watch(job, sees=False) as watcher:
        while True:
            watcher.changed.clear()
            await here.scheduler.keep_events(job)
            events = await here.store.events(job, after, MOST_EVENTS)
            left = end - time.monotonic()
            if events or left <= 0 or job not in here.scheduler.running_ids():
                return events
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(watcher.changed.wait(), left)


async def get_timings(request: web.Request) -> web.Response:
    """Seconds, memory and cache state of each node of a job, dearest first."""
    here, record = parts(request), await known_job(request)
    await here.scheduler.keep_events(record["id"])
    after, nodes = 0, []
    while events := [json.loads(text) for text in await here.store.events(record["id"], after, MOST_EVENTS)]:
        after = events[-1]["number"]
        nodes += [timing(event) for event in events if event["kind"] == "Done"]
    nodes.sort(key=lambda node: -node["seconds"])
    return answer({"job": record["id"], "state": record["status"], "nodes": nodes})


def timing(event: dict[str, Any]) -> dict[str, Any]:
    """What a Done event says of its node's cost."""
    place = event["place"]
    return {
        "node": place["node"],
        "display_node": place["display_node"],
        "class_type": place["class_type"],
        "seconds": event["seconds"],
        "cached": event["cached"],
        "memory": event["memory"],
        "number": event["number"],
    }


async def asked(here: Parts, question: str, arguments: dict[str, Any]) -> web.Response:
    """A worker's answer to a question; 503 when there is none."""
    try:
        value = await here.crew.ask(question, arguments)
    except NoAnswer as error:
        raise refusal(503, "no_worker", "No worker can answer now.", str(error)) from error
    return json_text(lenient(value))


async def get_explain(request: web.Request) -> web.Response:
    """What each node of a job would do if it were run now, and why."""
    record = await known_job(request)
    arguments = {"prompt": record["prompt"], "targets": record["targets"]}
    return await asked(parts(request), "explain", arguments)


async def post_explain(request: web.Request) -> web.Response:
    """What each node of the prompt or workflow in the body would do, and why. Takes the body of POST
    /prompt.
    """
    here = parts(request)
    body = await read_object(request, here.limits.body, here.limits.depth)
    try:
        checked = await check(here, body)
    except Rejected as no:
        return answer(no.body, no.status)
    return await asked(here, "explain", {"prompt": checked.prompt, "targets": list(checked.targets)})


async def get_value(request: web.Request) -> web.Response:
    """What went through an `output` of a `node` of a job, in words and perhaps in a small picture."""
    record = await known_job(request)
    node, output = request.query.get("node", ""), whole(request, "output") or 0
    if node not in record["prompt"]:
        not_found()
    return await asked(parts(request), "value", {"prompt": record["prompt"], "node": node, "output": output})


async def post_lint(request: web.Request) -> web.Response:
    """What is wrong with a prompt or workflow, without queueing it; `prompt` is its API format."""
    here = parts(request)
    body = await read_object(request, here.limits.body, here.limits.depth)
    try:
        checked = await check(here, body)
    except Rejected as no:
        return answer({"ok": False, **no.body})
    report = {"ok": not checked.node_errors, "error": None, "node_errors": checked.node_errors}
    return json_text(lenient({**report, "outputs": checked.targets, "prompt": checked.prompt}))


async def get_cache(request: web.Request) -> web.Response:
    """What the worker's cache holds and how it decides."""
    return await asked(parts(request), "cache", {})


async def get_examples(request: web.Request) -> web.Response:
    """The example workflows by name, with the node types in each; see `examples`."""
    folder = parts(request).settings.web_root / "examples"
    return answer(await asyncio.to_thread(examples, folder))


async def get_packs(request: web.Request) -> web.Response:
    """What became of each pack of custom nodes; see docs/custom-nodes.md."""
    return answer(parts(request).catalogue.packs)


async def get_workers(request: web.Request) -> web.Response:
    """The workers, why some do not start, the node types and packs that failed."""
    here = parts(request)
    return answer(
        {
            "workers": [worker.to_json() for worker in here.crew.workers],
            "problems": list(here.crew.problems.values()),
            "specs_from_cache": here.catalogue.from_cache,
            "failures": here.catalogue.failures,
            "packs": json.loads(lenient(here.catalogue.packs)),
        }
    )


async def post_login(request: web.Request) -> web.Response:
    """`{"token"}` opens a session by cookie; 401 for a wrong one."""
    here = parts(request)
    token = (await read_object(request, 4_096, 4)).get("token")
    if not here.logins.required:
        return answer({"ok": True})
    if not isinstance(token, str) or not here.logins.accepts(token):
        raise refusal(401, "wrong_token", "That is not the token that the server printed at its start.")
    response = answer({"ok": True})
    here.logins.log_in(response, request.secure)
    return response


async def get_login_script(request: web.Request) -> web.StreamResponse:
    """The script of the login page."""
    return await parts(request).statics.send(request, PAGES / "login.js")
