"""Assets, jobs and outputs in the words of Comfy API v2."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from aiohttp import web

from server.assets.outputs import Shown, note_outputs, note_texts
from server.assets.records import Asset
from server.jobs import FINAL, Status
from server.parts import Parts, parts
from server.scheduler import Standing

NEVER = "9999-12-31T23:59:59Z"
"""When addresses and jobs expire, which they do not: addresses are open to whoever may use the server, and
the history keeps jobs by number, not by time."""
STATES: Mapping[Status, str] = {
    Status.PENDING: "queued",
    Status.RUNNING: "running",
    Status.SUCCESS: "succeeded",
    Status.ERROR: "failed",
    Status.INTERRUPTED: "canceled",
    Status.CANCELLED: "canceled",
}
MEDIA = ("image", "video", "audio", "text")


def moment(seconds: float | None) -> str | None:
    """A time in UTC."""
    if seconds is None:
        return None
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def content_url(request: web.Request, asset: Asset) -> str:
    """The whole address of an asset's bytes, at the host that the client asked."""
    return f"{request.scheme}://{request.host}/api/v2/assets/{asset.id}/content"


def asset_view(request: web.Request, asset: Asset, created_new: bool | None = None) -> dict[str, Any]:
    """An asset."""
    shown = {
        "id": asset.id,
        "hash": asset.hash,
        "size_bytes": asset.size,
        "content_type": asset.type,
        "file_path": asset.name,
        "created_at": moment(asset.created),
        "url": content_url(request, asset),
        "url_expires_at": NEVER,
        "expires_at": moment(asset.expires),
        "job_id": asset.job,
    }
    return shown if created_new is None else {**shown, "created_new": created_new}


def output_view(request: web.Request, job: str, shown: Shown, asset: Asset) -> dict[str, Any]:
    """A file that a job made."""
    return {
        "node_id": shown.node,
        "name": asset.place.last,
        "type": output_type(asset),
        "content_type": asset.type,
        "size_bytes": asset.size,
        "id": asset.id,
        "hash": asset.hash,
        "url": content_url(request, asset),
        "url_expires_at": NEVER,
        "job_id": job,
    }


def output_type(asset: Asset) -> str:
    """The kind of an output: image, video, audio, text, latent, or file."""
    if asset.place.name.endswith(".latent"):
        return "latent"
    major = asset.type.partition("/")[0]
    return major if major in MEDIA else "file"


async def outputs_view(request: web.Request, job: str, outputs: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What a job's nodes showed so far: files, and texts as files of text."""
    assets, folders = parts(request).assets, parts(request).folders
    noted = [*await note_outputs(assets, job, outputs), *await note_texts(assets, folders, job, outputs)]
    return [output_view(request, job, shown, asset) for shown, asset in noted]


def state_of(record: Mapping[str, Any], standing: Standing | None) -> str:
    """Where a job is. What was cut off by a stop of the server has failed, as it has an error."""
    if standing is not None:
        if standing.is_running:
            return "canceling" if standing.is_cancelled else "running"
        return "queued"
    status = Status(record["status"])
    return "failed" if status is Status.INTERRUPTED and record["error"] else STATES[status]


def error_view(error: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Why a job failed."""
    if error is None:
        return None
    lines = error.get("traceback") or ()
    return {
        "code": "node_execution_error" if error.get("node_id") is not None else "execution_error",
        "message": str(error.get("exception_message", "")),
        "node_id": error.get("node_id"),
        "class_type": error.get("node_type"),
        "traceback": "".join(map(str, lines)) or None,
    }


def milliseconds(start: float | None, end: float | None) -> int | None:
    return None if start is None or end is None else max(0, round((end - start) * 1000))


async def job_view(request: web.Request, record: Mapping[str, Any]) -> dict[str, Any]:
    """A job with its outputs so far, from its full record."""
    here: Parts = parts(request)
    job = record["id"]
    standing = here.scheduler.standing(job)
    if standing is None and Status(record["status"]) not in FINAL:  # it has ended since it was read
        record = await here.store.job(job) or record
    outputs = standing.outputs if standing is not None else record["outputs"] or {}
    state = state_of(record, standing)
    address = f"/api/v2/jobs/{job}"
    return {
        "id": job,
        "status": state,
        "created_at": moment(record["created"]),
        "started_at": moment(record["started"]),
        "completed_at": moment(record["ended"]),
        "expires_at": NEVER,
        "queue_position": standing.position if standing is not None else None,
        "progress": standing.progress if standing is not None else None,
        "outputs": await outputs_view(request, job, outputs),
        "error": error_view(record["error"]) if state == "failed" else None,
        "metrics": {
            "queue_ms": milliseconds(record["created"], record["started"]),
            "execution_ms": milliseconds(record["started"], record["ended"]),
        },
        "metadata": record["labels"],
        "urls": {"self": address, "events": f"{address}/events", "cancel": f"{address}/cancel"},
    }


def summary_view(record: Mapping[str, Any], standing: Standing | None) -> dict[str, Any]:
    """A job in a list."""
    last = max(record[name] or 0.0 for name in ("created", "started", "ended"))
    return {
        "id": record["id"],
        "status": state_of(record, standing),
        "create_time": moment(record["created"]),
        "update_time": moment(last),
        "metadata": record["labels"],
    }
