"""What a body says, and the words for what it cannot mean."""

import uuid
from typing import Any

import pytest

from server.submission.body import (
    client_of,
    document_of,
    extra_data_of,
    job_id,
    number_of,
    wanted_targets,
)
from server.submission.rejected import Rejected

WORKFLOW: dict[str, Any] = {"nodes": [], "links": []}
ID = "01234567-89ab-cdef-0123-456789abcdef"


def test_the_document_is_under_its_name_or_the_body_itself() -> None:
    prompt = {"1": {"class_type": "A", "inputs": {}}}
    assert document_of({"prompt": prompt}) == prompt
    assert document_of({"workflow": WORKFLOW}) == WORKFLOW
    assert document_of(WORKFLOW) == WORKFLOW


def test_what_is_not_asked_for_is_none() -> None:
    assert [wanted_targets({}), client_of({}), number_of({})] == [None, None, None]
    assert extra_data_of({}) == {}
    assert uuid.UUID(job_id({})).version == 4


def test_what_is_asked_for_is_given() -> None:
    assert wanted_targets({"partial_execution_targets": [3, "4"]}) == ("3", "4")
    assert number_of({"number": -2}) == -2.0
    assert job_id({"prompt_id": ID}) == ID
    assert client_of({"client_id": "me"}) == "me"


@pytest.mark.parametrize(
    ("read", "body", "kind"),
    [
        (document_of, {}, "no_prompt"),
        (document_of, {"prompt": []}, "invalid_prompt"),
        (wanted_targets, {"partial_execution_targets": [None]}, "invalid_prompt"),
        (number_of, {"number": True}, "invalid_prompt"),
        (number_of, {"number": 10**400}, "invalid_prompt"),
        (number_of, {"number": None}, "invalid_prompt"),
        (job_id, {"prompt_id": ID.upper()}, "invalid_prompt_id"),
        (client_of, {"client_id": "x" * 129}, "invalid_prompt"),
        (extra_data_of, {"extra_data": []}, "invalid_prompt"),
    ],
)
def test_what_cannot_be_meant_is_refused(read: Any, body: dict[str, Any], kind: str) -> None:
    with pytest.raises(Rejected) as refused:
        read(body)
    assert refused.value.status == 400
    assert refused.value.body["error"]["type"] == kind
