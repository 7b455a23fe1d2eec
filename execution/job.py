"""A job: one prompt to run, in the one form in which queue, wire and engine have it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Job:
    """One prompt to run.

    targets: the nodes wanted, any nodes; None for all output nodes.
    extra_data: what came with the prompt, such as `extra_pnginfo` and `client_id`.
    """

    id: str
    prompt: Mapping[str, Any]
    targets: Collection[str] | None = None
    extra_data: Mapping[str, Any] = field(default_factory=dict)
