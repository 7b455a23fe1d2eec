"""From a person's words to what steers a model: tokens in chunks, encoded by one or several towers, weighted.

A `TextEncoder` is what travels on links as CLIP. It is immutable: another layer, other patches make a new
value that shares the weights.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from diffusion.text.recipe import PLAIN, Embedding, Recipe
from diffusion.text.tokens import Chunk, Find, Picture, Tell, Tokens, no_embeddings, to_the_log
from diffusion.text.tower import Tower, Weigh, emphasised
from diffusion.weights.loading import NO_PATCHES, Check, Patches, never


@dataclass(frozen=True)
class TextEncoder:
    """The text side of a model: its towers, and the recipe by which its family reads texts."""

    towers: tuple[Tower, ...]
    recipe: Recipe = PLAIN
    find: Find = no_embeddings
    patches: Mapping[str, Patches] = field(default_factory=dict)
    carried: Any = None  # changes that come and go during a run (`weight_hooks.OnText`)
    tell: Tell = field(default=to_the_log, compare=False)

    def with_last_layer(self, layer: int) -> TextEncoder:
        """Clip skip: −1 is the last layer, −2 the one before, as the exported node counts."""
        return self._with_towers(lambda tower: tower.with_layer(layer))

    def unprojected(self) -> TextEncoder:
        """With pooled vectors as they are before their projection."""
        return self._with_towers(lambda tower: tower.with_rule(projected=False))

    def padded(self, keys: Sequence[str], least: int, more: int) -> TextEncoder:
        """With texts of some towers filled up otherwise: `more` pads behind the end, then up to `least`."""

        def change(tower: Tower) -> Tower:
            if tower.key not in keys:
                return tower
            return tower.with_rule(frame=replace(tower.rule.frame, least=least, more=more))

        return self._with_towers(change)

    def carrying(self, carried: Any) -> TextEncoder:
        """With changes that come and go during a run."""
        return replace(self, carried=carried)

    def telling(self, tell: Tell) -> TextEncoder:
        """With another who is told what of a text is left out."""
        return replace(self, tell=tell)

    def with_patches(self, patches: Mapping[str, Patches]) -> TextEncoder:
        """Other weight patches, by tower key."""
        return replace(self, patches=patches)

    def tower(self, key: str) -> Tower | None:
        """The tower of a key, if there is one."""
        return next((tower for tower in self.towers if tower.key == key), None)

    def tokenize(self, text: str, template: str | None = None, pictures: Sequence[Picture] = ()) -> Tokens:
        """The text as chunks for each tower, weights, embeddings and pictures included.

        `template`, with `{}` for the text, takes the place of the towers' own.
        """
        tokens: Tokens = {}
        for tower in self.towers:
            share = self.recipe.own.get(tower.key)
            own = share(text) if share else text
            pieces = None if own is None else tower.rule.pieces(tower.rule.templated(own, template))
            tokens[tower.key] = [] if pieces is None else tower.chunks(pieces, self.find, self.tell, pictures)
        return tokens

    def tokenize_pieces(self, pieces: Sequence[tuple[str, float]]) -> Tokens:
        """Stretches of text with their weights as chunks for each tower, embeddings included.

        Where a tower has a template, the first stretch stands behind its beginning and the last before its
        end.
        """
        text = "".join(text for text, _ in pieces)
        tokens: Tokens = {}
        for tower in self.towers:
            share = self.recipe.own.get(tower.key)
            own = share(text) if share else None
            read = pieces if share is None else [] if own is None else [(own, 1.0)]
            tokens[tower.key] = [] if share and own is None else self._pieces(tower, read)
        return tokens

    def encode(
        self, tokens: Mapping[str, Sequence[Chunk]], check: Check = never, weigh: Weigh = emphasised
    ) -> Embedding:
        """The embedding of tokens: what each tower says, joined as the family wants it."""
        said = {
            tower.key: tower.encode(tokens[tower.key], self.patches.get(tower.key, NO_PATCHES), check, weigh)
            for tower in self.towers
            if tower.key in tokens and (tokens[tower.key] or tower.key not in self.recipe.silent)
        }
        return self.recipe.join(said)

    def text(self, text: str, check: Check = never) -> Embedding:
        """The embedding of a text."""
        return self.encode(self.tokenize(text), check)

    def one_behind_the_other(self, parts: Sequence[Tokens]) -> Tokens:
        """Several texts' tokens as one: their chunks in turn, or in the only one that a tower has."""
        return {tower.key: _joined(tower, [part[tower.key] for part in parts]) for tower in self.towers}

    def as_long(self, tokens: Mapping[str, Sequence[Chunk]], other: Mapping[str, Sequence[Chunk]]) -> Tokens:
        """`tokens` with empty chunks behind and pads in them, as many as `other` has."""
        return {tower.key: _as_long(tower, tokens[tower.key], other[tower.key]) for tower in self.towers}

    def _pieces(self, tower: Tower, pieces: Sequence[tuple[str, float]]) -> list[Chunk]:
        before, _, after = tower.rule.template.partition("{}")
        around = [*([(before, 1.0)] if before else []), *pieces, *([(after, 1.0)] if after else [])]
        return tower.chunks(around, self.find, self.tell)

    def _with_towers(self, change: Callable[[Tower], Tower]) -> TextEncoder:
        return replace(self, towers=tuple(change(tower) for tower in self.towers))


def _as_long(tower: Tower, chunks: Sequence[Chunk], other: Sequence[Chunk]) -> list[Chunk]:
    frame = tower.rule.frame
    missing = [frame.chunks([])[0] for _ in other[len(chunks) :]]
    longer = [*chunks, *missing]
    return [
        frame.filled(list(chunk), len(other[index]) if index < len(other) else 0)
        for index, chunk in enumerate(longer)
    ]


def _joined(tower: Tower, parts: Sequence[Sequence[Chunk]]) -> list[Chunk]:
    chunks = [chunk for part in parts for chunk in part]
    frame = tower.rule.frame
    if frame.length is not None or len(chunks) < 2:
        return chunks
    inner = [frame.within(chunk) for chunk in chunks]
    return frame.chunks([token for chunk in inner for token in ([each] for each in chunk)])
