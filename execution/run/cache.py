"""Results kept between runs, by key: within a budget of bytes, the last N, or none at all.

What to evict is decided by recompute seconds per byte and by age: an entry's worth is the floor at which
it was last used plus its seconds per megabyte, and the floor rises to the worth of whatever is evicted
(GreedyDual-Size: Cao and Irani 1997). Entries that belong to the last run go only when nothing else is
left.
"""

from __future__ import annotations

import heapq
import itertools
import sys
import threading
from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from execution.events import Place
from execution.files.identity import Trace, trace_of
from execution.run.keys import Key

Sizer = Callable[[Any], Mapping[Hashable, int]]
"""The storages behind a value and their bytes; storages that values share are counted once."""
Shown = tuple[Place, Mapping[str, Any]]
"""A node in an expansion, and what it shows."""
MEGABYTE = 2**20
LEAST_BYTES = 256
"""What an entry costs at least, so that a million empty ones are not free."""


@dataclass(eq=False, slots=True)
class Entry:
    """The result of a node: for each output the list of its values, what it shows, what it took to compute.

    `shown` is what output nodes in its expansion showed, `notices` what it told the person. A `blocked` node
    did not run; that is not kept.
    """

    outputs: tuple[list[Any], ...]
    ui: Mapping[str, Any] | None = None
    seconds: float = 0.0
    class_type: str = ""
    shown: list[Shown] | None = None
    blocked: bool = False
    notices: tuple[str, ...] = ()
    files: Mapping[Path, Trace | None] = field(default_factory=dict)
    """The files that the node, or nodes in its expansion, wrote or showed, as they were then."""

    @property
    def changed_files(self) -> list[Path]:
        """Those of the files that are gone or others now: the node has to write them again."""
        return [path for path, trace in self.files.items() if trace_of(path) != trace]


class Cache(Protocol):
    """Where results are kept between runs. All methods are safe between threads."""

    @property
    def shares(self) -> bool:
        """Whether equal work within one run is done once."""

    def get(self, key: Key) -> Entry | None:
        """The result kept under a key; using it makes it younger."""

    def has(self, key: Key) -> bool:
        """Whether there is one; looking changes nothing."""

    def changed_files(self, key: Key) -> list[Path]:
        """The files that go with a result and are gone or others now, for which it does not count."""

    def put(self, key: Key, entry: Entry) -> None:
        """Keep a result, evicting others as needed."""

    def discard(self, key: Key) -> None:
        """Forget a result."""

    def begin(self, keys: Iterable[Key]) -> None:
        """A run starts, to which these keys belong."""

    def free(self, wanted: int | None = None) -> int:
        """Give back about `wanted` bytes, or all; tells how many."""

    def stats(self) -> dict[str, Any]:
        """The state as JSON values."""


class NoCache:
    """Nothing is kept: a value lives while a pending node of its run needs it."""

    shares = False

    def get(self, key: Key) -> Entry | None:
        """Nothing is there."""
        return None

    def has(self, key: Key) -> bool:
        """Nothing is there."""
        return False

    def changed_files(self, key: Key) -> list[Path]:
        """Nothing is there."""
        return []

    def put(self, key: Key, entry: Entry) -> None:
        """Nothing is kept."""

    def discard(self, key: Key) -> None:
        """Nothing is there."""

    def begin(self, keys: Iterable[Key]) -> None:
        """Nothing is kept."""

    def free(self, wanted: int | None = None) -> int:
        """There is nothing to give back."""
        return 0

    def stats(self) -> dict[str, Any]:
        """Only the policy."""
        return {"policy": "none", "entries": 0, "bytes": 0}


@dataclass(eq=False, slots=True)
class _Kept:
    entry: Entry
    storages: Mapping[Hashable, int]
    size: int
    run: int = 0
    worth: float = 0.0
    used: int = 0
    """Number of the last use: younger is higher, and an older line in the heap is void."""


