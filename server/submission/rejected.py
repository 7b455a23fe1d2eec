"""Prompts that are not taken, and what their clients are told."""

from collections.abc import Mapping
from typing import Any

from server.answers import problem

PREFIX = "filename_prefix"
"""The input by which nodes, also those of packs, are told where to save."""


class Rejected(Exception):
    """A prompt that is not taken: HTTP status and the JSON that says why."""

    def __init__(self, body: Mapping[str, Any], status: int = 400) -> None:
        self.body, self.status = body, status
        super().__init__(str(body))


def rejected(kind: str, message: str, details: str = "") -> Rejected:
    """A rejection in ComfyUI's shape."""
    return Rejected(problem(kind, message, details))


def bad_prefix(node_id: str, class_type: str, prefix: str) -> dict[str, Any]:
    """The answer to such a name, in the shape of a failed validation."""
    details = f"{prefix!r} leads out of the output folder; use a name relative to it"
    error = {
        "type": "custom_validation_failed",
        "message": "Custom validation failed for node",
        "details": f"{PREFIX} - {details}",
        "extra_info": {"input_name": PREFIX},
    }
    node = {"errors": [error], "dependent_outputs": [node_id], "class_type": class_type}
    whole = problem("prompt_outputs_failed_validation", "Prompt outputs failed validation", details)
    return {**whole, "node_errors": {node_id: node}}
