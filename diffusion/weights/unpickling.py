"""A reader of pickles that understands data and never calls anything.

PyTorch's older files are pickles: small programs whose opcodes may call any function. This reader carries
out only those that build numbers, texts, lists, tuples and dicts. What would be imported becomes a `Name`,
what would be called a `Call` that lists what it would have been given, and both stay what they are: data.
Whoever wants tensors looks for the few calls it knows. Any opcode outside the table ends the reading.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

MAX_OPERATIONS = 4_000_000


class BadPickle(ValueError):
    """What is wrong with a pickle, in one sentence."""


@dataclass(frozen=True, slots=True)
class Name:
    """A global the pickle mentions; it is not imported."""

    module: str
    name: str

    def __str__(self) -> str:
        return f"{self.module}.{self.name}"


@dataclass(eq=False, slots=True)
class Call:
    """A call the pickle asks for; it is not made. `state` is what would be set on its result."""

    function: Any
    arguments: Any
    state: Any = None
    items: dict[Any, Any] = field(default_factory=dict)


@dataclass(eq=False, slots=True)
class Reference:
    """A persistent id: in PyTorch's files, where a storage lies."""

    value: Any


class Unpickling:
    """One reading of one pickle from `start` on.

    `read` gives its value; then `position` is behind it and `names` lists the globals it mentioned.
    """

    def __init__(self, source: bytes, start: int = 0) -> None:
        self.source = source
        self.position = start
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}
        self.names: set[str] = set()

    def read(self) -> Any:
        """The pickled value. BadPickle if the pickle is broken or uses an opcode that is not allowed."""
        try:
            for _ in range(MAX_OPERATIONS):
                opcode = self.take(1)
                if opcode == b".":
                    return self.stack.pop()
                if opcode not in _OPCODES:
                    raise BadPickle(f"It uses the opcode {opcode!r}, which no weight file needs.")
                _OPCODES[opcode](self)
        except BadPickle:
            raise
        except (IndexError, KeyError, TypeError, ValueError):
            raise BadPickle("Its pickle is broken.") from None
        raise BadPickle(f"Its pickle has more than {MAX_OPERATIONS:,} operations.")

    def take(self, count: int) -> bytes:
        """The next bytes of the source."""
        end = self.position + count
        if end > len(self.source):
            raise BadPickle("Its pickle is cut short.")
        taken = self.source[self.position : end]
        self.position = end
        return taken

    def number(self, layout: str) -> Any:
        """The next number, in `struct`'s notation."""
        return struct.unpack(layout, self.take(struct.calcsize(layout)))[0]

    def line(self) -> str:
        """The text up to the end of the line."""
        end = self.source.index(b"\n", self.position)
        text = self.take(end - self.position)
        self.position += 1
        return str(text, "utf-8")

    def since_mark(self) -> list[Any]:
        """What was pushed after the last mark, taken off the stack with it."""
        items = []
        while (item := self.stack.pop()) is not _MARK:
            items.append(item)
        return items[::-1]

    def mention(self, module: Any, name: Any) -> None:
        """Pushes a name that would be imported."""
        if not isinstance(module, str) or not isinstance(name, str):
            raise BadPickle("Its pickle is broken.")
        self.names.add(f"{module}.{name}")
        self.stack.append(Name(module, name))

    def call(self) -> None:
        """Pushes a call that would be made; an empty OrderedDict is simply a dict."""
        arguments, function = self.stack.pop(), self.stack.pop()
        empty = arguments == () and function == Name("collections", "OrderedDict")
        self.stack.append({} if empty else Call(function, arguments))

    def set_items(self, pairs: list[Any]) -> None:
        """Sets key, value, key, value, … in what is on top; other keys than plain ones count by identity."""
        target = self.stack[-1]
        table: dict[Any, Any] = target.items if isinstance(target, Call) else target
        for key, value in zip(pairs[::2], pairs[1::2], strict=True):
            table[key if isinstance(key, (str, int, float, bytes)) else id(key)] = value

    def extend(self, items: list[Any]) -> None:
        """Appends to the list on top; what is no list ignores it."""
        if isinstance(self.stack[-1], list):
            self.stack[-1].extend(items)

    def build(self) -> None:
        """Notes the state that would be set on the call below."""
        state = self.stack.pop()
        if isinstance(self.stack[-1], Call):
            self.stack[-1].state = state

    def pack(self, count: int) -> None:
        """Replaces the last items by a tuple of them."""
        items = [self.stack.pop() for _ in range(count)]
        self.stack.append(tuple(items[::-1]))

    def stack_global(self) -> None:
        """A name whose two parts are on the stack."""
        name, module = self.stack.pop(), self.stack.pop()
        self.mention(module, name)

    def set_pair(self) -> None:
        """One key and its value."""
        value, key = self.stack.pop(), self.stack.pop()
        self.set_items([key, value])

    def drop(self) -> None:
        """Forgets the top."""
        self.stack.pop()

    def drop_marked(self) -> None:
        """Forgets everything since the mark."""
        self.since_mark()


