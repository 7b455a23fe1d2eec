"""Pictures with their edges, for the ControlNet: objects of any size in any place, new to the denoiser.

A text says what is drawn, edges say where. Some edges are outlines alone, so that the text has to fill them,
some are thickened as if drawn by hand.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.nn import functional as F

from diffusion.latents.vae import AutoencoderKL
from nodes.image.filters import canny
from training.backgrounds import BACKGROUNDS, COLOURS, SIDE, variants
from training.compositions import Composition, captions, coverage, render
from training.latents import SCALE
from training.sprites import THINGS, Sprites, Thing
from training.vae import to_tensor

SIZES = range(40, 116, 4)
OUTLINES = 0.3
"""Share of the pictures of which only the objects' outlines are shown."""
THICK = 0.3
"""Share of the hints whose lines are made thick."""


@dataclass(frozen=True)
class Placed(Composition):
    """A composition whose objects stand anywhere; `spots` are (side, left, top) in pixels."""

    spots: tuple[tuple[int, int, int], ...] = ()

    def places(self) -> list[tuple[Thing, int, int, int]]:
        """(object, side, left, top) of each, in pixels."""
        return [(thing, *spot) for thing, spot in zip(self.things, self.spots, strict=True)]


def scenes(number: int, seed: int) -> Iterator[Placed]:
    """So many pictures, each of one object or two."""
    random = np.random.default_rng([13, seed])
    for _ in range(number):
        count = 2 if random.random() < 0.25 else 1
        things = tuple(THINGS[i] for i in random.choice(len(THINGS), count, replace=False))
        pool = COLOURS if random.random() < 0.62 else BACKGROUNDS[len(COLOURS) :]
        background = pool[random.integers(len(pool))]
        spots = tuple(spot(random, part, count) for part in range(count))
        layout = "pair" if count == 2 else "large"
        yield Placed(
            layout, things, background, variant=int(random.integers(variants(background))), spots=spots
        )


def spot(random: np.random.Generator, part: int, parts: int) -> tuple[int, int, int]:
    """(side, left, top) of an object somewhere in its part of the picture's width, hardly cut off."""
    room = SIDE // parts
    side = int(random.choice([size for size in SIZES if size <= room * 9 // 8]))
    slack = side // 8
    left = int(random.integers(-slack, max(room - side + slack, 1 - slack)))
    top = int(random.integers(-slack, SIDE - side + slack))
    return side, part * room + left, top


def caption(scene: Placed, random: np.random.Generator) -> str:
    """One caption; none that tells the size."""
    choices = [text for text in captions(scene) if "large" not in text]
    return choices[0] if random.random() < 0.4 else choices[random.integers(len(choices))]


def edges(scene: Placed, sprites: Sprites, random: np.random.Generator) -> Tensor:
    """White lines on black, H×W of 0 and 1, by Canny with thresholds drawn at random."""
    low = random.uniform(0.08, 0.4)
    high = random.uniform(low, 0.8)
    if random.random() < OUTLINES:
        picture = np.repeat(coverage(scene, sprites)[..., None], 3, axis=-1)
    else:
        picture = render(scene, sprites)
    return canny(torch.from_numpy(picture)[None], low, high)[0]


def thickened(hints: Tensor, random: np.random.Generator) -> Tensor:
    """Some of the hints B×H×W with lines of three pixels instead of one."""
    chosen = torch.from_numpy(random.random(len(hints)) < THICK)
    wide = F.max_pool2d(hints[:, None], 3, stride=1, padding=1)[:, 0]
    return torch.where(chosen[:, None, None], wide, hints)


@torch.no_grad()
def encode(vae: AutoencoderKL, shown: Sequence[Placed], sprites: Sprites, seed: int) -> tuple[Tensor, Tensor]:
    """Latents [N, 4, 16, 16] of deviation 1, half precision; edges [N, 128, 128], bytes of 0 and 1."""
    random, latents, hints = np.random.default_rng([17, seed]), [], []
    for start in range(0, len(shown), 16):
        part = shown[start : start + 16]
        latents.append((vae.encode(to_tensor([render(scene, sprites) for scene in part])) * SCALE).half())
        hints.append(torch.stack([edges(scene, sprites, random) for scene in part]).byte())
    return torch.cat(latents), torch.cat(hints)


def write(path: Path, vae: AutoencoderKL, sprites: Sprites, number: int, seed: int) -> None:
    """Encode so many pictures into a file; what they show follows from their number and the seed."""
    latents, hints = encode(vae, list(scenes(number, seed)), sprites, seed)
    partial = path.with_suffix(".part")
    save_file({"latents": latents, "hints": hints}, partial, {"number": str(number), "seed": str(seed)})
    partial.replace(path)


def read(path: Path, seed: int) -> tuple[Tensor, Tensor, list[Placed]]:
    """Latents, edges and what they show, as `write` left them."""
    tensors = load_file(path)
    latents = tensors["latents"].float()
    return latents, tensors["hints"], list(scenes(len(latents), seed))
