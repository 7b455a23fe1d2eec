"""Captions as token numbers, kept compact while training: only tokens that occur have a row to train."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import numpy as np
import torch
from torch import Tensor

from diffusion.text.tokenizer import Vocabulary
from training.backgrounds import BACKGROUNDS
from training.compositions import LAYOUTS, Composition, captions, subjects
from training.sprites import THINGS

START, END = 49406, 49407
POSITIONS = 77

Encode = Callable[[str], Sequence[int]]
"""Text → token numbers without start and end."""


def clip_encode() -> Encode:
    """The byte-pair encoder the finished model will be used with."""
    return Vocabulary.read().encode


class Words:
    """The vocabulary of the captions: tokens ↔ rows of the small table that is trained."""

    def __init__(self, encode: Encode) -> None:
        self.encode = encode
        found = {number for text in every_word() for number in encode(text)}
        self.tokens = [*sorted(found), START, END]
        self.row = {token: row for row, token in enumerate(self.tokens)}

    def __len__(self) -> int:
        return len(self.tokens)

    def rows(self, texts: Sequence[str]) -> Tensor:
        """Rows [B, 77] of the texts: start, words, end, and end again as padding."""
        padded = np.full((len(texts), POSITIONS), self.row[END])
        padded[:, 0] = self.row[START]
        for line, text in zip(padded, texts, strict=True):
            numbers = self.encode(text)
            line[1 : 1 + len(numbers)] = [self.row[number] for number in numbers]
        return torch.from_numpy(padded)


def every_word() -> Iterable[str]:
    """Each word and sign that any caption contains."""
    texts: set[str] = set()
    for layout in LAYOUTS:
        for thing in THINGS:
            pair = (thing, THINGS[0]) if layout == "pair" else (thing,)
            texts.update(subjects(Composition(layout, pair, BACKGROUNDS[0])))
    for background in BACKGROUNDS:
        texts.update(captions(Composition("large", THINGS[:1], background)))
    return sorted({word for text in texts for word in text.replace(",", " ,").split()})
