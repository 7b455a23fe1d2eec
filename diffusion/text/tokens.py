"""Tokens as plain data: what stands around those of a text, and how long texts are laid into chunks.

Tokens travel as `{tower: [chunk, …]}`; a chunk is a list of pairs of a token and its weight. A token is a
number, a learned vector, or a picture.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from torch import Tensor


class Picture(NamedTuple):
    """A picture among the words: `pixels` 1×H×W×C, 0…1."""

    pixels: Tensor


Token = tuple[int | Tensor | Picture, float]
Chunk = list[Token]
Tokens = dict[str, list[Chunk]]
Vectors = Mapping[str, Tensor]  # of one embedding: tower key ("clip_l", …) or "" for any → [n, width]
Find = Callable[[str], Vectors | None]

Tell = Callable[[str], None]
"""Takes what a person should know: part of a text is left out."""

LONG_GROUP = 8  # stretches of at least so many tokens may be cut by the end of a chunk


class Tokenizer(Protocol):
    """What turns a stretch of text into numbers, without what stands around a whole text."""

    def encode(self, text: str) -> list[int]:
        """The tokens of a text."""


def no_embeddings(name: str) -> Vectors | None:
    """The finder of somebody who has no embeddings."""
    return None


def to_the_log(message: str) -> None:
    """Tell the log alone."""
    logging.getLogger("diffusion.text").warning(message)


@dataclass(frozen=True)
class Frame:
    """What stands around the tokens of a text.

    `length` is that of a chunk with its start and end; None puts all into one chunk. A chunk gets `more` pads
    behind its end and is then filled up to `least`. Of a text that needs more than `most` chunks only the
    first are kept.
    """

    start: int | None
    end: int | None
    pad: int
    length: int | None = None
    least: int = 0
    more: int = 0
    most: int | None = None

    def chunks(self, stretches: Sequence[Sequence[Token]]) -> list[Chunk]:
        """Stretches of tokens laid into chunks.

        A short stretch that no longer fits begins the next chunk; a long one is cut.
        """
        opened = [] if self.start is None else [(self.start, 1.0)]
        chunks: list[Chunk] = [list[Token](opened)]
        for stretch in stretches:
            rest, cut = list(stretch), len(stretch) >= LONG_GROUP
            while rest:
                room = self._room(chunks[-1], rest)
                if len(rest) <= room or cut:
                    chunks[-1] += rest[:room]
                    rest = rest[room:]
                if rest:
                    chunks.append(list[Token](opened))
        return [self._closed(chunk) for chunk in chunks[: self.most]]

    def empty(self, length: int, ends: bool = True) -> Chunk:
        """The chunk of no text, of a length; without its end if `ends` is false."""
        numbers = [self.start, self.end if ends else None]
        chunk: Chunk = [(number, 1.0) for number in numbers if number is not None]
        return self.filled(chunk, length)

    def within(self, chunk: Chunk) -> Chunk:
        """The tokens between a chunk's start and its end or first pad."""
        inner = chunk if self.start is None else chunk[1:]
        stops = {self.end, self.pad} - {None}
        last = next(
            (place for place, (token, _) in enumerate(inner) if isinstance(token, int) and token in stops),
            None,
        )
        return inner[:last]

    def filled(self, chunk: Chunk, length: int) -> Chunk:
        """A chunk with pads behind, up to a length."""
        return [*chunk, *[(self.pad, 1.0)] * (length - len(chunk))]

    def _room(self, chunk: Chunk, rest: Sequence[Token]) -> int:
        if self.length is None:
            return len(rest)
        return self.length - len(chunk) - (self.end is not None)

    def _closed(self, chunk: Chunk) -> Chunk:
        ended = chunk if self.end is None else [*chunk, (self.end, 1.0)]
        return self.filled(ended, max(len(ended) + self.more, self.least))
