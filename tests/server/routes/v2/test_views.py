"""States, outputs and errors in the words of Comfy API v2."""

from typing import Any

from server.assets.places import Place
from server.assets.records import Asset
from server.jobs import Status
from server.routes.v2.views import STATES, error_view, output_type, state_of
from server.scheduler import Standing


def test_every_state_has_a_word() -> None:
    assert set(STATES) == set(Status)
    cases: list[tuple[str, Any, Standing | None, str]] = [
        ("pending", None, Standing(False, position=1), "queued"),
        ("pending", None, Standing(True), "running"),
        ("running", None, Standing(True), "running"),
        ("running", None, Standing(True, True), "canceling"),
        ("success", None, None, "succeeded"),
        ("error", {}, None, "failed"),
        ("cancelled", None, None, "canceled"),
        ("interrupted", None, None, "canceled"),
        ("interrupted", {"exception_message": "x"}, None, "failed"),
    ]
    for status, error, standing, expected in cases:
        assert state_of({"status": status, "error": error}, standing) == expected, (status, standing)


def test_outputs_are_of_a_kind() -> None:
    cases = {
        "image/png": "image",
        "video/mp4": "video",
        "audio/flac": "audio",
        "text/plain": "text",
        "application/json": "file",
        "model/gltf-binary": "file",
    }
    for kind, expected in cases.items():
        assert output_type(Asset("i", Place("output", "x"), "x", None, 1, kind, 0.0, 0.0, 0.0)) == expected
    latent = Asset("i", Place("output", "x.latent"), "x", None, 1, "application/octet-stream", 0.0, 0.0, 0.0)
    assert output_type(latent) == "latent"


def test_an_error_names_its_node_if_it_has_one() -> None:
    assert error_view(None) is None
    error = {"exception_message": "no", "node_id": "7", "node_type": "K", "traceback": ["a\n", "b\n"]}
    assert error_view(error) == {
        "code": "node_execution_error",
        "message": "no",
        "node_id": "7",
        "class_type": "K",
        "traceback": "a\nb\n",
    }
    bare = error_view({"exception_message": "the engine"})
    assert bare is not None
    assert (bare["code"], bare["traceback"]) == ("execution_error", None)
