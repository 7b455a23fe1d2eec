"""From a person's words to what steers a model: tokens in chunks, encoded by one or two towers, weighted.

A `TextEncoder` is what travels on links as CLIP. It is immutable: another layer, other patches make a new
value that shares the weights. Tokens travel as plain data, `{tower: [chunk, …]}`, a chunk being 77 pairs of a
token number (or a learned vector) and a weight.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import torch
from torch import Tensor

from diffusion.residency.budget import Resident
from diffusion.text.clip import ClipText
from diffusion.text.prompt_syntax import Mention, mentions, possible_names, probable_name, weighted
from diffusion.text.tokenizer import Vocabulary
from diffusion.weights.loading import NO_PATCHES, Check, Patches, never

Token = tuple[int | Tensor, float]
Chunk = list[Token]
Tokens = dict[str, list[Chunk]]
Vectors = Mapping[str, Tensor]  # of one embedding: tower key ("clip_l", …) or "" for any → [n, width]
Find = Callable[[str], Vectors | None]
Tell = Callable[[str], None]
"""Takes what a person should know: part of a text is left out."""

LONG_GROUP = 8  # stretches of at least so many tokens may be cut by the end of a chunk


def no_embeddings(name: str) -> Vectors | None:
    """The finder of somebody who has no embeddings."""
    return None


def to_the_log(message: str) -> None:
    """Tell the log alone."""
    logging.getLogger(__name__).warning(message)


class Embedding(NamedTuple):
    """What a text became: `cond` [1, T, C], `pooled` [1, P] or None, and what else there is."""

    cond: Tensor
    pooled: Tensor | None
    extra: dict[str, Any]


@dataclass(frozen=True)
class Tower:
    """One text model and how its family uses it.

    `layer` is the hidden state taken unless clip skip says otherwise; `normed` adds the final norm;
    `padding` fills a chunk behind the end of text (SD 1 uses ends, OpenCLIP zeros).
    """

    key: str
    resident: Resident[ClipText]
    layers: int
    width: int
    length: int = 77
    layer: int = -1
    normed: bool = True
    padding: int = 49407
    gives_pooled: bool = True
    projected: bool = True

    def with_layer(self, layer: int) -> Tower:
        """This tower stopped earlier; a layer that it does not have means its last, normed."""
        if -layer > self.layers:
            return replace(self, layer=-1, normed=True)
        return replace(self, layer=layer)


@dataclass(frozen=True)
class TextEncoder:
    """The text side of a model."""

    towers: tuple[Tower, ...]
    vocabulary: Vocabulary
    find: Find = no_embeddings
    patches: Mapping[str, Patches] = field(default_factory=dict)
    carried: Any = None  # changes that come and go during a run (`weight_hooks.OnText`)
    tell: Tell = field(default=to_the_log, compare=False)

    def with_last_layer(self, layer: int) -> TextEncoder:
        """Clip skip: −1 is the last layer, −2 the one before, as the exported node counts."""
        return replace(self, towers=tuple(tower.with_layer(layer) for tower in self.towers))

    def unprojected(self) -> TextEncoder:
        """With pooled vectors as they are before their projection."""
        return replace(self, towers=tuple(replace(tower, projected=False) for tower in self.towers))

    def carrying(self, carried: Any) -> TextEncoder:
        """With changes that come and go during a run."""
        return replace(self, carried=carried)

    def telling(self, tell: Tell) -> TextEncoder:
        """With another who is told what of a text is left out."""
        return replace(self, tell=tell)

    def with_patches(self, patches: Mapping[str, Patches]) -> TextEncoder:
        """Other weight patches, by tower key."""
        return replace(self, patches=patches)

    def tokenize(self, text: str) -> Tokens:
        """The text as chunks for each tower, weights and embeddings included."""
        return self.tokenize_pieces(weighted(text))

    def tokenize_pieces(self, pieces: Sequence[tuple[str, float]]) -> Tokens:
        """Stretches of text with their weights as chunks for each tower, embeddings included."""
        return {tower.key: self._chunks(tower, pieces) for tower in self.towers}

    def encode(self, tokens: Mapping[str, Sequence[Chunk]], check: Check = never) -> Embedding:
        """The embedding of tokens. Two towers' vectors are laid side by side, as far as both reach."""
        encoded = [self._tower(tower, tokens[tower.key], check) for tower in self.towers]
        length = min(cond.shape[1] for cond, _ in encoded)
        cond = torch.cat([cond[:, :length] for cond, _ in encoded], dim=-1)
        givers = [
            pooled for tower, (_, pooled) in zip(self.towers, encoded, strict=True) if tower.gives_pooled
        ]
        return Embedding(cond, givers[0] if givers else None, {})

    def text(self, text: str, check: Check = never) -> Embedding:
        """The embedding of a text."""
        return self.encode(self.tokenize(text), check)

    def _chunks(self, tower: Tower, pieces: Sequence[tuple[str, float]]) -> list[Chunk]:
        stretches: list[list[Token]] = []
        for text, weight in pieces:
            for part in mentions(text):
                if isinstance(part, Mention):
                    vectors, rest = self._vectors(tower, part)
                    stretches += [[(vector, weight) for vector in vectors]] if vectors is not None else []
                else:
                    rest = part
                if rest:
                    stretches.append([(number, weight) for number in self.vocabulary.encode(rest)])
        return chunked(stretches, tower.length, self.vocabulary.start, self.vocabulary.end, tower.padding)

    def _vectors(self, tower: Tower, mention: Mention) -> tuple[Tensor | None, str]:
        """An embedding's vectors and the text left over; what stands behind a name need not belong to it."""
        for name in possible_names(mention.name):
            found = self.find(name)
            if found is not None:
                tail = f"{mention.name[len(name) :]} {mention.rest}".strip()
                return _fitting(found, tower, name, self.tell), tail
        name = probable_name(mention.name)
        self.tell(f"There is no embedding '{name}', so the text goes without it; see models/embeddings.")
        return None, f"{mention.name[len(name) :]} {mention.rest}".strip()

    def _tower(self, tower: Tower, chunks: Sequence[Chunk], check: Check) -> tuple[Tensor, Tensor]:
        """All chunks of one tower in one batch: cond [1, 77·n, width] and the first chunk's pooled vector."""
        weights = torch.tensor([[weight for _, weight in chunk] for chunk in chunks])
        rows = [*chunks]
        if bool((weights != 1).any()):
            rows.append(
                chunked([], tower.length, self.vocabulary.start, self.vocabulary.end, tower.padding)[0]
            )
        patches = self.patches.get(tower.key, NO_PATCHES)
        with tower.resident.use(patches, check) as module, torch.no_grad():
            hidden, pooled = _run(module, rows, tower)
        hidden, pooled = hidden.float().cpu(), pooled.float().cpu()
        cond = hidden[: len(chunks)]
        if len(rows) > len(chunks):
            cond = emphasised(cond, hidden[-1], weights[:, :, None])
        return cond.flatten(0, 1)[None], pooled[:1]