class Budgeted:
    """Keeps what fits into a budget of bytes, and at most `most_entries`."""

    shares = True

    def __init__(
        self, budget_bytes: int = 2**62, sizer: Sizer | None = None, most_entries: int | None = None
    ) -> None:
        """Start empty. `sizer` tells the storages of a value; by default Python's own sizes."""
        self.budget_bytes, self.most_entries = budget_bytes, most_entries
        self._sizer = sizer or python_storages
        self._lock = threading.RLock()
        self._kept: dict[Key, _Kept] = {}
        self._storages: dict[Hashable, list[int]] = {}  # [bytes, entries that share it]
        self._heap: list[tuple[int, float, int, Key]] = []
        self._uses = itertools.count(1)
        self._floor = 0.0
        self._run = 0
        self._belongs: frozenset[Key] = frozenset()
        self._bytes = 0
        self._counts = {"hits": 0, "misses": 0, "evictions": 0}

    @property
    def bytes(self) -> int:
        """What is kept, shared storages counted once."""
        return self._bytes

    def __len__(self) -> int:
        """The number of results kept."""
        return len(self._kept)

    def get(self, key: Key) -> Entry | None:
        """The result kept under a key; using it makes it younger."""
        with self._lock:
            kept = self._kept.get(key)
            if kept is not None and kept.entry.changed_files:
                self.discard(key)
                kept = None
            self._counts["misses" if kept is None else "hits"] += 1
            if kept is None:
                return None
            kept.run = self._run
            self._rank(key, kept)
            return kept.entry

    def has(self, key: Key) -> bool:
        """Whether there is one; looking changes nothing."""
        kept = self._kept.get(key)
        return kept is not None and not kept.entry.changed_files

    def changed_files(self, key: Key) -> list[Path]:
        """The files that go with a result and are gone or others now, for which it does not count."""
        kept = self._kept.get(key)
        return [] if kept is None else kept.entry.changed_files

    def put(self, key: Key, entry: Entry) -> None:
        """Keep a result, evicting others as needed; one that is bigger than the budget is not kept."""
        storages = dict(self._sizer(entry.outputs))
        with self._lock:
            self.discard(key)
            size = max(LEAST_BYTES, sum(storages.values()))
            if size > self.budget_bytes:
                return
            kept = self._kept[key] = _Kept(entry, storages, size, self._run)
            self._count(storages, 1)
            self._bytes += LEAST_BYTES
            self._rank(key, kept)
            while self._is_over() and len(self._kept) > 1:
                self._evict_one(spare=key)

    def _is_over(self) -> bool:
        too_many = self.most_entries is not None and len(self._kept) > self.most_entries
        return too_many or self._bytes > self.budget_bytes

    def discard(self, key: Key) -> None:
        """Forget a result."""
        with self._lock:
            kept = self._kept.pop(key, None)
            if kept is not None:
                self._count(kept.storages, -1)
                self._bytes -= LEAST_BYTES

    def begin(self, keys: Iterable[Key]) -> None:
        """A run starts; what it may need is evicted last."""
        with self._lock:
            self._run += 1
            self._belongs = frozenset(keys)

    def free(self, wanted: int | None = None) -> int:
        """Give back about `wanted` bytes, the least worth first, or all; tells how many."""
        with self._lock:
            before = self._bytes
            while self._kept and (wanted is None or before - self._bytes < wanted):
                self._evict_one()
            return before - self._bytes

    def stats(self) -> dict[str, Any]:
        """The state as JSON values: totals, and by node type the entries, bytes and seconds kept."""
        with self._lock:
            types: dict[str, dict[str, Any]] = {}
            for kept in self._kept.values():
                row = types.setdefault(kept.entry.class_type, {"entries": 0, "bytes": 0, "seconds": 0.0})
                row["entries"] += 1
                row["bytes"] += kept.size
                row["seconds"] += kept.entry.seconds
            return {
                "policy": self.policy,
                "entries": len(self._kept),
                "bytes": self._bytes,
                "budget_bytes": self.budget_bytes,
                **self._counts,
                "types": types,
            }

    @property
    def policy(self) -> str:
        """What the policy is called."""
        return "classic"

    def _worth(self, kept: _Kept) -> float:
        return self._floor + kept.entry.seconds * MEGABYTE / kept.size

    def _rank(self, key: Key, kept: _Kept) -> None:
        kept.used, kept.worth = next(self._uses), self._worth(kept)
        heapq.heappush(self._heap, (kept.run, kept.worth, kept.used, key))
        if len(self._heap) > 64 + 4 * len(self._kept):
            self._heap = [(each.run, each.worth, each.used, name) for name, each in self._kept.items()]
            heapq.heapify(self._heap)

    def _evict_one(self, spare: Key | None = None) -> None:
        spared = None
        while True:
            line = heapq.heappop(self._heap)
            _, worth, used, key = line
            kept = self._kept.get(key)
            if kept is None or kept.used != used:
                continue  # superseded by a later line
            if key == spare:
                spared = line
                continue
            if kept.run == self._run or key not in self._belongs:
                break
            kept.run = self._run
            self._rank(key, kept)
        if spared is not None:
            heapq.heappush(self._heap, spared)
        self._floor = max(self._floor, worth)
        self._counts["evictions"] += 1
        self.discard(key)

    def _count(self, storages: Mapping[Hashable, int], step: int) -> None:
        for storage, size in storages.items():
            known = self._storages.setdefault(storage, [size, 0])
            if known[1] == 0:
                self._bytes += known[0]
            known[1] += step
            if known[1] == 0:
                self._bytes -= self._storages.pop(storage)[0]


class LastUsed(Budgeted):
    """Keeps the results used last, `most_entries` of them, whatever their size."""

    def __init__(self, most_entries: int, sizer: Sizer | None = None) -> None:
        """Start empty."""
        super().__init__(sizer=sizer, most_entries=most_entries)

    @property
    def policy(self) -> str:
        """What the policy is called."""
        return f"lru:{self.most_entries}"

    def _worth(self, kept: _Kept) -> float:
        return 0.0

    def begin(self, keys: Iterable[Key]) -> None:
        """Age alone decides."""


def cache_for(policy: str, budget_bytes: int, sizer: Sizer | None = None) -> Cache:
    """The cache of a policy: `classic`, `lru:N` or `none`.

    Raises:
        ValueError: there is no such policy.
    """
    name, _, count = policy.partition(":")
    if name == "none":
        return NoCache()
    if name == "lru" and count.isdigit() and int(count) > 0:
        return LastUsed(int(count), sizer)
    if name == "classic" and not count:
        return Budgeted(budget_bytes, sizer)
    raise ValueError(f"unknown cache policy {policy!r}; use classic, lru:N or none")


def python_storages(value: Any) -> dict[Hashable, int]:
    """The objects inside lists, tuples, sets and objects with their own sizes, each counted once."""
    found: dict[Hashable, int] = {}
    pending = [value]
    while pending:
        current = pending.pop()
        if id(current) in found:
            continue
        found[id(current)] = sys.getsizeof(current)
        if isinstance(current, list | tuple | set | frozenset):
            pending += current
        elif isinstance(current, dict):
            pending += current.values()
    return found
