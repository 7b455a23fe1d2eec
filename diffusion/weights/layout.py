"""Layouts as data: how a file's tensors are called and packed, and which of a network's tensors they are.

A `Layout` is a list of rules. A rule names the beginning of a file's names and that of the network's, with
`*` for the number of a block; what follows is carried over:

    Rule("img_in", "x_embedder")                      img_in.bias      is x_embedder.bias
    Rule("blocks.*.attn.qkv", ("layers.*.to_q", …))   rows of one tensor, those of several
    Rule("final.mod", "norm_out.linear", SWAPPED)     turned on the way
    Rule("blocks.*.mod", "layers.*.mod", last=SWAPPED)   turned in the last block alone
    Rule("step_count", ())                            nothing in the network

The first rule that fits counts; a name that fits none is the same on both sides. The same rules are read
both ways: for a file's tensors, for a change of a file's tensor (a LoRA on a packed projection), for the
file's name of a parameter (merging by name), and for writing a file.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor

from diffusion.errors import FileProblem
from diffusion.weights.entries import Entry, Weights, joined

Shape = tuple[int, ...]
Shapes = Mapping[str, Shape]
NUMBER = "*"

T = TypeVar("T")


@dataclass(frozen=True)
class Turn:
    """What happens to the numbers of a tensor between file and network, and its inverse."""

    name: str
    there: Callable[[Tensor], Tensor]
    back: Callable[[Tensor], Tensor]

    def shape_there(self, shape: Shape) -> Shape:
        """The network's shape of a tensor that has this shape in the file."""
        return tuple(self.there(torch.empty(shape, device="meta")).shape)

    def shape_back(self, shape: Shape) -> Shape:
        """The file's shape of a tensor that has this shape in the network."""
        return tuple(self.back(torch.empty(shape, device="meta")).shape)


def _same(tensor: Tensor) -> Tensor:
    return tensor


def _halves_exchanged(tensor: Tensor) -> Tensor:
    half = tensor.shape[0] // 2
    return torch.cat([tensor[half:], tensor[:half]])


def _as_matrix(tensor: Tensor) -> Tensor:
    """[out, in, 1, 1] → [out, in]; a bias stays."""
    return tensor.flatten(1) if tensor.ndim > 1 else tensor


def _as_convolution(tensor: Tensor) -> Tensor:
    """[out, in] → [out, in, 1, 1]; a bias stays."""
    return tensor[:, :, None, None] if tensor.ndim > 1 else tensor


AS_IS = Turn("as it is", _same, _same)
SWAPPED = Turn("halves of its rows exchanged", _halves_exchanged, _halves_exchanged)
TRANSPOSED = Turn("transposed", Tensor.t, Tensor.t)
MATRIX = Turn("a 1×1 convolution as a matrix", _as_matrix, _as_convolution)


@dataclass(frozen=True)
class Rule:
    """A file's tensors whose names begin with `file` are, rows after rows, those of the network's names.

    `last` is the turn in the block of the highest number, where that is built differently.
    """

    file: str
    network: str | tuple[str, ...]
    turn: Turn = AS_IS
    last: Turn | None = None

    @property
    def parts(self) -> tuple[str, ...]:
        """The network's names, one for each stretch of rows."""
        return (self.network,) if isinstance(self.network, str) else self.network


@dataclass(frozen=True)
class Piece:
    """A tensor of the network, as rows of a file's tensor: from `start` up to `stop`, turned.

    `stop` None: all of it, whatever its shape.
    """

    name: str
    start: int = 0
    stop: int | None = None
    turn: Turn = AS_IS

    @property
    def whole(self) -> bool:
        """Whether it is the file's tensor just as it is."""
        return self.stop is None and self.turn is AS_IS

    def take(self, tensor: Tensor) -> Tensor:
        """Its part of the file's tensor, or of a change of that, as the network has it."""
        return self.turn.there(tensor if self.stop is None else tensor[self.start : self.stop])

    def taken_from(self, entry: Entry) -> Entry:
        """Its part of the file's entry."""
        part = entry if self.stop is None else entry.rows(self.start, self.stop)
        return part if self.turn is AS_IS else part.taking(self.turn.shape_there(part.shape), self.turn.there)


