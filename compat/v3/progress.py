"""`ComfyAPI` and `ComfyAPISync`: what `async def` and plain nodes may ask of the program."""

from __future__ import annotations

from typing import Any

from compat.current import current_run
from compat.previews import LARGEST, preview_of
from compat.v3.replacing import Replacements, ReplacementsSync


def report(
    value: float,
    max_value: float,
    node_id: str | None = None,
    preview_image: Any = None,
    ignore_size_limit: bool = False,
) -> None:
    """Say that `value` of `max_value` is done and maybe show a picture (PIL, or a tensor `B×H×W×C`).

    Raises Cancelled when the job was cancelled, RuntimeError outside of a node.
    """
    run = current_run()
    if run is None:
        raise RuntimeError("set_progress was called outside of a running node: there is no progress to set")
    run.progress(value, max_value, preview_of(preview_image, None if ignore_size_limit else LARGEST))


class ExecutionSync:
    """Progress, for plain nodes."""

    def set_progress(self, *args: Any, **kwargs: Any) -> None:
        """See `report`."""
        report(*args, **kwargs)


class Execution:
    """Progress, for `async def` nodes."""

    async def set_progress(self, *args: Any, **kwargs: Any) -> None:
        """See `report`."""
        report(*args, **kwargs)


class ComfyAPI:
    """For `async def` nodes: `await api.execution.set_progress(…)`."""

    VERSION = "latest"
    STABLE = False
    Execution = Execution
    told: list[dict[str, Any]]
    """Where replacements of nodes go; set for each program by `apis`."""

    def __init__(self) -> None:
        self.execution = Execution()
        self.node_replacement = Replacements(self.told)


class ComfyAPISync:
    """For plain nodes: `api.execution.set_progress(…)`."""

    VERSION = "latest"
    STABLE = False
    Execution = ExecutionSync
    told: list[dict[str, Any]]

    def __init__(self) -> None:
        self.execution = ExecutionSync()
        self.node_replacement = ReplacementsSync(self.told)


def apis(told: list[dict[str, Any]]) -> tuple[type[ComfyAPI], type[ComfyAPISync]]:
    """Both classes for one program, whose replacements of nodes are `told`."""
    asynchronous = type("ComfyAPI", (ComfyAPI,), {"told": told})
    return asynchronous, type("ComfyAPISync", (ComfyAPISync,), {"told": told})
