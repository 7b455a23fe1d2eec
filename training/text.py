"""Pretrain the text tower to tell captions apart: `python -m training.text --out FILE`. Two minutes.

Linear heads on the padding behind a caption name its objects, layout and background. Without this the
denoiser takes very long to notice that the text matters: it does so only where noise hides the picture.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional as F

from diffusion.text.clip import ClipText, TextSizes
from training.backgrounds import BACKGROUNDS
from training.compositions import LAYOUTS, Composition, draw, subjects
from training.compositions import caption as caption_of
from training.optimizer import Optimizer, rate_at, split
from training.sprites import THINGS
from training.words import Words, clip_encode

WIDTH, LAYERS, HEADS = 96, 2, 3
PRETRAINED_POSITIONS = 26
"""Captions are shorter; later positions start as copies of the last of these."""


def sizes(vocabulary: int) -> TextSizes:
    """The tower's measures with so many tokens."""
    return TextSizes(width=WIDTH, layers=LAYERS, heads=HEADS, inner=WIDTH * 4, vocabulary=vocabulary)


def build(vocabulary: int, seed: int = 0) -> ClipText:
    """An untrained tower with small tables."""
    torch.manual_seed(seed)
    tower = ClipText(sizes(vocabulary))
    nn.init.normal_(tower.text_model.embeddings.token_embedding.weight, std=0.3)
    nn.init.normal_(tower.text_model.embeddings.position_embedding.weight, std=0.05)
    return tower


class Heads(nn.Module):
    """What a caption says: first and second object, layout, background (or none of it)."""

    def __init__(self) -> None:
        super().__init__()
        counts = (len(THINGS), len(THINGS) + 1, len(LAYOUTS), len(BACKGROUNDS) + 1)
        self.heads = nn.ModuleList(nn.Linear(WIDTH, count) for count in counts)

    def forward(self, hidden: Tensor) -> list[Tensor]:
        return [head(hidden) for head in self.heads]


def answers(composition: Composition, text: str) -> list[int]:
    """The right class for each head."""
    things = [THINGS.index(thing) for thing in composition.things]
    second = things[1] if len(things) > 1 else len(THINGS)
    unnamed = text in set(subjects(composition))
    background = len(BACKGROUNDS) if unnamed else BACKGROUNDS.index(composition.background)
    return [things[0], second, list(LAYOUTS).index(composition.layout), background]


def pretrain(tower: ClipText, words: Words, steps: int, batch: int = 64, seed: int = 5) -> float:
    """Train in place; returns the share of right answers over the last steps."""
    heads = Heads()
    matrices, others = split(tower, ("embedding",))
    optimizer = Optimizer(matrices, [*others, *heads.parameters()], 0.02, 3e-3)
    right: list[float] = []
    even = dict.fromkeys(LAYOUTS, 1.0)
    for step in range(steps):
        random = np.random.default_rng([seed, step])
        shown = [draw(random, even) for _ in range(batch)]
        texts = [caption_of(composition, random) for composition in shown]
        rows = words.rows(texts)[:, :PRETRAINED_POSITIONS]
        truth = torch.tensor([answers(c, text) for c, text in zip(shown, texts, strict=True)])
        guesses = heads(tower(rows).hidden[:, -4:].mean(dim=1))
        loss = sum((F.cross_entropy(g, truth[:, i]) for i, g in enumerate(guesses)), torch.zeros(()))
        loss.backward()  # type: ignore[no-untyped-call]  # torch's own
        optimizer.step(rate_at(step, steps, 20, 0.5))
        right.append(
            float(np.mean([(g.argmax(1) == truth[:, i]).float().mean() for i, g in enumerate(guesses)]))
        )
    positions = tower.text_model.embeddings.position_embedding.weight
    with torch.no_grad():
        positions[PRETRAINED_POSITIONS:] = positions[PRETRAINED_POSITIONS - 1]
    return float(np.mean(right[-20:]))


def main() -> None:
    """Pretrain and write the tower."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=500)
    given = parser.parse_args()
    words, started = Words(clip_encode()), time.time()
    tower = build(len(words))
    right = pretrain(tower, words, given.steps)
    print(f"{len(words)} tokens, {right:.1%} right on training captions, {time.time() - started:.0f} s")
    save_file(tower.state_dict(), given.out)


if __name__ == "__main__":
    main()
