"""Weights that stay in memory as they are packed in their file, and are unpacked where they are used.

A `Quantised` is a tensor to whoever holds it: it has the shape of the weight and the number type it computes
in, and lies in a module like any other parameter. Its bytes stay those of the file, mapped where they can be.
A linear layer multiplies by it a block of rows at a time, an embedding unpacks the rows it is asked for,
slices and joins of rows stay packed, and any other operation sees the weight unpacked.

Patches (LoRA and its kin, merges) act on the unpacked weight at each use, in float32. That costs a run
little, holds for every kind of patch, and gives to the bit what unpacking and patching the file would.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.utils._pytree import tree_map_only

Patch = Callable[[Tensor], Tensor]

BLOCK = 1 << 22
"""Numbers that are unpacked at a time, of whole rows: 16 MB in float32."""


@dataclass(frozen=True)
class Kind:
    """A way of packing: its name, and how rows of it become float32 numbers [rows, columns]."""

    name: str
    unpack: Callable[[Piece], Tensor]


@dataclass(frozen=True, eq=False)
class Piece:
    """Rows of a matrix that are packed alike.

    `by_row` holds tensors whose first axis is the rows, `shared` what counts for all of them. `turned` says
    in groups of how many columns the rows were rotated before they were packed, 0 for not at all.
    """

    kind: Kind
    columns: int
    by_row: Mapping[str, Tensor]
    shared: Mapping[str, Tensor] = field(default_factory=dict)
    turned: int = 0

    def __len__(self) -> int:
        return len(next(iter(self.by_row.values())))

    @property
    def bytes(self) -> int:
        """Bytes in memory; a scale that stands for all rows counts once."""
        return sum(
            each.untyped_storage().nbytes() if 0 in each.stride() else each.nbytes
            for each in self.by_row.values()
        )

    def rows(self, chosen: slice | Tensor) -> Piece:
        """Some of its rows; a slice copies nothing."""
        return replace(self, by_row={name: each[chosen] for name, each in self.by_row.items()})

    def on(self, device: torch.device) -> Piece:
        """The same on a device."""
        moved = {name: _moved(each, device) for name, each in self.by_row.items()}
        return replace(
            self, by_row=moved, shared={name: each.to(device) for name, each in self.shared.items()}
        )

    def blocks(self) -> Iterator[Piece]:
        """Its rows, a block at a time."""
        step = max(BLOCK // max(self.columns, 1), 1)
        for start in range(0, len(self) or 1, step):
            yield self.rows(slice(start, start + step))

    def numbers(self) -> Tensor:
        """Its weights [rows, columns] in float32."""
        unpacked = self.kind.unpack(self)
        return rotated(unpacked, self.turned) if self.turned else unpacked


class Quantised(Tensor):
    """A packed weight of a logical shape. Its pieces lie below each other along the first axis."""

    pieces: tuple[Piece, ...]
    patches: tuple[Patch, ...]

    @staticmethod
    def __new__(
        cls, pieces: Sequence[Piece], shape: Sequence[int], dtype: torch.dtype, patches: Sequence[Patch] = ()
    ) -> Quantised:
        device = next(iter(pieces[0].by_row.values())).device
        with torch.inference_mode(False):  # else it could not be a view of one that was made outside
            made: Quantised = Tensor._make_wrapper_subclass(cls, tuple(shape), dtype=dtype, device=device)
        made.pieces, made.patches = tuple(pieces), tuple(patches)
        return made

    def __repr__(self, *, tensor_contents: Any = None) -> str:  # type: ignore[override]  # untyped
        kinds = "+".join(dict.fromkeys(piece.kind.name for piece in self.pieces))
        return f"Quantised({kinds}, {tuple(self.shape)}, {self.dtype}, {len(self.patches)} patches)"

    @property
    def packed_bytes(self) -> int:
        """Bytes that it takes in memory."""
        return sum(piece.bytes for piece in self.pieces)

    @property
    def by_rows(self) -> bool:
        """Whether its rows are packed each for itself, so that they can be taken one without the other."""
        return len(self.shape) > 0 and sum(map(len, self.pieces)) == self.shape[0]

    def made(self, **changed: Any) -> Quantised:
        """The same with other pieces, shape, number type or patches."""
        now = {"pieces": self.pieces, "shape": self.shape, "dtype": self.dtype, "patches": self.patches}
        return Quantised(**{**now, **changed})

    def computing(self, device: torch.device, dtype: torch.dtype, patches: Sequence[Patch] = ()) -> Quantised:
        """The same on a device, to compute in a number type, with patches."""
        return self.made(pieces=[piece.on(device) for piece in self.pieces], dtype=dtype, patches=patches)

    def unpacked(self, dtype: torch.dtype | None = None) -> Tensor:
        """The weight as a plain tensor, patched."""
        numbers = [block.numbers() for piece in self.pieces for block in piece.blocks()]
        value = (numbers[0] if len(numbers) == 1 else torch.cat(numbers)).reshape(self.shape)
        del numbers
        for patch in self.patches:
            value = patch(value)
        return value.to(dtype or self.dtype)

    def rows(self, start: int, stop: int) -> Quantised:
        """Rows of it, still packed. Only where `by_rows` and not patched."""
        pieces, at = [], 0
        for piece in self.pieces:
            first, last = max(start - at, 0), min(stop - at, len(piece))
            if first < last:
                pieces.append(piece.rows(slice(first, last)))
            at += len(piece)
        chosen = pieces or [self.pieces[0].rows(slice(0, 0))]
        return self.made(pieces=chosen, shape=(max(stop - start, 0), *self.shape[1:]))

    def rows_at(self, numbers: Tensor) -> Tensor:
        """The rows of these numbers, unpacked: [*numbers, …]."""
        flat, out = (
            numbers.reshape(-1),
            torch.empty(numbers.numel(), *self.shape[1:], dtype=self.dtype, device=self.device),
        )
        at = 0
        for piece in self.pieces:
            here = ((flat >= at) & (flat < at + len(piece))).nonzero().squeeze(1)
            if len(here):
                found = piece.rows(flat[here] - at).numbers().reshape(len(here), *self.shape[1:])
                out[here] = found.to(self.dtype)
            at += len(piece)
        return out.reshape(*numbers.shape, *self.shape[1:])

    @classmethod
    def __torch_function__(
        cls, function: Any, types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        with torch._C.DisableTorchFunctionSubclass():
            if function is F.linear and isinstance(args[1], Quantised):
                return linear(*args, **(kwargs or {}))
            return function(*args, **(kwargs or {}))

    @classmethod
    def __torch_dispatch__(  # type: ignore[override]  # the base has a function that is no method
        cls, operation: Any, types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        stay = STAY_PACKED.get(operation)
        found = stay(*args, **(kwargs or {})) if stay is not None else NotImplemented
        if found is NotImplemented:
            found = operation.decompose(*args, **(kwargs or {}))
        if found is not NotImplemented:
            return found
        require_unwritten(operation, args)
        with torch.inference_mode(False), torch.no_grad():  # a view of what was made outside has to be alike
            args, kwargs = tree_map_only(Quantised, Quantised.unpacked, (tuple(args), dict(kwargs or {})))
            return operation(*args, **kwargs)


def linear(x: Tensor, weight: Quantised, bias: Tensor | None = None) -> Tensor:
    """x [..., columns] Wᵀ + bias; of W only a block of rows is unpacked at a time."""
    if weight.patches or not weight.by_rows or weight.dim() != 2:
        return F.linear(x, weight.unpacked(x.dtype), bias)
    parts = (each for piece in weight.pieces for each in _blocks_for(x, piece))
    if x.dtype != torch.float32 or (
        torch.is_grad_enabled() and x.requires_grad
    ):  # what `out` cannot, or slowly
        whole = torch.cat([F.linear(turned, block) for turned, block in parts], dim=-1)
        return whole if bias is None else whole + bias
    out, at = x.new_empty(x.shape[:-1].numel(), weight.shape[0]), 0
    for turned, block in parts:
        torch.mm(turned.reshape(-1, turned.shape[-1]), block.T, out=out[:, at : at + len(block)])
        at += len(block)
    out = out if bias is None else out.add_(bias)
    return out.reshape(*x.shape[:-1], weight.shape[0])


def _blocks_for(x: Tensor, piece: Piece) -> Iterator[tuple[Tensor, Tensor]]:
    """Blocks of rows to multiply x by, and x as they want it: a rotation may be done to x instead of W."""
    turn_x = piece.turned and x.numel() < len(piece) * piece.columns
    turned = rotated(x, piece.turned) if turn_x else x
    for block in piece.blocks():
        yield turned, (block.kind.unpack(block) if turn_x else block.numbers()).to(x.dtype)


def rotated(x: Tensor, group: int) -> Tensor:
    """x [..., columns], each group of columns times the regular Hadamard matrix of its size (ConvRot).

    It is symmetric and its own inverse. `group` is a power of 4.
    """
    return (x.reshape(-1, group) @ hadamard(group).to(x)).reshape(x.shape)


def hadamard(size: int) -> Tensor:
    """The regular Hadamard matrix [size, size] with unit rows: the Kronecker power of one of 4 × 4."""
    quarter = torch.full((4, 4), 0.5) - torch.eye(4).flip(0)
    matrix = torch.ones(1, 1)
    while len(matrix) < size:
        matrix = torch.kron(matrix, quarter)
    return matrix


def plain(tensor: Tensor, dtype: torch.dtype | None = None) -> Tensor:
    """A tensor that is not packed; one that was comes unpacked, in a number type or its own."""
    return tensor.unpacked(dtype) if isinstance(tensor, Quantised) else tensor


def joined(parts: Sequence[Tensor]) -> Tensor:
    """Quantised weights below each other, still packed."""
    first = parts[0]
    assert isinstance(first, Quantised)
    pieces = list(chain.from_iterable(each.pieces for each in parts if isinstance(each, Quantised)))
    return first.made(pieces=pieces, shape=(sum(len(each) for each in parts), *first.shape[1:]))


def require_unwritten(operation: Any, args: Sequence[Any]) -> None:
    """TypeError if an operation would write into a quantised weight, which would be lost."""
    for argument, declared in zip(args, operation._schema.arguments, strict=False):
        if (
            isinstance(argument, Quantised)
            and declared.alias_info is not None
            and declared.alias_info.is_write
        ):
            raise TypeError(f"{operation} writes into a quantised weight; unpack it first")


def _moved(tensor: Tensor, device: torch.device) -> Tensor:
    """A tensor on a device; what stands for all rows still lies there once."""
    if tensor.device == device:
        return tensor
    return tensor[:1].to(device).expand(tensor.shape) if tensor.stride(0) == 0 else tensor.to(device)


def _is_free(weight: Any) -> bool:
    return isinstance(weight, Quantised) and weight.by_rows and not weight.patches


def _slice(
    weight: Quantised, dim: int = 0, start: int | None = None, end: int | None = None, step: int = 1
) -> Any:
    if dim > 0 and not start and (end is None or end >= weight.shape[dim]) and step == 1:
        return weight.made()
    if dim != 0 or step != 1 or not _is_free(weight):
        return NotImplemented
    first, last, _ = slice(start, end).indices(weight.shape[0])
    return weight.rows(first, last)


def _unsqueeze(weight: Quantised, dim: int) -> Any:
    at = dim if dim >= 0 else weight.dim() + 1 + dim
    return _view(weight, (*weight.shape[:at], 1, *weight.shape[at:])) if at > 0 else NotImplemented


def _split(weight: Quantised, size: int | Sequence[int], dim: int = 0) -> Any:
    if dim != 0 or not _is_free(weight):
        return NotImplemented
    count = weight.shape[0]
    sizes = [min(size, count - at) for at in range(0, count, size)] if isinstance(size, int) else size
    ends = [sum(sizes[: number + 1]) for number in range(len(sizes))]
    return [weight.rows(end - length, end) for end, length in zip(ends, sizes, strict=True)]


def _cat(parts: Sequence[Tensor], dim: int = 0) -> Any:
    alike = all(_is_free(each) and each.shape[1:] == parts[0].shape[1:] for each in parts)
    return joined(parts) if alike and dim == 0 else NotImplemented


def _view(weight: Quantised, shape: Sequence[int]) -> Any:
    """The same rows in another shape of each."""
    known = torch.Size(each for each in shape if each != -1).numel()
    whole = tuple(weight.numel() // max(known, 1) if each == -1 else each for each in shape)
    if weight.patches or not whole or not weight.shape or whole[0] != weight.shape[0]:
        return NotImplemented
    return weight.made(shape=whole)


def _index(weight: Quantised, indices: Sequence[Tensor | None]) -> Any:
    first = indices[0]
    if (
        len(indices) != 1
        or first is None
        or first.dtype == torch.bool
        or first.dim() != 1
        or not _is_free(weight)
    ):
        return NotImplemented
    return _chosen(weight, first)


def _index_select(weight: Quantised, dim: int, numbers: Tensor) -> Any:
    return _chosen(weight, numbers) if dim == 0 and _is_free(weight) else NotImplemented


def _chosen(weight: Quantised, numbers: Tensor) -> Any:
    """Rows in another order, still packed, if they are packed in one piece."""
    if len(weight.pieces) != 1:
        return NotImplemented
    return weight.made(pieces=[weight.pieces[0].rows(numbers)], shape=(len(numbers), *weight.shape[1:]))


def _embedding(weight: Quantised, numbers: Tensor, *rest: Any) -> Any:
    return weight.rows_at(numbers) if _is_free(weight) else NotImplemented


def _to(weight: Quantised, *, dtype: torch.dtype | None = None, **wanted: Any) -> Any:
    """Unpacked in the type that is asked for: not first rounded to the type that it computes in."""
    return torch.ops.aten._to_copy.default(weight.unpacked(dtype), dtype=dtype, **wanted)


def _same(weight: Quantised, **wanted: Any) -> Any:
    return weight.made()


def _linear(x: Tensor, weight: Any, bias: Tensor | None = None) -> Any:
    return linear(x, weight, bias) if isinstance(weight, Quantised) else NotImplemented


aten = torch.ops.aten
STAY_PACKED: Mapping[Any, Callable[..., Any]] = {
    aten.linear.default: _linear,
    aten.embedding.default: _embedding,
    aten.slice.Tensor: _slice,
    aten.unsqueeze.default: _unsqueeze,
    aten.split.Tensor: _split,
    aten.split_with_sizes.default: _split,
    aten.cat.default: _cat,
    aten.view.default: _view,
    aten._unsafe_view.default: _view,
    aten.index.Tensor: _index,
    aten.index_select.default: _index_select,
    aten._to_copy.default: _to,
    aten.detach.default: _same,
    aten.alias.default: _same,
}
"""Operations that do not need the whole weight unpacked; NotImplemented where they do after all."""
