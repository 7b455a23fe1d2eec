"""The job of a checked prompt: what is stored of what came with it, and its place."""

from server.submission.checking import Checked
from server.submission.job import job_of
from tests.server.client import Client

CHECKED = Checked({"1": {"class_type": "A", "inputs": {}}}, ("1",), {})


async def test_secrets_are_kept_apart_from_what_is_shown(calm: Client) -> None:
    body = {"extra_data": {"api_key_comfy_org": "CANARY", "note": 1}, "client_id": "me"}
    job = job_of(calm.parts, body, CHECKED, "session")
    assert (job.client_id, job.session) == ("me", "session")
    assert {name: job.extra_data[name] for name in ("note", "client_id")} == {"note": 1, "client_id": "me"}
    assert job.secrets == {"api_key_comfy_org": "CANARY"}
    assert "CANARY" not in repr(job)


async def test_jobs_stand_at_the_end_unless_they_ask_for_a_place(calm: Client) -> None:
    first, second = (job_of(calm.parts, {}, CHECKED, "").number for _ in range(2))
    assert second == first + 1
    assert job_of(calm.parts, {"front": True}, CHECKED, "").number < 0
    assert job_of(calm.parts, {"number": 0.5}, CHECKED, "").number == 0.5
