"""A module filled from a file: tensors are put in one at a time, patched and converted on the way.

The module is built on the meta device, so nothing exists twice. A tensor that needs neither patch nor
conversion stays a view of the mapped file, and so does a packed weight (`quantised`), whose patches act where
it is used. Blocks that are not to stay in memory are streamed: read just
before they compute, while the one before them computes, and dropped behind.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Executor, Future
from itertools import pairwise
from pathlib import Path
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from diffusion.errors import FileProblem
from diffusion.weights.files import Entry, Weights
from diffusion.weights.quantised import Quantised
from diffusion.weights.scaled import FLOAT8, float8_weight

M = TypeVar("M", bound=nn.Module)
Patches = Mapping[str, tuple[Callable[[Tensor], Tensor], ...]]
Check = Callable[[], None]


class NoPatches(dict[str, tuple[Callable[[Tensor], Tensor], ...]]):
    """The empty table of patches; it stays empty, so it can be a default."""

    __hash__ = object.__hash__  # type: ignore[assignment]  # a dict has none


NO_PATCHES: Patches = NoPatches()


def never() -> None:
    """A check that never objects."""


STATE_THEM = (
    "If it was made with other norm groups or heads, its metadata must say so (nodeloom.unet.norm_groups, …)."
)


class Uninitialised(TorchFunctionMode):
    """Skips the random initialisation of layers whose weights come from a file; on meta it costs seconds."""

    def __torch_function__(
        self, function: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if getattr(function, "__module__", None) == "torch.nn.init":
            return None
        return function(*args, **(kwargs or {}))


def on_meta(build: Callable[[], M], path: Path) -> M:
    """The module of a file with all its tensors on the meta device. FileProblem if it cannot be built."""
    try:
        with torch.device("meta"), Uninitialised():
            module = build()
    except (ValueError, ZeroDivisionError) as error:
        raise FileProblem(path, f"Its sizes do not fit each other: {error}.", STATE_THEM) from None
    return module.eval().requires_grad_(False)


def build_empty(build: Callable[[], M], weights: Weights) -> M:
    """The module with all its tensors on the meta device. FileProblem if the file's tensors do not fit it."""
    module = on_meta(build, weights.path)
    wanted = module.state_dict()
    missing = [name for name in wanted if name not in weights]
    if missing:
        shown = ", ".join(missing[:5])
        raise FileProblem(weights.path, f"{len(missing)} tensors are missing, such as {shown}.")
    for name, tensor in wanted.items():
        if weights[name].shape != tuple(tensor.shape):
            found, right = weights[name].shape, tuple(tensor.shape)
            raise FileProblem(weights.path, f"Tensor {name} has the shape {found} instead of {right}.")
    return module


