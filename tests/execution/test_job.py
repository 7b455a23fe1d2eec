"""A job is plain data, the same on both ends of the wire."""

import pytest

from execution.job import Job
from execution.wire.messages import from_frame, to_frame

PROMPT = {"1": {"class_type": "A", "inputs": {}}}


def test_a_job_is_wanted_whole_unless_it_names_targets() -> None:
    assert Job("j", PROMPT).targets is None
    assert Job("j", PROMPT) == Job("j", PROMPT, None, {})


@pytest.mark.parametrize("job", [Job("j", PROMPT), Job("j", PROMPT, ("1",), {"client_id": "c"})])
def test_a_job_comes_out_of_the_wire_as_it_went_in(job: Job) -> None:
    assert from_frame(*to_frame(job)) == job
