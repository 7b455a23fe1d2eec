"""CLIP's byte-pair tokenizer: a text as numbers between 0 and 49,407.

Sennrich et al. 2016, https://arxiv.org/abs/1508.07909, on bytes as in Radford et al. 2021: words are
lower-cased, written as bytes, and neighbouring pieces are joined in the order training met them most.
"""

from __future__ import annotations

import gzip
import itertools
import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

MERGES = Path(__file__).parents[1] / "data" / "clip_merges.txt.gz"
START, END = "<|startoftext|>", "<|endoftext|>"
CONTRACTIONS = ("'re", "'ve", "'ll", "'s", "'t", "'m", "'d")
WORD_END = "</w>"
SPACES = "\t\n\v\f\r\x85"
REMEMBERED_WORDS = 1 << 16


def byte_letters() -> dict[int, str]:
    """A printable letter for each byte, in the order of their token numbers."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    other = [byte for byte in range(256) if byte not in plain]
    return {byte: chr(byte) for byte in plain} | {byte: chr(256 + index) for index, byte in enumerate(other)}


@dataclass(frozen=True)
class Vocabulary:
    """Merges by rank and tokens by text. `read` makes CLIP's."""

    ranks: Mapping[tuple[str, str], int]
    numbers: Mapping[str, int]
    letters: Mapping[int, str]
    known: dict[str, tuple[int, ...]] = field(default_factory=dict, compare=False, repr=False)

    @classmethod
    def read(cls, path: Path = MERGES) -> Vocabulary:
        """The vocabulary of a gzipped list of merges."""
        lines = gzip.decompress(path.read_bytes()).decode("utf-8").splitlines()
        merges = [(first, second) for first, _, second in (line.partition(" ") for line in lines)]
        letters = byte_letters()
        pieces = [*letters.values(), *(letter + WORD_END for letter in letters.values())]
        pieces += [first + second for first, second in merges] + [START, END]
        ranks = {merge: rank for rank, merge in enumerate(merges)}
        return cls(ranks, {piece: number for number, piece in enumerate(pieces)}, letters)

    @property
    def start(self) -> int:
        """The token before every text."""
        return self.numbers[START]

    @property
    def end(self) -> int:
        """The token after every text."""
        return self.numbers[END]

    def encode(self, text: str) -> list[int]:
        """The tokens of a text, without start and end."""
        numbers: list[int] = []
        for part in re.split(f"({re.escape(START)}|{re.escape(END)})", text):
            if part in (START, END):
                numbers.append(self.numbers[part])
            else:
                numbers += [number for word in words(part) for number in self._word(word)]
        return numbers

    def decode(self, numbers: list[int]) -> str:
        """The text of tokens, as far as lower-casing left it."""
        pieces = {number: piece for piece, number in self.numbers.items()}
        bytes_of = {letter: byte for byte, letter in self.letters.items()}
        joined = "".join(pieces[number] for number in numbers if number < self.start)
        text = joined.replace(WORD_END, " ")
        return bytes(bytes_of.get(letter, 32) for letter in text).decode("utf-8", "replace").strip()

    def _word(self, word: str) -> tuple[int, ...]:
        found = self.known.get(word)
        if found is None:
            found = tuple(self.numbers[piece] for piece in self._pieces(word))
            if len(self.known) < REMEMBERED_WORDS:
                self.known[word] = found
        return found

    def _pieces(self, word: str) -> list[str]:
        """The word's bytes, joined pair by pair, the lowest rank first."""
        pieces = [self.letters[byte] for byte in word.encode("utf-8")]
        pieces[-1] += WORD_END
        while len(pieces) > 1:
            pair = min(itertools.pairwise(pieces), key=lambda pair: self.ranks.get(pair, len(self.ranks)))
            if pair not in self.ranks:
                break
            pieces = _joined(pieces, pair)
        return pieces


def words(text: str) -> Iterator[str]:
    """The words of a text as CLIP counts them: runs of letters, digits, runs of signs, contractions."""
    composed = unicodedata.normalize("NFC", text)
    lowered = "".join(letter.lower() for letter in composed)
    position = 0
    while position < len(lowered):
        word = _contraction(lowered, position) or _run(lowered, position)
        position += len(word)
        if _kind(word[0]) != "space":
            yield word


def _contraction(text: str, position: int) -> str | None:
    return next((word for word in CONTRACTIONS if text.startswith(word, position)), None)


def _run(text: str, position: int) -> str:
    """The longest run of one kind from a position; numbers stand alone."""
    kind = _kind(text[position])
    end = position + 1
    while kind != "number" and end < len(text) and _kind(text[end]) == kind:
        end += 1
    return text[position:end]


def _kind(letter: str) -> str:
    """What a character counts as when words are told apart."""
    category = unicodedata.category(letter)
    if category[0] == "Z" or letter in SPACES:
        return "space"
    return {"L": "letter", "N": "number"}.get(category[0], "sign")


def _joined(pieces: list[str], pair: tuple[str, str]) -> list[str]:
    """The pieces with every occurrence of a pair made one, from left to right."""
    out, position = [], 0
    while position < len(pieces):
        if tuple(pieces[position : position + 2]) == pair:
            out.append(pair[0] + pair[1])
            position += 2
        else:
            out.append(pieces[position])
            position += 1
    return out
