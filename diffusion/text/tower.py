"""One text tower of a text encoder: a network, its tokenizer, and the rule by which a family uses them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor

from diffusion.residency.budget import Resident
from diffusion.text.prompt_syntax import (
    Mention,
    Piece,
    mentions,
    possible_names,
    probable_name,
    unescaped,
    weighted,
)
from diffusion.text.tokens import Chunk, Find, Frame, Picture, Tell, Token, Tokenizer, Vectors
from diffusion.weights.loading import NO_PATCHES, Check, Patches, never

ALL_LAYERS = 0


class Seen(NamedTuple):
    """Where the features of a picture stand in a row of tokens, and how they lie in the picture."""

    row: int
    start: int
    rows: int
    columns: int


class Reading(NamedTuple):
    """What a network reads: `vectors` [B, T, width] and `numbers` [B, T] (−1: none) of tokens, a `mask`."""

    vectors: Tensor
    numbers: Tensor
    mask: Tensor | None = None
    seen: tuple[Seen, ...] = ()


class States(NamedTuple):
    """What a network computed: `hidden` [B, T, width] (of all layers [B, layers, T, width]), `pooled`."""

    hidden: Tensor
    pooled: Tensor | None = None


class TextNetwork(Protocol):
    """What a tower needs of its network."""

    def embed(self, numbers: Tensor) -> Tensor:
        """The vectors [B, T, width] of tokens [B, T]."""

    def see(self, pixels: Tensor) -> tuple[Tensor, int, int]:
        """The features [n, width] of a picture 1×H×W×C, and the rows and columns they lie in."""

    def encode(self, reading: Reading, layer: int, normed: bool, projected: bool) -> States:
        """The states of a layer: −1 is the last, −2 the one before; `ALL_LAYERS`: all, the vectors first."""


@dataclass(frozen=True)
class Rule:
    """How a family uses a tower.

    `frame` stands around each text, which is put into `template` first unless it begins with one of
    `own_templates`. Of the network's layers `layer` is taken, through the final norm if `normed`; clip skip
    takes another. `masked` hides what stands behind the end from attention, `silenced` makes the vectors
    there zero. `weighted`: `(word:1.2)` means something; its weight counts from an empty text, without its
    end if `bare_empty`; `by_layer` gives the weight of token j to all tokens of layer j. `cut` says which
    vectors are kept; `picture` is the token whose place a picture takes.
    """

    frame: Frame
    layer: int = -1
    normed: bool = True
    projected: bool = True
    masked: bool = False
    silenced: bool = False
    weighted: bool = True
    bare_empty: bool = False
    by_layer: bool = False
    template: str = "{}"
    own_templates: tuple[str, ...] = ()
    cut: Callable[[Sequence[Token]], slice] | None = None
    picture: int | None = None

    def templated(self, text: str, template: str | None = None) -> str:
        """The text in the rule's template, or in another."""
        if self.own_templates and text.startswith(self.own_templates):
            return text
        return (self.template if template is None else template).replace("{}", text, 1)

    def pieces(self, text: str) -> list[Piece]:
        """The stretches of a text with their weights."""
        return weighted(text) if self.weighted else [Piece(unescaped(text), 1.0)]


class Encoded(NamedTuple):
    """What a text became: `cond` [1, T, width] (or [1, layers, T, width]), `pooled` [1, P], `mask` [1, T]."""

    cond: Tensor
    pooled: Tensor | None
    mask: Tensor | None


Weigh = Callable[[Tensor, Tensor, Tensor], Tensor]
"""(vectors [chunks, …, width], those of an empty text, weights that broadcast) → the weighted vectors."""


def emphasised(cond: Tensor, empty: Tensor, weights: Tensor) -> Tensor:
    """Each vector moved away from, or towards, what an empty text gives at its position, by its weight."""
    return torch.where(weights == 1, cond, (cond - empty) * weights + empty)


