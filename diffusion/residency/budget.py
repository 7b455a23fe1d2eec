"""Which weights are where: one budget per device, and the least useful goes first.

A `Resident` is a handle: which file, which module, nothing loaded. `use` gives the module on its device, in
its number type, with its patches. What does not fit is used block by block: the rest stays in the file,
which the system keeps in memory as long as it can.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from threading import RLock
from typing import Any, Generic, TypeVar
from weakref import WeakSet

import torch
from torch import nn

from diffusion.errors import OutOfMemory
from diffusion.residency.memory import best_device, is_out_of_memory, memory_budget
from diffusion.residency.precision import Part, Precision
from diffusion.weights.files import Weights, identity
from diffusion.weights.loading import NO_PATCHES, Check, Loaded, Patches, blocks_of, build_empty, never

M = TypeVar("M", bound=nn.Module)
T = TypeVar("T")
Identity = tuple[Any, ...]


@dataclass(frozen=True, eq=False)
class Resident(Generic[M]):
    """A module that can be used: where its weights come from and how it is built (on the meta device).

    `weights` carries the module's own parameter names. Handles of equal `identity` share one loaded module.
    """

    residency: Residency
    part: Part
    weights: Weights
    build: Callable[[], M]
    identity: Identity
    channels_last: bool = False
    override: torch.dtype | None = None
    storage: torch.dtype | None = None

    @property
    def device(self) -> torch.device:
        """Where it computes."""
        return self.residency.device

    @property
    def dtype(self) -> torch.dtype:
        """In what it computes."""
        return self.override or self.residency.precision.dtype(self.device, self.part)

    def computing_in(self, dtype: torch.dtype | None) -> Resident[M]:
        """The same weights, computing in another type; None is the policy's choice."""
        return replace(self, override=dtype)

    def storing(self, dtype: torch.dtype) -> Resident[M]:
        """The same weights, their matrices kept in an 8-bit type and unpacked where they are used."""
        return replace(self, storage=dtype, identity=(*self.identity, dtype))

    def use(
        self, patches: Patches = NO_PATCHES, check: Check = never, reserve: int = 0
    ) -> AbstractContextManager[M]:
        """`with resident.use() as module`: see `Residency.use`."""
        return self.residency.use(self, patches, check, reserve)


def resident_of(
    residency: Residency,
    part: Part,
    weights: Weights,
    build: Callable[[], M],
    key: str = "",
    channels_last: bool = False,
) -> Resident[M]:
    """A handle of a part of a file, once its tensors are known to fit. FileProblem if they do not.

    What was built to find out is used first. `key` tells parts of one kind apart.
    """
    built = [build_empty(build, weights)]

    def made() -> M:
        return built.pop() if built else build()

    return Resident(residency, part, weights, made, identity(weights, part + key), channels_last)


@dataclass(eq=False)
class Held:
    """A loaded module and what decides how long it stays."""

    loaded: Loaded[Any]
    owners: WeakSet[Resident[Any]]
    seconds: float
    last_used: float
    uses: int = 0

    def usefulness(self, now: float) -> float:
        """Seconds to load it again, per byte, fading with time; nothing if nobody has a handle."""
        return bool(self.owners) * self.seconds / max(self.loaded.bytes, 1) / (1 + now - self.last_used)


@dataclass(frozen=True)
class Holding:
    """One line of a report: what is held, how large, on which device, in what type, streamed or whole."""

    part: str
    name: str
    device: str
    dtype: str
    bytes: int
    streamed_blocks: int
    in_use: bool


