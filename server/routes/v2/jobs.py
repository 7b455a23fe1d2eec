"""/api/v2/jobs: the queue and the history that all routes share, with idempotent submitting."""

import hashlib
import json
import sqlite3
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from aiohttp import web

from server.answers import answer
from server.assets.references import resolve_references
from server.bodies import read_object
from server.envelopes import Refusal, enveloped
from server.jobs import Once, Queued
from server.parts import Parts, parts, session
from server.routes.history import whole
from server.routes.v2.assets import idempotency_key, invalid, reused
from server.routes.v2.events import get_events
from server.routes.v2.views import job_view, summary_view
from server.store import Page, Repeated
from server.submission.checking import check
from server.submission.job import job_of
from server.submission.rejected import Rejected
from workflows.prompt import is_workflow

MOST = 500
MOST_LABELS, MOST_NAME, MOST_VALUE = 50, 64, 512
RETRY_SECONDS = 10


def routes() -> list[web.RouteDef]:
    return [
        web.get("/api/v2/jobs", enveloped(get_jobs), allow_head=False),
        web.post("/api/v2/jobs", enveloped(post_job)),
        web.get("/api/v2/jobs/{id}", enveloped(get_job), allow_head=False),
        web.get("/api/v2/jobs/{id}/workflow", enveloped(get_workflow), allow_head=False),
        web.get("/api/v2/jobs/{id}/events", enveloped(get_events), allow_head=False),
        web.post("/api/v2/jobs/{id}/cancel", enveloped(post_cancel)),
    ]


async def known_job(request: web.Request) -> dict[str, Any]:
    """The full record of the job in the path; 404 when there is none."""
    record = await parts(request).store.job(request.match_info["id"])
    if record is None:
        raise Refusal(404, "not_found", "There is no job of this id.")
    return record


async def get_job(request: web.Request) -> web.Response:
    """One job, with its outputs so far."""
    return answer(await job_view(request, await known_job(request)))


async def get_workflow(request: web.Request) -> web.Response:
    """The prompt that a job runs."""
    return answer({"workflow": (await known_job(request))["prompt"], "format": "api"})


async def get_jobs(request: web.Request) -> web.Response:
    """A page of jobs, newest first; those with the labels of `metadata[NAME]=VALUE`; `cursor` goes on."""
    here, cursor = parts(request), whole(request, "cursor", 2**53)
    limit = whole(request, "limit", MOST) or MOST
    labels = {
        name[len("metadata[") : -1]: value
        for name, value in request.query.items()
        if name.startswith("metadata[") and name.endswith("]")
    }
    records, _ = await here.store.jobs(Page(limit=limit + 1, labels=labels, before=cursor))
    page = records[:limit]
    more = {"next_cursor": str(page[-1]["ordinal"])} if len(records) > limit else {}
    return answer(
        {"jobs": [summary_view(record, here.scheduler.standing(record["id"])) for record in page], **more}
    )


async def post_job(request: web.Request) -> web.Response:
    """Queue a workflow in API form; repeated with the same Idempotency-Key it is the same job."""
    here = parts(request)
    body = await read_object(request, here.limits.body, here.limits.depth)
    once, labels = once_of(request, body), labels_of(body.get("metadata"))
    try:
        if once is not None:
            await here.store.answered(session(request), once)
        job = await job_for(here, body, session(request))
        await here.scheduler.add(replace(job, labels=labels, once=once))
    except Repeated as repeated:
        if not repeated.same:
            raise reused() from repeated
        return await created(request, repeated.job)
    except sqlite3.Error as error:
        raise Refusal(
            507, "not_kept", "The job could not be written to disk, so it was not taken."
        ) from error
    return await created(request, job.id)


async def created(request: web.Request, job: str) -> web.Response:
    """201 with a job."""
    record = await parts(request).store.job(job)
    if record is None:
        raise Refusal(404, "not_found", "The job has been taken out of the history.")
    return answer(await job_view(request, record), 201)


async def job_for(here: Parts, body: Mapping[str, Any], who: str) -> Queued:
    """The checked job of a body; 422 for a workflow that cannot run, 429 when the queue is full."""
    workflow, extra_data = body.get("workflow"), body.get("extra_data")
    if not isinstance(workflow, dict) or not (extra_data is None or isinstance(extra_data, dict)):
        raise invalid('Send {"workflow": {…}}, with extra_data as an object if there is some.')
    if is_workflow(workflow):
        message = "This is the editor's form of a workflow; send its API form, or use POST /prompt."
        raise Refusal(422, "workflow_format_ui", message)
    if here.scheduler.remaining >= here.limits.pending:
        message = f"The queue holds {here.limits.pending} jobs, which is all it takes."
        raise Refusal(429, "queue_full", message, headers={"Retry-After": str(RETRY_SECONDS)})
    await resolve_references(here.assets, workflow)
    sent = {"prompt": workflow, "extra_data": extra_data}
    try:
        return job_of(here, sent, await check(here, sent), who)
    except Rejected as no:
        raise not_runnable(no) from no


def not_runnable(no: Rejected) -> Refusal:
    """Why a workflow cannot run, node by node."""
    error = no.body.get("error")
    told = error if isinstance(error, dict) else {}
    message = ": ".join(str(told[name]) for name in ("message", "details") if told.get(name))
    details = {"type": told.get("type"), "node_errors": dict(no.body.get("node_errors") or {})}
    return Refusal(422, "invalid_workflow", message or "The workflow cannot run.", details)


def once_of(request: web.Request, body: Mapping[str, Any]) -> Once | None:
    """The key of a request with what it asks for; keys of services are no part of that."""
    key = idempotency_key(request)
    if key is None:
        return None
    asked = json.dumps([body.get("workflow"), body.get("metadata")], sort_keys=True)
    return Once(key, hashlib.sha256(asked.encode()).hexdigest())


def labels_of(given: object) -> dict[str, str]:
    """The labels of a job; 422 for what is none."""
    fits = given is None or (
        isinstance(given, dict)
        and len(given) <= MOST_LABELS
        and all(0 < len(name) <= MOST_NAME for name in given)
        and all(isinstance(value, str) and len(value) <= MOST_VALUE for value in given.values())
    )
    if not fits:
        message = (
            f"metadata has up to {MOST_LABELS} labels, each a name of up to {MOST_NAME} and a text of up to "
            f"{MOST_VALUE} characters."
        )
        raise Refusal(422, "metadata_invalid", message)
    return dict(given) if isinstance(given, dict) else {}


async def post_cancel(request: web.Request) -> web.Response:
    """Stop a job wherever it is; an ended one stays as it ended."""
    record = await known_job(request)
    await parts(request).scheduler.cancel(record["id"])
    return answer(await job_view(request, await parts(request).store.job(record["id"]) or record))
