"""Ways to make words count more or less: four readings of the same weights.

- `comfy`: each vector moves away from, or towards, what an empty text gives in its place.
- `a1111`: vectors are multiplied, and the mean is set back to what it was. `[word]` weakens; `(word:1.2)`
  multiplies the weight around it.
- `compel`: as `comfy`; and where a weight is below 1, blended with what is left when its words are taken out
  (Compel's `REMOVE`, https://github.com/damian0815/compel).
- `down_weight`: weights are divided by the greatest, so nothing counts more than 1; the plain text is blended
  with what is left.

`BREAK` begins a new chunk of 75 tokens in all of them.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Literal

import torch
from torch import Tensor

from diffusion.text.encoding import TextEncoder
from diffusion.text.prompt_syntax import EMPHASIS, Piece, weighted
from diffusion.text.recipe import Embedding
from diffusion.text.tokens import Tokens
from diffusion.weights.loading import Check, never

Mode = Literal["comfy", "a1111", "compel", "down_weight"]
Pieces = Sequence[Piece]
BREAK = re.compile(r"\s*\bBREAK\b\s*")
MARKS = re.compile(r"\\[()\[\]\\]|\(|\[|:\s*[-+]?(?:\d+\.?\d*|\.\d+)\s*\)|\)|\]|[^\\()\[\]:]+|.", re.DOTALL)
MOST_TAKEN_OUT = 0.99999  # a weight of 0 would be an infinite share of the text without the words


def encode(clip: TextEncoder, text: str, mode: Mode, check: Check = never) -> Embedding:
    """The embedding of a text whose weights are read in one of the ways."""
    pieces = bracketed(text) if mode == "a1111" else weighted(text)
    return WAYS[mode](clip, pieces, check)


def bracketed(text: str) -> list[Piece]:
    """Weights as A1111 writes them: `(a)` × 1.1, `[a]` ÷ 1.1, `(a:1.5)` × 1.5; open ones reach to the end."""
    frames: list[tuple[str, list[Piece]]] = [("", [])]
    for found in MARKS.finditer(text):
        mark = found[0]
        opened = frames[-1][0]
        if mark in ("(", "["):
            frames.append((mark, []))
        elif mark.startswith(":") and mark.endswith(")") and opened == "(":
            _close(frames, float(mark[1:-1]))
        elif mark == ")" and opened == "(":
            _close(frames, EMPHASIS)
        elif mark == "]" and opened == "[":
            _close(frames, 1 / EMPHASIS)
        else:
            plain = mark[1:] if mark.startswith("\\") and len(mark) == 2 else mark
            frames[-1][1].append(Piece(plain, 1.0))
    while len(frames) > 1:
        _close(frames, EMPHASIS if frames[-1][0] == "(" else 1 / EMPHASIS)
    return _merged(frames[0][1])


def _close(frames: list[tuple[str, list[Piece]]], factor: float) -> None:
    _, inner = frames.pop()
    frames[-1][1].extend(Piece(each.text, each.weight * factor) for each in inner)


def _merged(pieces: Pieces) -> list[Piece]:
    """Neighbours of one weight as one piece."""
    merged: list[Piece] = []
    for each in pieces:
        if merged and merged[-1].weight == each.weight:
            merged[-1] = Piece(merged[-1].text + each.text, each.weight)
        else:
            merged.append(each)
    return merged


def tokens_of(clip: TextEncoder, pieces: Pieces) -> Tokens:
    """The chunks of pieces, a new one after each `BREAK`."""
    sections: list[list[Piece]] = [[]]
    for text, weight in pieces:
        for number, part in enumerate(BREAK.split(text)):
            if number:
                sections.append([])
            if part:
                sections[-1].append(Piece(part, weight))
    return clip.one_behind_the_other([clip.tokenize_pieces(each) for each in sections])


def _comfy(clip: TextEncoder, pieces: Pieces, check: Check) -> Embedding:
    return clip.encode(tokens_of(clip, pieces), check)


def _a1111(clip: TextEncoder, pieces: Pieces, check: Check) -> Embedding:
    return clip.encode(tokens_of(clip, pieces), check, _multiplied)


def _multiplied(vectors: Tensor, empty: Tensor, weights: Tensor) -> Tensor:
    """Vectors times weights, each chunk scaled back to its mean; what an empty text gives plays no part."""
    scaled = vectors * weights
    within = tuple(range(1, vectors.dim()))
    before, after = vectors.mean(within, keepdim=True), scaled.mean(within, keepdim=True)
    factor = torch.where(after == 0, torch.ones_like(after), before / after)
    return scaled * factor


def _compel(clip: TextEncoder, pieces: Pieces, check: Check) -> Embedding:
    return _blended(clip, pieces, [weight for _, weight in pieces], check)


def _blended(clip: TextEncoder, pieces: Pieces, weights: Sequence[float], check: Check) -> Embedding:
    """The embedding of pieces, blended with those of what is left without each whose weight is below 1."""
    tokens = tokens_of(clip, pieces)
    whole = clip.encode(tokens, check)
    total, share = whole.cond, 1.0
    for number, weight in enumerate(weights):
        if weight < 1:
            rest = tokens_of(clip, [*pieces[:number], *pieces[number + 1 :]])
            part = math.tan(min(1 - weight, MOST_TAKEN_OUT) * math.pi / 2)
            total = total + clip.encode(clip.as_long(rest, tokens), check).cond * part
            share += part
    return whole._replace(cond=total / share)


def _down_weight(clip: TextEncoder, pieces: Pieces, check: Check) -> Embedding:
    greatest = max((weight for _, weight in pieces), default=1.0)
    if greatest <= 0:
        greatest = 1.0
    plain = [Piece(text, 1.0) for text, _ in pieces]
    return _blended(clip, plain, [weight / greatest for _, weight in pieces], check)


WAYS: Mapping[str, Callable[[TextEncoder, Pieces, Check], Embedding]] = {
    "comfy": _comfy,
    "a1111": _a1111,
    "compel": _compel,
    "down_weight": _down_weight,
}
