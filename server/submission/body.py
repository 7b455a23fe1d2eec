"""What the body of a request says: the document, the nodes wanted, the id and place asked for, and whose it
is.
"""

import math
import uuid
from collections.abc import Mapping
from typing import Any

from server.submission.rejected import rejected
from workflows.prompt import is_workflow

LONGEST_CLIENT = 128


def document_of(body: Mapping[str, Any]) -> dict[str, Any]:
    """The prompt or workflow in a request's body: under `prompt` or `workflow`, or the body itself if it is a
    workflow.
    """
    document = body.get("prompt", body.get("workflow"))
    if document is None and is_workflow(body):
        return dict(body)
    if document is None:
        raise rejected(
            "no_prompt", "No prompt provided", 'Send {"prompt": …}, in the API or the workflow format.'
        )
    if not isinstance(document, dict):
        raise rejected("invalid_prompt", "The prompt must be a JSON object of nodes.")
    return document


def wanted_targets(body: Mapping[str, Any]) -> tuple[str, ...] | None:
    """The nodes asked for by `partial_execution_targets`, outputs or not; None for all outputs."""
    targets = body.get("partial_execution_targets")
    if targets is None:
        return None
    if not isinstance(targets, list) or not all(isinstance(target, str | int) for target in targets):
        raise rejected("invalid_prompt", "partial_execution_targets must be a list of node ids.")
    return tuple(str(target) for target in targets)


def extra_data_of(body: Mapping[str, Any]) -> dict[str, Any]:
    """What comes with the prompt."""
    given = body.get("extra_data")
    if given is not None and not isinstance(given, dict):
        raise rejected("invalid_prompt", "extra_data must be a JSON object.")
    return given or {}


def client_of(body: Mapping[str, Any]) -> str | None:
    """The client that is told of the job."""
    client = body.get("client_id")
    if client is not None and (not isinstance(client, str) or len(client) > LONGEST_CLIENT):
        raise rejected("invalid_prompt", f"client_id must be a text of at most {LONGEST_CLIENT} characters.")
    return client


def number_of(body: Mapping[str, Any]) -> float | None:
    """The place in the queue asked for by `number`; None when none is."""
    if "number" not in body:
        return None
    number = body["number"]
    if isinstance(number, bool) or not isinstance(number, int | float) or not math.isfinite(float_of(number)):
        raise rejected("invalid_prompt", "number must be a finite number.")
    return float(number)


def job_id(body: Mapping[str, Any]) -> str:
    """The id that a client gave, a UUID in its canonical form, or a new one."""
    given = body.get("prompt_id")
    if given is None:
        return str(uuid.uuid4())
    if not isinstance(given, str) or not is_canonical(given):
        message = "prompt_id must be a UUID in its canonical form: lower case, with hyphens."
        raise rejected("invalid_prompt_id", message, f"not a UUID: {str(given)[:80]!r}")
    return given


def is_canonical(text: str) -> bool:
    """Whether a text is a UUID written the one way that UUIDs compare equal by."""
    try:
        return str(uuid.UUID(text)) == text
    except ValueError:
        return False


def float_of(number: float) -> float:
    """The number as a double; infinite when it is beyond one."""
    try:
        return float(number)
    except OverflowError:
        return math.inf