@dataclass(frozen=True)
class Tower:
    """One text network and how its family uses it; `layers` and `width` are its measures."""

    key: str
    resident: Resident[Any]  # of a TextNetwork
    layers: int
    width: int
    tokenizer: Tokenizer
    rule: Rule

    def with_rule(self, **changes: Any) -> Tower:
        """This tower used otherwise; `changes` are fields of its rule."""
        return replace(self, rule=replace(self.rule, **changes))

    def with_layer(self, layer: int) -> Tower:
        """This tower stopped earlier; a layer that it does not have means its last, normed."""
        if self.rule.layer == ALL_LAYERS:
            return self
        if -layer > self.layers:
            return self.with_rule(layer=-1, normed=True)
        return self.with_rule(layer=layer)

    def chunks(
        self, pieces: Sequence[tuple[str, float]], find: Find, tell: Tell, pictures: Sequence[Picture] = ()
    ) -> list[Chunk]:
        """Stretches of text with their weights as chunks, embeddings and pictures included."""
        stretches: list[list[Token]] = []
        for text, weight in pieces:
            for part in mentions(text):
                if isinstance(part, Mention):
                    vectors, rest = self._vectors(part, find, tell)
                    stretches += [[(vector, weight) for vector in vectors]] if vectors is not None else []
                else:
                    rest = part
                if rest:
                    stretches.append([(number, weight) for number in self.tokenizer.encode(rest)])
        return self.rule.frame.chunks(self._shown(stretches, pictures))

    def _shown(self, stretches: list[list[Token]], pictures: Sequence[Picture]) -> list[list[Token]]:
        """Stretches in which pictures take the places that are kept for them, in order."""
        if not pictures or self.rule.picture is None:
            return stretches
        coming = iter(pictures)

        def shown(token: Token) -> Token:
            number, weight = token
            kept = isinstance(number, int) and number == self.rule.picture
            return (next(coming, number), weight) if kept else token

        return [[shown(token) for token in stretch] for stretch in stretches]

    def encode(
        self,
        chunks: Sequence[Chunk],
        patches: Patches = NO_PATCHES,
        check: Check = never,
        weigh: Weigh = emphasised,
    ) -> Encoded:
        """All chunks in one batch, laid one behind the other; the pooled vector is the first chunk's.

        Without any chunk it is what the tower says to no text at all.
        """
        rule = self.rule
        length = max((len(chunk) for chunk in chunks), default=0)
        rows = [rule.frame.filled(list(chunk), length) for chunk in chunks]
        weights = torch.tensor([[weight for _, weight in row] for row in rows])
        if not rows or bool((weights != 1).any()):
            rows.append(rule.frame.empty(length, not rule.bare_empty))
        with self.resident.use(patches, check) as module, torch.no_grad():
            reading, counts = _read(module, rows, rule)
            hidden, pooled = module.encode(reading, rule.layer, rule.normed, rule.projected)
            mask = reading.mask
        hidden, pooled = hidden.float().cpu(), None if pooled is None else pooled.float().cpu()
        if mask is not None and rule.silenced:
            hidden = hidden * mask.cpu()[..., None]
        kept = max(len(chunks), 1)
        cond = hidden[:kept]
        if len(rows) > kept:
            cond = weigh(cond, hidden[-1], self._spread(weights, counts[:kept], cond))
        part = rule.cut(chunks[0]) if rule.cut and chunks else slice(None)
        return Encoded(
            _joined(cond)[..., part, :],
            None if pooled is None else pooled[:1],
            None if mask is None else mask[:kept].flatten()[None, part].cpu(),
        )

    def _spread(self, weights: Tensor, counts: Sequence[Sequence[int]], cond: Tensor) -> Tensor:
        """Weights [chunks, T] of tokens as those of the vectors that they became."""
        if self.rule.by_layer:
            spread = weights.new_ones(len(weights), cond.shape[1])
            known = min(spread.shape[1], weights.shape[1])
            spread[:, :known] = weights[:, :known]
            return spread[:, :, None, None]
        spread = weights.new_ones(len(weights), cond.shape[-2])
        for row, (own, times) in enumerate(zip(weights, counts, strict=True)):
            repeated = own.repeat_interleave(torch.tensor(times))
            spread[row, : len(repeated)] = repeated
        return spread[:, :, None] if cond.dim() == 3 else spread[:, None, :, None]

    def _vectors(self, mention: Mention, find: Find, tell: Tell) -> tuple[Tensor | None, str]:
        """An embedding's vectors and the text left over; what stands behind a name need not belong to it."""
        for name in possible_names(mention.name):
            found = find(name)
            if found is not None:
                tail = f"{mention.name[len(name) :]} {mention.rest}".strip()
                return self._fitting(found, name, tell), tail
        name = probable_name(mention.name)
        tell(f"There is no embedding '{name}', so the text goes without it; see models/embeddings.")
        return None, f"{mention.name[len(name) :]} {mention.rest}".strip()

    def _fitting(self, found: Vectors, name: str, tell: Tell) -> Tensor | None:
        """The vectors meant for this tower, if their width is the tower's."""
        named = (found.get(key) for key in (f"clip_{self.key}", self.key, ""))
        vectors = next((each for each in named if each is not None), None)
        if vectors is None or vectors.shape[-1] != self.width:
            width = "none" if vectors is None else str(vectors.shape[-1])
            tell(
                f"Embedding '{name}' has vectors of width {width}; text encoder '{self.key}' takes "
                f"{self.width}, so it is left out there. Take one made for this family of models."
            )
            return None
        return vectors.reshape(-1, self.width)