_Act = Callable[[Unpickling], None]
_MARK = object()


def _push(make: Callable[[Unpickling], Any]) -> _Act:
    return lambda reading: reading.stack.append(make(reading))


def _number(layout: str) -> _Act:
    return _push(lambda reading: reading.number(layout))


def _text(layout: str) -> _Act:
    return _push(lambda reading: str(reading.take(reading.number(layout)), "utf-8", "surrogatepass"))


def _bytes(layout: str) -> _Act:
    return _push(lambda reading: reading.take(reading.number(layout)))


def _skip(count: int) -> _Act:
    def skip(reading: Unpickling) -> None:
        reading.take(count)

    return skip


def _remember(layout: str | None) -> _Act:
    def remember(reading: Unpickling) -> None:
        place = len(reading.memo) if layout is None else reading.number(layout)
        reading.memo[place] = reading.stack[-1]

    return remember


def _recall(layout: str) -> _Act:
    return _push(lambda reading: reading.memo[reading.number(layout)])


def _whole(reading: Unpickling) -> int:
    return int.from_bytes(reading.take(reading.number("<B")), "little", signed=True)


def _as_dict(reading: Unpickling) -> None:
    pairs = reading.since_mark()
    reading.stack.append({})
    reading.set_items(pairs)


_OPCODES: Mapping[bytes, _Act] = {
    b"\x80": _skip(1),  # PROTO
    b"\x95": _skip(8),  # FRAME
    b"(": _push(lambda reading: _MARK),
    b"0": Unpickling.drop,
    b"1": Unpickling.drop_marked,
    b"N": _push(lambda reading: None),
    b"\x88": _push(lambda reading: True),
    b"\x89": _push(lambda reading: False),
    b"J": _number("<i"),
    b"K": _number("<B"),
    b"M": _number("<H"),
    b"G": _number(">d"),
    b"\x8a": _push(_whole),  # LONG1
    b"X": _text("<I"),
    b"\x8c": _text("<B"),
    b"\x8d": _text("<Q"),
    b"T": _bytes("<I"),
    b"U": _bytes("<B"),
    b"B": _bytes("<I"),
    b"C": _bytes("<B"),
    b"\x8e": _bytes("<Q"),
    b"}": _push(lambda reading: {}),
    b"]": _push(lambda reading: []),
    b")": _push(lambda reading: ()),
    b"\x8f": _push(lambda reading: []),  # EMPTY_SET; no one asks for its members
    b"d": _as_dict,
    b"l": _push(Unpickling.since_mark),
    b"t": _push(lambda reading: tuple(reading.since_mark())),
    b"\x85": lambda reading: reading.pack(1),
    b"\x86": lambda reading: reading.pack(2),
    b"\x87": lambda reading: reading.pack(3),
    b"s": Unpickling.set_pair,
    b"u": lambda reading: reading.set_items(reading.since_mark()),
    b"a": lambda reading: reading.extend([reading.stack.pop()]),
    b"e": lambda reading: reading.extend(reading.since_mark()),
    b"\x90": lambda reading: reading.extend(reading.since_mark()),  # ADDITEMS
    b"q": _remember("<B"),
    b"r": _remember("<I"),
    b"\x94": _remember(None),
    b"h": _recall("<B"),
    b"j": _recall("<I"),
    b"c": lambda reading: reading.mention(reading.line(), reading.line()),
    b"\x93": Unpickling.stack_global,
    b"R": Unpickling.call,
    b"\x81": Unpickling.call,  # NEWOBJ
    b"b": Unpickling.build,
    b"Q": _push(lambda reading: Reference(reading.stack.pop())),
}