def chunked(
    stretches: Sequence[Sequence[Token]], length: int, start: int, end: int, padding: int
) -> list[Chunk]:
    """Stretches of tokens laid into chunks of `length`, each with its start, end and padding.

    A short stretch that no longer fits begins the next chunk; a long one is cut.
    """
    chunks: list[Chunk] = [[(start, 1.0)]]
    for stretch in stretches:
        rest, cut = list(stretch), len(stretch) >= LONG_GROUP
        while rest:
            room = length - 1 - len(chunks[-1])
            if len(rest) <= room or cut:
                chunks[-1] += rest[:room]
                rest = rest[room:]
            if rest:
                chunks.append([(start, 1.0)])
    return [_closed(chunk, length, end, padding) for chunk in chunks]


def emphasised(cond: Tensor, empty: Tensor, weights: Tensor) -> Tensor:
    """Each vector moved away from, or towards, what an empty text gives at its position, by its weight."""
    return torch.where(weights == 1, cond, (cond - empty) * weights + empty)


def _closed(chunk: Chunk, length: int, end: int, padding: int) -> Chunk:
    return [*chunk, (end, 1.0), *[(padding, 1.0)] * (length - 1 - len(chunk))]


def _run(module: ClipText, rows: Sequence[Chunk], tower: Tower) -> tuple[Tensor, Tensor]:
    """The tower over a batch of chunks; learned vectors take the places of their tokens."""
    table = module.text_model.embeddings.token_embedding
    numbers = torch.tensor([[token if isinstance(token, int) else 0 for token, _ in row] for row in rows])
    numbers = numbers.to(table.weight.device)
    vectors = table(numbers)
    for index, row in enumerate(rows):
        for place, (token, _) in enumerate(row):
            if isinstance(token, Tensor):
                vectors[index, place] = token.to(vectors)
    how = {"layer": tower.layer, "normed": tower.normed, "projected": tower.projected}
    hidden, pooled = module(numbers, vectors=vectors, **how)
    return hidden, pooled


def _fitting(found: Vectors, tower: Tower, name: str, tell: Tell) -> Tensor | None:
    """The vectors meant for a tower, if their width is the tower's."""
    vectors = found.get(f"clip_{tower.key}", found.get(""))
    if vectors is None or vectors.shape[-1] != tower.width:
        width = "none" if vectors is None else str(vectors.shape[-1])
        tell(
            f"Embedding '{name}' has vectors of width {width}; text encoder '{tower.key}' takes "
            f"{tower.width}, so it is left out there. Take one made for this family of models."
        )
        return None
    return vectors.reshape(-1, tower.width)
