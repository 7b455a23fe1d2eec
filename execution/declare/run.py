"""What a node is handed when it asks for its `Run`: who it is, progress, cancelling, work beside the lane."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Generator, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, TypeVar

from execution.cancel import CancelToken
from execution.declare.markers import Lazy
from execution.declare.outcome import BlockedInput, ExecutionBlocker
from execution.events import Preview

T = TypeVar("T")
log = logging.getLogger(__name__)

LazyPreview = Preview | Callable[[], Preview]


class GraphView(Protocol):
    """The running graph as a node may look at it; ComfyUI's names, which packs call."""

    def get_node(self, node_id: str) -> dict[str, Any]:
        """The node's `class_type` and `inputs`."""

    def has_node(self, node_id: str) -> bool:
        """Whether the graph has this node."""

    def get_real_node_id(self, node_id: str) -> str:
        """The node of the original prompt from which this one was expanded."""

    def get_parent_node_id(self, node_id: str) -> str | None:
        """The node that expanded into this one."""

    def get_display_node_id(self, node_id: str) -> str:
        """The node a person sees this one's progress on."""

    def all_node_ids(self) -> set[str]:
        """All ids, of the prompt and of expansions."""

    def get_original_prompt(self) -> dict[str, Any]:
        """The prompt as it was given."""


class Seat(Protocol):
    """The engine's side of a `Run`."""

    def progress(self, value: float, maximum: float, preview: LazyPreview | None) -> None:
        """Report progress and maybe a preview."""

    def notice(self, message: str) -> None:
        """Tell the person something about this node."""

    def background(self, work: Callable[[], T]) -> Future[T]:
        """Start work beside the lane that the job waits for before it is finished."""

    def wrote(self, path: Path) -> None:
        """The node has written this file, or will have by the end of the job."""

    def in_lane(self, work: Callable[[], T]) -> Awaitable[T]:
        """Run work in the lane, for `async def` nodes."""

    def need(self, name: str) -> Awaitable[list[Any]]:
        """Compute a lazy input; gives its list of values."""


class AloneSeat:
    """The seat of a node that is called by hand, outside an engine: everything happens at once."""

    def progress(self, value: float, maximum: float, preview: LazyPreview | None) -> None:
        """Nobody listens."""

    def notice(self, message: str) -> None:
        """Nobody listens."""

    def background(self, work: Callable[[], T]) -> Future[T]:
        """Do the work now."""
        future: Future[T] = Future()
        future.set_result(work())
        return future

    def wrote(self, path: Path) -> None:
        """Nobody asks."""

    async def in_lane(self, work: Callable[[], T]) -> T:
        """Do the work now."""
        return work()

    async def need(self, name: str) -> list[Any]:
        """There is nothing to compute it from."""
        raise LookupError(f"input {name!r} is not linked")


@dataclass
class Run:
    """One call of one node. All fields have defaults, so that a test can call a node with `Run()`.

    `node` is the id in the expanded graph, `display_node` the node that a person sees, `prompt` the API
    prompt as given, `extra_data` what came with it, `pending` the names of linked lazy inputs that are not
    computed yet, `index` the number of this call where a node is called once for each item of a list.
    """

    job: str = ""
    node: str = ""
    display_node: str = ""
    prompt: dict[str, Any] = field(default_factory=dict)
    extra_data: Mapping[str, Any] = field(default_factory=dict)
    dynprompt: GraphView | None = None
    cancel: CancelToken = field(default_factory=CancelToken)
    pending: frozenset[str] = frozenset()
    index: int = 0
    seat: Seat = field(default_factory=AloneSeat)

    @property
    def extra_pnginfo(self) -> dict[str, Any] | None:
        """What should be written into pictures beside the prompt, usually `{"workflow": …}`."""
        found: dict[str, Any] | None = self.extra_data.get("extra_pnginfo")
        return found

    @property
    def client_id(self) -> str | None:
        """The client that asked for the job."""
        found: str | None = self.extra_data.get("client_id")
        return found

    def hidden(self, kind: str) -> Any:
        """The value of a hidden input such as `"PROMPT"` or `"UNIQUE_ID"`."""
        if kind == "PROMPT":
            return self.prompt
        if kind == "UNIQUE_ID":
            return self.node
        if kind == "DYNPROMPT":
            return self.dynprompt
        if kind == "EXTRA_PNGINFO":
            return self.extra_pnginfo
        return self.extra_data.get(kind.lower())

    def progress(self, value: float, maximum: float, preview: LazyPreview | None = None) -> None:
        """Say that `value` of `maximum` is done; a callable preview is made only if somebody looks.

        Raises:
            Cancelled: the job was cancelled.
        """
        self.cancel.check()
        self.seat.progress(value, maximum, preview)

    def notice(self, message: str) -> None:
        """Tell the person, and the log, that the node goes on, but not quite as was asked for."""
        log.warning("node %s: %s", self.node, message)
        self.seat.notice(message)

    def check(self) -> None:
        """Call it in every long loop.

        Raises:
            Cancelled: the job was cancelled.
        """
        self.cancel.check()

    def background(self, work: Callable[[], T]) -> Future[T]:
        """Start work beside the lane, such as encoding a picture; it is joined before the job is finished."""
        return self.seat.background(work)

    def wrote(self, path: Path) -> None:
        """Tell of a file that belongs to the result: without it, or with another, the node runs again.

        Files that a node shows need not be told.
        """
        self.seat.wrote(path)

    def in_lane(self, work: Callable[[], T]) -> Awaitable[T]:
        """From an `async def` node: run heavy work in the lane, where the sync nodes run."""
        return self.seat.in_lane(work)


class LazyInput(Lazy[T]):
    """The lazy input of a native node: a value that is there, or one to be asked for, by awaiting it."""

    def __init__(self, run: Run, name: str, value: Any) -> None:
        """Take `value`, unless the run says that `name` is still pending."""
        self._run, self._name, self._value = run, name, value

    def __await__(self) -> Generator[Any, Any, T]:
        """Give the value once it is computed: of a list the item of this call, or its last.

        Raises:
            BlockedInput: the value is a blocker.
        """
        if self._name in self._run.pending:
            values = yield from self._run.seat.need(self._name).__await__()
            value = values[min(self._run.index, len(values) - 1)]
            if isinstance(value, ExecutionBlocker):
                raise BlockedInput(value)
            return value  # type: ignore[no-any-return]  # what is on links is not typed
        return self._value  # type: ignore[no-any-return]  # as above