class Loaded(Generic[M]):
    """A module, the file behind it, and which of its tensors are in memory."""

    def __init__(
        self,
        module: M,
        weights: Weights,
        device: torch.device,
        dtype: torch.dtype,
        channels_last: bool = False,
        storage: torch.dtype | None = None,
    ) -> None:
        self.module = module
        self.weights = weights
        self.device = device
        self.dtype = dtype
        self.channels_last = channels_last
        self.storage = storage  # an 8-bit type in which matrices are kept, whatever they have in the file
        self.patches: Patches = NO_PATCHES
        self.names = list(module.state_dict())
        self.streamed: dict[str, Streamed] = {}
        self.away: set[str] = set()

    @property
    def bytes(self) -> int:
        """Bytes of the tensors that stay in memory."""
        return sum(self.size(name) for name in self.names if name not in self.away)

    def size_of(self, block: str) -> int:
        """Bytes of all tensors of a sub-module."""
        return sum(self.size(name) for name in self.names if name.startswith(f"{block}."))

    def size(self, name: str) -> int:
        """Bytes of one tensor once it is in memory."""
        entry = self.weights[name]
        if entry.packed:
            return entry.packed
        kept = self._kept(entry)
        width = kept or (self.dtype if entry.dtype.is_floating_point else entry.dtype)
        return torch.Size(entry.shape).numel() * width.itemsize

    def _kept(self, entry: Entry) -> torch.dtype | None:
        """The 8-bit type that a plain tensor is kept in: matrices that are of one, or that should be."""
        if len(entry.shape) < 2 or not entry.dtype.is_floating_point:
            return None
        return entry.dtype if entry.dtype in FLOAT8 else self.storage

    def fill(self, patches: Patches, check: Check = never) -> None:
        """Puts in every tensor that is to stay. `check` is asked between tensors and may raise."""
        self.patches = patches
        self._bring_tables()
        self._put((name for name in self.names if name not in self.away), check)

    def _bring_tables(self) -> None:
        """Takes to the device what the module computed for itself and no file holds."""
        for owner in self.module.modules():
            for leaf, table in owner._buffers.items():
                if table is not None and not table.is_meta and table.device != self.device:
                    owner._buffers[leaf] = table.to(self.device)

    def repatch(self, patches: Patches, check: Check = never) -> None:
        """Makes the patches take effect, touching only tensors whose patches change."""
        before, self.patches = self.patches, patches
        if before is patches:
            return
        touched = [name for name in {**before, **patches} if before.get(name) != patches.get(name)]
        self._put((name for name in touched if name in self.weights and name not in self.away), check)

    def stream(self, blocks: Iterable[str], executor: Executor) -> None:
        """From now on these sub-modules are in memory only while they compute."""
        for prefix in blocks:
            names = [name for name in self.names if name.startswith(f"{prefix}.")]
            shapes = {name: self.weights[name].shape for name in names}
            module = self.module.get_submodule(prefix)
            self.streamed[prefix] = Streamed(module, shapes, self.tensor, self.put_one, executor)
            self.away |= shapes.keys()
        order = list(self.streamed.values())
        for block, following in pairwise(order):
            block.following = following

    def empty(self) -> None:
        """Lets go of every tensor, whoever else still knows the module."""
        for name in self.names:
            self.put_one(name, torch.empty(self.weights[name].shape, device="meta"))

    def settle(self) -> None:
        """Drops streamed blocks that an interrupted pass left behind."""
        for block in self.streamed.values():
            block.drop()

    def tensor(self, name: str) -> Tensor:
        """A tensor of the file, patched, on the device, in the type and layout it computes in."""
        entry = self.weights[name]
        source = entry.read()
        packed = self._packed(entry, source)
        if packed is not None:
            moved = packed.computing(self.device, self.dtype, self.patches.get(name, ()))
            if self.device.type != "cpu":
                entry.release()
            return moved
        value = source
        if name in self.patches:
            value = source.to(self.device, torch.float32)
            for patch in self.patches[name]:
                value = patch(value)
        dtype = self.dtype if source.is_floating_point() else source.dtype
        layout = torch.channels_last if self.channels_last and source.dim() == 4 else torch.contiguous_format
        value = value.to(self.device, dtype, memory_format=layout)
        if value.untyped_storage().data_ptr() != source.untyped_storage().data_ptr():
            entry.release()
        return value

    def _packed(self, entry: Entry, source: Tensor) -> Quantised | None:
        """A tensor that stays as small as it is, or as it should be kept; None for one that is converted."""
        if isinstance(source, Quantised):
            return source
        kept = self._kept(entry)
        if kept is None:
            return None
        if source.dtype != kept:
            most = torch.finfo(kept).max
            source = source.clamp(-most, most).to(kept)
            entry.release()
        return float8_weight(source, self.dtype)

    def put_one(self, name: str, value: Tensor) -> None:
        """Sets one parameter or buffer of the module."""
        prefix, _, leaf = name.rpartition(".")
        owner = self.module.get_submodule(prefix)
        if leaf in owner._parameters:
            owner._parameters[leaf] = nn.Parameter(value, requires_grad=False)
        else:
            owner._buffers[leaf] = value

    def _put(self, names: Iterable[str], check: Check) -> None:
        with torch.inference_mode(False), torch.no_grad():
            for name in names:
                check()
                self.put_one(name, self.tensor(name))


class Streamed:
    """A block that is read before it computes and dropped after; `following` is read meanwhile."""

    def __init__(
        self,
        module: nn.Module,
        shapes: Mapping[str, tuple[int, ...]],
        read: Callable[[str], Tensor],
        put: Callable[[str, Tensor], None],
        executor: Executor,
    ) -> None:
        self.following: Streamed | None = None
        self._shapes, self._read, self._put, self._executor = shapes, read, put, executor
        self._coming: Future[dict[str, Tensor]] | None = None
        module.register_forward_pre_hook(lambda *_: self._arrive())
        module.register_forward_hook(lambda *_: self.drop())

    def fetch(self) -> None:
        """Starts reading in the background."""
        if self._coming is None:
            self._coming = self._executor.submit(self._tensors)

    def drop(self) -> None:
        """Leaves only shapes behind."""
        self._coming = None
        for name, shape in self._shapes.items():
            self._put(name, torch.empty(shape, device="meta"))

    def _arrive(self) -> None:
        tensors = self._coming.result() if self._coming else self._tensors()
        self._coming = None
        for name, value in tensors.items():
            self._put(name, value)
        if self.following is not None:
            self.following.fetch()

    def _tensors(self) -> dict[str, Tensor]:
        return {name: self._read(name) for name in self._shapes}


def blocks_of(module: nn.Module) -> list[str]:
    """The names of a module's blocks in the order they compute: the items of its outermost lists."""
    found: list[str] = []
    for name, child in module.named_children():
        if isinstance(child, nn.ModuleList):
            found += [f"{name}.{index}" for index in range(len(child))]
        else:
            found += [f"{name}.{inner}" for inner in blocks_of(child)]
    return found