class Layout:
    """Rules between a file's names and a network's, read both ways."""

    def __init__(self, *rules: Rule) -> None:
        self.rules = rules
        self._from_file = _by_first((rule.file, rule) for rule in rules)
        parts = ((part, (rule, index)) for rule in rules for index, part in enumerate(rule.parts))
        self._from_network = _by_first(parts)

    def names(self, file_name: str) -> tuple[str, ...]:
        """The network's names of a file's tensor, in the order of its rows; none if it has no use for it."""
        found = self._ruled(file_name)
        return found[0] if found else (file_name,)

    def file_name(self, name: str) -> str:
        """What a file calls the tensor that holds a parameter of the network."""
        return self._origin(name)[0]

    def pieces(self, file_name: str, shapes: Shapes) -> tuple[Piece, ...]:
        """Where the rows of a file's tensor go in a network with these shapes; nothing for other names."""
        names, turn = self._turned(file_name, shapes)
        if any(name not in shapes for name in names):
            return ()
        if len(names) == 1:
            return (Piece(names[0], turn=turn),)
        pieces, start = [], 0
        for name in names:
            stop = start + turn.shape_back(shapes[name])[0]
            pieces.append(Piece(name, start, stop, turn))
            start = stop
        return tuple(pieces)

    def file_names(self, shapes: Shapes) -> tuple[str, ...]:
        """The names of the tensors that a file of such a network holds."""
        return tuple(dict.fromkeys(self.file_name(name) for name in shapes))

    def read(self, weights: Weights, shapes: Shapes) -> Weights:
        """A file's tensors under the names of a network with these shapes; those it has no use for go.

        Raises:
            FileProblem: a tensor that is cut has too many or too few rows.
        """
        entries: dict[str, Entry] = {}
        for file_name, entry in weights.items():
            pieces = self.pieces(file_name, shapes)
            rows = pieces[-1].stop if pieces else None
            if rows is not None and entry.shape[:1] != (rows,):
                problem = f"Tensor {file_name} has the shape {entry.shape}, but {rows} rows are needed."
                raise FileProblem(weights.path, problem)
            entries |= {piece.name: piece.taken_from(entry) for piece in pieces}
        return weights.having(entries)

    def left_over(self, weights: Weights, shapes: Shapes) -> list[str]:
        """A file's tensors for which the network has no place and no rule says so."""
        return [name for name in weights if self.names(name) and not self.pieces(name, shapes)]

    def written(self, entries: Mapping[str, Entry]) -> dict[str, Entry]:
        """A network's entries under a file's names, packed as the file has them: the inverse of `read`.

        Raises:
            KeyError: a part of a packed tensor is missing.
        """
        shapes = {name: entry.shape for name, entry in entries.items()}
        found: dict[str, Entry] = {}
        for file_name in self.file_names(shapes):
            names, turn = self._turned(file_name, shapes)
            if not names:
                continue  # a tensor that the network has no use for
            found[file_name] = _packed([entries[name] for name in names], turn)
        return found

    def _turned(self, file_name: str, shapes: Shapes) -> tuple[tuple[str, ...], Turn]:
        """The network's names of a file's tensor, and its turn in a network with these shapes."""
        found = self._ruled(file_name)
        if found is None:
            return (file_name,), AS_IS
        names, rule = found
        return names, rule.turn if rule.last is None or not _ends(names[0], shapes) else rule.last

    def _ruled(self, file_name: str) -> tuple[tuple[str, ...], Rule] | None:
        """The network's names by the first rule that fits, and the rule."""
        name = file_name.split(".")
        for rule in _candidates(self._from_file, name):
            numbers = _fitting(rule.file, name)
            if numbers is not None:
                rest = name[rule.file.count(".") + 1 :]
                return tuple(_filled(part, numbers, rest) for part in rule.parts), rule
        return None

    def _origin(self, name: str) -> tuple[str, int]:
        """The file's name of a parameter, and which stretch of its rows."""
        split = name.split(".")
        for rule, index in _candidates(self._from_network, split):
            part = rule.parts[index]
            numbers = _fitting(part, split)
            if numbers is not None:
                return _filled(rule.file, numbers, split[part.count(".") + 1 :]), index
        return name, 0


def _ends(name: str, shapes: Shapes) -> bool:
    """Whether no block follows the one in which a parameter stands."""
    words = name.split(".")
    place = next(place for place, word in enumerate(words) if word.isdecimal())
    following = ".".join([*words[:place], str(int(words[place]) + 1), ""])
    return not any(other.startswith(following) for other in shapes)


def _by_first(pairs: Iterable[tuple[str, T]]) -> dict[str, list[T]]:
    """Values by the first word of a pattern, so that few are tried for a name."""
    found: dict[str, list[T]] = {}
    for pattern, value in pairs:
        found.setdefault(pattern.split(".")[0], []).append(value)
    return found


def _candidates(by_first: Mapping[str, list[T]], name: Sequence[str]) -> Sequence[T]:
    return by_first.get(name[0], ())


def _fitting(pattern: str, name: Sequence[str]) -> list[str] | None:
    """The numbers at the stars of a pattern that a name begins with; None if it does not."""
    words = pattern.split(".")
    if len(words) > len(name):
        return None
    numbers = []
    for word, part in zip(words, name, strict=False):
        if word == NUMBER and part.isdecimal():
            numbers.append(part)
        elif word != part:
            return None
    return numbers


def _filled(pattern: str, numbers: Sequence[str], rest: Sequence[str]) -> str:
    """A pattern with its stars replaced in order, and what follows."""
    left = iter(numbers)
    words = (next(left) if word == NUMBER else word for word in pattern.split("."))
    return ".".join([*words, *rest])


def _packed(entries: Sequence[Entry], turn: Turn) -> Entry:
    """Entries turned back, one below the other."""
    turned = [
        each if turn is AS_IS else each.taking(turn.shape_back(each.shape), turn.back) for each in entries
    ]
    return turned[0] if len(turned) == 1 else joined(turned)


SAME = Layout()
"""The network's own names."""