def _joined(cond: Tensor) -> Tensor:
    """Chunks [n, …, T, C] as one text [1, …, n·T, C]."""
    return cond.flatten(0, 1)[None] if cond.dim() == 3 else torch.cat(list(cond), dim=-2)[None]


def _read(module: TextNetwork, rows: Sequence[Chunk], rule: Rule) -> tuple[Reading, list[list[int]]]:
    """What rows of tokens are to a network, and how many vectors each token became."""
    numbers = torch.tensor([[token if isinstance(token, int) else -1 for token, _ in row] for row in rows])
    vectors = module.embed(numbers.clamp(min=0))
    mask = _mask(numbers, rule.frame) if rule.masked else None
    for index, row in enumerate(rows):
        for place, (token, _) in enumerate(row):
            if isinstance(token, Tensor):
                vectors[index, place] = token.to(vectors)
    counts = [[1] * len(row) for row in rows]
    if any(isinstance(token, Picture) for row in rows for token, _ in row):
        return _with_pictures(module, rows, Reading(vectors, numbers, mask), counts)
    return Reading(vectors, numbers.to(vectors.device), _moved(mask, vectors)), counts


def _moved(mask: Tensor | None, like: Tensor) -> Tensor | None:
    return None if mask is None else mask.to(like.device)


def _with_pictures(
    module: TextNetwork, rows: Sequence[Chunk], plain: Reading, counts: list[list[int]]
) -> tuple[Reading, list[list[int]]]:
    """A reading with features in the place of pictures; shorter rows are filled with hidden tokens."""
    seen: list[Seen] = []
    longer: list[tuple[Tensor, Tensor, Tensor]] = []
    mask = torch.ones_like(plain.numbers) if plain.mask is None else plain.mask
    for index, row in enumerate(rows):
        vectors, numbers, shown = list[Tensor](), list[Tensor](), list[Tensor]()
        for place, (token, _) in enumerate(row):
            features = plain.vectors[index, place : place + 1]
            if isinstance(token, Picture):
                features, height, width = module.see(token.pixels)
                seen.append(Seen(index, sum(len(each) for each in vectors), height, width))
                counts[index][place] = len(features)
            vectors.append(features.to(plain.vectors))
            numbers.append(plain.numbers[index, place].expand(len(features)))
            shown.append(mask[index, place].expand(len(features)))
        longer.append((torch.cat(vectors), torch.cat(numbers), torch.cat(shown)))
    most = max(len(vectors) for vectors, _, _ in longer)
    stacked = [
        torch.stack([torch.cat([each, each.new_zeros(most - len(each), *each.shape[1:])]) for each in parts])
        for parts in zip(*longer, strict=True)
    ]
    device = stacked[0].device
    hidden = plain.mask is not None or len({len(each) for each, _, _ in longer}) > 1
    shown_all = stacked[2].to(device) if hidden else None
    return Reading(stacked[0], stacked[1].to(device), shown_all, tuple(seen)), counts


def _mask(numbers: Tensor, frame: Frame) -> Tensor:
    """1 for the tokens [B, T] that are read: through the first end, or before the first pad where none ends.

    The first token is always read: attention to nothing at all has no value.
    """
    mask = torch.zeros_like(numbers)
    for shown, row in zip(mask, numbers.tolist(), strict=True):
        if frame.end is not None and frame.end in row:
            count = row.index(frame.end) + 1
        else:
            count = row.index(frame.pad) if frame.pad in row else len(row)
        shown[: max(count, 1)] = 1
    return mask
