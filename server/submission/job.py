"""The job that a checked prompt becomes."""

import time
from collections.abc import Mapping
from typing import Any

from server.jobs import Queued, without_secrets
from server.parts import Parts
from server.submission.body import client_of, extra_data_of, job_id, number_of
from server.submission.checking import Checked


def job_of(parts: Parts, body: Mapping[str, Any], checked: Checked, session: str) -> Queued:
    """The job for a checked prompt, with a place at the end of the queue unless the body asks for another.

    Raises:
        Rejected: id, place, client or extra data are not as they should be.
    """
    shown, secrets = without_secrets(extra_data_of(body))
    client = client_of(body)
    if checked.extra_pnginfo is not None:
        shown.setdefault("extra_pnginfo", checked.extra_pnginfo)
    if client is not None:
        shown["client_id"] = client
    created = time.time()
    shown["create_time"] = round(created * 1000)
    number = number_of(body)
    if number is None:
        number = parts.scheduler.take_number(front=bool(body.get("front")))
    return Queued(
        job_id(body),
        checked.prompt,
        checked.targets,
        shown,
        number=number,
        created=created,
        client_id=client,
        session=session,
        secrets=secrets,
    )