class Residency:
    """The weights in memory. One per worker, handed to whatever loads models."""

    def __init__(
        self,
        precision: Precision | None = None,
        device: torch.device | str | None = None,
        budget: Callable[[torch.device], int] = memory_budget,
        notice: Callable[[str], None] = lambda text: None,
    ) -> None:
        self.precision = precision or Precision()
        self.device = torch.device(device) if device else best_device()
        self.budget = budget
        self.notice = notice
        self._held: dict[Identity, Held] = {}
        self._lock = RLock()
        self._readers = ThreadPoolExecutor(1, thread_name_prefix="weights")

    @contextmanager
    def use(
        self, resident: Resident[M], patches: Patches = NO_PATCHES, check: Check = never, reserve: int = 0
    ) -> Iterator[M]:
        """The module, loaded and patched, kept until the end of the block.

        `patches` gives functions on float32 weights by parameter name, told apart by identity. `check` is
        asked between tensors and may raise. `reserve` bytes stay free for the work itself.
        """
        with self._lock:
            held = self._obtain(resident, patches, check, reserve)
            before = held.loaded.patches
            self._repatch(resident, held, patches, check)
            held.uses += 1
        try:
            yield held.loaded.module
        finally:
            self._give_back(resident, held, before)

    def switch(self, resident: Resident[M], patches: Patches, check: Check = never) -> None:
        """Other patches for a module that is in use; it stays as it is when a patch is that of before."""
        with self._lock:
            held = self._held[(*resident.identity, resident.dtype, resident.device)]
            self._repatch(resident, held, patches, check)

    def attempt(self, *ways: Callable[[], T], doing: str = "computing") -> T:
        """The result of the first way that memory allows; before the second try the idle is unloaded."""
        for number, way in enumerate((ways[0], *ways)):
            try:
                return way()
            except Exception as error:
                if not is_out_of_memory(error):
                    raise
            if number == 0:
                self.free()
                self.notice(f"Memory ran out while {doing}: idle models were unloaded to try again.")
            elif number < len(ways):
                self.notice(f"Memory ran out while {doing}: trying a way that needs less.")
        raise OutOfMemory(str(self.device), doing)

    def free(self) -> int:
        """Unloads everything that is not in use; returns the bytes given back."""
        with self._lock:
            idle = [identity for identity, held in self._held.items() if not held.uses]
            freed = sum(self._drop(identity) for identity in idle)
        if self.device.type == "cuda":
            torch.cuda.empty_cache()
        return freed

    def report(self) -> list[Holding]:
        """What is held now."""
        with self._lock:
            return [_holding(held) for held in self._held.values()]

    @property
    def bytes(self) -> int:
        """Bytes of all weights held."""
        return sum(held.loaded.bytes for held in self._held.values())

    def close(self) -> None:
        """Unloads everything idle and ends the reading thread."""
        self.free()
        self._readers.shutdown(cancel_futures=True)

    def _obtain(self, resident: Resident[M], patches: Patches, check: Check, reserve: int) -> Held:
        identity = (*resident.identity, resident.dtype, resident.device)
        held = self._held.get(identity)
        if held is None:
            started = time.monotonic()
            loaded = self._load(resident, patches, check, reserve)
            now = time.monotonic()
            held = self._held[identity] = Held(loaded, WeakSet(), now - started, now)
        held.owners.add(resident)
        held.last_used = time.monotonic()
        return held

    def _load(self, resident: Resident[M], patches: Patches, check: Check, reserve: int) -> Loaded[M]:
        """The module filled, whole if it fits, else with its last blocks streamed."""
        module = build_empty(resident.build, resident.weights)
        how = resident.dtype, resident.channels_last, resident.storage
        loaded = Loaded(module, resident.weights, resident.device, *how)
        room = self._make_room(loaded.bytes + reserve) - reserve
        self._stream_rest(loaded, room)
        try:
            loaded.fill(patches, check)
        except Exception as error:
            if not is_out_of_memory(error):
                raise
            self.free()
            self._stream_rest(loaded, 0)
            loaded.fill(patches, check)
        return loaded

    def _make_room(self, need: int) -> int:
        """Unloads the least useful until `need` bytes fit or nothing idle is left; returns what fits."""
        budget = self.budget(self.device)
        while self.bytes + need > budget:
            now = time.monotonic()
            idle = [identity for identity, held in self._held.items() if not held.uses]
            if not idle:
                break
            self._drop(min(idle, key=lambda identity: self._held[identity].usefulness(now)))
        return max(budget - self.bytes, 0)

    def _stream_rest(self, loaded: Loaded[Any], room: int) -> None:
        """Marks blocks for streaming, the last first, until the others fit beside two blocks in flight."""
        if loaded.bytes <= room:
            return
        blocks = [block for block in blocks_of(loaded.module) if block not in loaded.streamed]
        sizes = {block: loaded.size_of(block) for block in blocks}
        in_flight = 2 * max(sizes.values(), default=0)
        staying, streamed = loaded.bytes, list[str]()
        while blocks and staying + in_flight > room:
            streamed.insert(0, blocks.pop())
            staying -= sizes[streamed[0]]
        loaded.stream(streamed, self._readers)
        self.notice(
            f"{len(streamed)} blocks of {loaded.weights.path.name} do not fit and are read as needed."
        )

    def _repatch(self, resident: Resident[Any], held: Held, patches: Patches, check: Check) -> None:
        """Applies patches; a module left half patched is dropped."""
        try:
            held.loaded.repatch(patches, check)
        except BaseException:
            self._drop((*resident.identity, resident.dtype, resident.device))
            raise

    def _give_back(self, resident: Resident[Any], held: Held, before: Patches) -> None:
        with self._lock:
            held.uses -= 1
            held.last_used = time.monotonic()
            if held.uses:
                self._repatch(resident, held, before, never)
            else:
                held.loaded.settle()

    def _drop(self, identity: Identity) -> int:
        held = self._held.pop(identity)
        size = held.loaded.bytes
        if not held.uses:
            held.loaded.empty()
        return size


def _holding(held: Held) -> Holding:
    loaded = held.loaded
    part = next((owner.part for owner in held.owners), "unused")
    numbers = (loaded.bytes, len(loaded.streamed), held.uses > 0)
    return Holding(part, loaded.weights.path.name, str(loaded.device), str(loaded.dtype), *numbers)
