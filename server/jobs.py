"""A job on its way through the queue, and what is told of it."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, NamedTuple

from execution.job import Job

SECRET = re.compile(r"api_?key|auth_?token|secret|password|credential", re.IGNORECASE)
"""Names of `extra_data` entries that are handed to the nodes of the run and to nothing and nobody else."""
MOST_ATTEMPTS = 2
"""A job whose worker, or server, died under it is run once more, and then given up."""
PREVIEW_METHODS = frozenset({"none", "auto", "latent2rgb", "taesd"})
MEDIA = ("images", "video", "videos", "audio", "gifs", "3d")


class Status(StrEnum):
    """Where a job is; those from SUCCESS on are final."""

    PENDING = "pending"
    RUNNING = "running"
    SUCCESS = "success"
    ERROR = "error"
    INTERRUPTED = "interrupted"
    CANCELLED = "cancelled"


FINAL = frozenset({Status.SUCCESS, Status.ERROR, Status.INTERRUPTED, Status.CANCELLED})


class Once(NamedTuple):
    """A key by which a client asks for a job once, however often it sends the request, and a digest of what
    it asked for.
    """

    key: str
    request: str


@dataclass(frozen=True, kw_only=True)
class Queued(Job):
    """A job with what the queue needs beside it. `number` orders the queue; `session` and `client_id` say who
    hears of it.
    """

    number: float
    created: float
    client_id: str | None = None
    session: str = ""
    attempts: int = 0
    secrets: Mapping[str, Any] = field(default_factory=dict, repr=False)
    """Keys and tokens of `extra_data`: kept in memory only, gone after a restart."""
    labels: Mapping[str, str] = field(default_factory=dict)
    """What the client calls it by."""
    once: Once | None = None

    @property
    def workflow_id(self) -> str | None:
        """The id of the editor's document behind the prompt, if it has one."""
        pnginfo = self.extra_data.get("extra_pnginfo")
        workflow = pnginfo.get("workflow") if isinstance(pnginfo, dict) else None
        found = workflow.get("id") if isinstance(workflow, dict) else None
        return found if isinstance(found, str) else None

    @property
    def wants_glimpses(self) -> bool | None:
        """Whether its client gets pictures of what is unfinished; None if the prompt does not say."""
        method = self.extra_data.get("preview_method")
        return method != "none" if method in PREVIEW_METHODS else None

    def with_secrets(self, secrets: Mapping[str, Any]) -> Job:
        """The job as its nodes are to have it."""
        return Job(self.id, self.prompt, self.targets, {**self.extra_data, **secrets})


@dataclass(frozen=True)
class Outcome:
    """How a job ended. `messages` are ComfyUI's status messages, `error` the fields of its
    execution_error.
    """

    status: Status
    outputs: Mapping[str, Any] = field(default_factory=dict)
    meta: Mapping[str, Any] = field(default_factory=dict)
    messages: tuple[tuple[str, Mapping[str, Any]], ...] = ()
    error: Mapping[str, Any] | None = None
    why: str = ""


def without_secrets(extra_data: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """`extra_data` as it may be stored and shown, and the part that may not."""
    shown = {name: value for name, value in extra_data.items() if not SECRET.search(name)}
    return shown, {name: value for name, value in extra_data.items() if name not in shown}


def error_of(
    kind: str, message: str, node: str | None = None, node_type: str | None = None
) -> dict[str, Any]:
    """The fields of an execution_error that no node raised; `node` is the one that was at work."""
    return {
        "node_id": node,
        "node_type": node_type,
        "executed": [],
        "exception_message": message,
        "exception_type": kind,
        "traceback": [],
        "current_inputs": {},
        "current_outputs": [],
    }


def died_twice(who: str, why: str, prompt: Mapping[str, Any], node: str | None) -> dict[str, Any]:
    """The execution_error of a job under which `who`, the worker or the server, died twice."""
    place = f" while it ran node {node}" if node is not None else ""
    message = (
        f"The {who} process died twice{place}: {why}. The prompt is not tried again; "
        "make it smaller (size, batch), or leave out the node that was running."
    )
    known = prompt.get(node) if node is not None else None
    kind = known.get("class_type") if isinstance(known, dict) else None
    return error_of(f"{who.capitalize()}Died", message, node, kind)


def shown_files(outputs: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """The files that a job's outputs show, with node and kind."""
    for node, ui in outputs.items():
        for kind in MEDIA:
            items = ui.get(kind) if isinstance(ui, dict) else None
            for item in items if isinstance(items, list | tuple) else ():
                if isinstance(item, dict) and "filename" in item:
                    yield {**item, "nodeId": node, "mediaType": kind}


def preview_file(outputs: Mapping[str, Any]) -> dict[str, Any] | None:
    """The file that stands for the job in a list: a saved one rather than a temporary one."""
    files = list(shown_files(outputs))
    saved = [file for file in files if file.get("type") == "output"]
    return next(iter(saved or files), None)
