"""/api/jobs: one list over queue and history, one record, cancelling one or many by id."""

from collections.abc import Mapping
from typing import Any

from aiohttp import web

from server.answers import answer, not_found, refusal
from server.bodies import read_object
from server.jobs import Status
from server.parts import parts
from server.routes.history import whole
from server.store import Page

MOST = 1000
MOST_CANCELLED = 100
"""Ids in one request to cancel."""
NAMES: Mapping[str, tuple[Status, ...]] = {
    "pending": (Status.PENDING,),
    "in_progress": (Status.RUNNING,),
    "running": (Status.RUNNING,),
    "completed": (Status.SUCCESS,),
    "success": (Status.SUCCESS,),
    "failed": (Status.ERROR,),
    "error": (Status.ERROR,),
    "cancelled": (Status.CANCELLED, Status.INTERRUPTED),
    "interrupted": (Status.INTERRUPTED,),
}
SHOWN: Mapping[Status, str] = {
    Status.PENDING: "pending",
    Status.RUNNING: "in_progress",
    Status.SUCCESS: "completed",
    Status.ERROR: "failed",
    Status.INTERRUPTED: "cancelled",
    Status.CANCELLED: "cancelled",
}
SORTS = {"created_at": False, "create_time": False, "execution_duration": True, "execution_time": True}
ORDERS = ("asc", "desc")


def routes() -> list[web.RouteDef]:
    return [
        web.get("/jobs", get_jobs),
        web.get("/jobs/{job}", get_job),
        web.post("/jobs/cancel", post_cancel_many),
        web.post("/jobs/{job}/cancel", post_cancel),
    ]


def milliseconds(seconds: float | None) -> int | None:
    return None if seconds is None else round(seconds * 1000)


def shown(record: Mapping[str, Any]) -> dict[str, Any]:
    """A job's record as the jobs API shows it; `state` is our own finer word."""
    state = Status(record["status"])
    entry = {
        "id": record["id"],
        "status": SHOWN[state],
        "state": state.value,
        "priority": record["number"],
        "create_time": milliseconds(record["created"]),
        "execution_start_time": milliseconds(record["started"]),
        "execution_end_time": milliseconds(record["ended"]),
        "execution_error": record["error"],
        "outputs_count": record["outputs_count"],
        "preview_output": record["preview"],
        "workflow_id": record["workflow_id"],
        "attempts": record["attempts"],
    }
    return {name: value for name, value in entry.items() if value is not None}


def page_of(request: web.Request) -> Page:
    """The page that the query asks for; 400 for what it cannot mean."""
    names = [name for name in request.query.get("status", "").split(",") if name]
    sort, order = request.query.get("sort_by", "created_at"), request.query.get("sort_order", "desc")
    if any(name not in NAMES for name in names) or sort not in SORTS or order not in ORDERS:
        message = f"status is of {', '.join(NAMES)}; sort_by of {', '.join(SORTS)}; sort_order asc or desc."
        raise refusal(400, "invalid_request", message)
    statuses = tuple(dict.fromkeys(status for name in names for status in NAMES[name]))
    limit = whole(request, "limit", MOST)
    if limit == 0:
        raise refusal(400, "invalid_request", "limit must be 1 or more.")
    return Page(
        limit=MOST if limit is None else limit,
        offset=whole(request, "offset") or 0,
        statuses=statuses or tuple(Status),
        workflow_id=request.query.get("workflow_id"),
        by_duration=SORTS[sort],
        ascending=order == "asc",
    )


async def get_jobs(request: web.Request) -> web.Response:
    """`{"jobs": […], "pagination": {"offset", "limit", "total", "has_more"}}`, newest first."""
    page = page_of(request)
    records, total = await parts(request).store.jobs(page)
    more = page.offset + len(records) < total
    pagination = {"offset": page.offset, "limit": page.limit, "total": total, "has_more": more}
    return answer({"jobs": [shown(record) for record in records], "pagination": pagination})


async def get_job(request: web.Request) -> web.Response:
    """One job with its workflow, its outputs and every change of its state."""
    record = await parts(request).store.job(request.match_info["job"])
    if record is None:
        not_found()
    last = max(record[name] or 0.0 for name in ("created", "started", "ended"))
    full = {
        **shown(record),
        "update_time": milliseconds(last),
        "workflow": {"prompt": record["prompt"], "extra_data": record["extra_data"]},
        "outputs": record["outputs"] or {},
        "execution_status": record["outcome"],
        "execution_meta": record["meta"] or {},
        "changes": record["changes"],
    }
    return answer(full)


async def post_cancel(request: web.Request) -> web.Response:
    """Stop a job that waits or runs: `{"cancelled": true}`; false when it has ended already, 404 when there
    is none.
    """
    here, job = parts(request), request.match_info["job"]
    await read_object(request, here.limits.body, here.limits.depth)
    cancelled = await here.scheduler.cancel(job)
    if not cancelled and await here.store.job(job) is None:
        not_found()
    return answer({"cancelled": cancelled})


async def post_cancel_many(request: web.Request) -> web.Response:
    """Stop the jobs of `{"job_ids": […]}`: `{"cancelled": […]}` names those that waited or ran."""
    here = parts(request)
    body = await read_object(request, here.limits.body, here.limits.depth)
    ids = body.get("job_ids")
    if not isinstance(ids, list) or not ids or not all(isinstance(job, str) for job in ids):
        raise refusal(400, "invalid_request", "job_ids must be a list of ids of jobs, at least one.")
    if len(ids) > MOST_CANCELLED:
        raise refusal(400, "invalid_request", f"job_ids may have at most {MOST_CANCELLED} ids.")
    return answer({"cancelled": [job for job in dict.fromkeys(ids) if await here.scheduler.cancel(job)]})
