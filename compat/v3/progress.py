"""`ComfyAPI` and `ComfyAPISync`: what `async def` and plain nodes may ask of the program."""

from __future__ import annotations

from typing import Any

from compat.current import current_run
from compat.previews import LARGEST, preview_of


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

    def __init__(self) -> None:
        self.execution = Execution()


class ComfyAPISync:
    """For plain nodes: `api.execution.set_progress(…)`."""

    VERSION = "latest"
    STABLE = False
    Execution = ExecutionSync

    def __init__(self) -> None:
        self.execution = ExecutionSync()
