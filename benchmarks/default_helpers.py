"""Do the default checkpoint's ControlNet and LoRA do what they should?

    python -m benchmarks.default_helpers [--number 60] [--controlnet FILE] [--lora FILE] [--sheet FILE]

**Edges**: pictures of objects in places and sizes that the checkpoint never saw are rendered, their edges
taken by Canny, and drawn again from text and edges: 20 steps of DPM++ 2M, Karras' schedule, guidance 2.5.
Right is what no rendering of another object, background or place is nearer to. Then without the network.

**Stickers**: large objects drawn with the LoRA. A picture is a sticker if its sticker is nearer to it than
its plain rendering. Object and background are judged among stickers.

Needs the sprites (`training/README.md`).
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.default_model import CHECKPOINT, ROOT, draw
from diffusion.control.chain import ControlNetwork
from diffusion.control.control_files import load_controlnet
from diffusion.families.checkpoints import Checkpoint, load_checkpoint
from diffusion.patches.weights import adapters
from nodes.image.filters import canny
from training.backgrounds import BACKGROUNDS
from training.compositions import Composition, captions, render
from training.edges import Placed, scenes
from training.scoring import nearest, requests, small
from training.sprites import DEFAULT_FOLDER, THINGS, Pixels, Sprites, contact_sheet
from training.stickers import render_sticker

MODELS = ROOT / "models"
THRESHOLDS = 0.1, 0.3
SCALE = 2.5
"""Guidance with edges: they say much already."""
UNSEEN = 99
"""Seed of the scenes that training did not see."""

Draw = Callable[[Any, Sprites], Pixels]


def main() -> None:
    """Draw, judge, print, and leave a contact sheet."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=DEFAULT_FOLDER)
    parser.add_argument("--number", type=int, default=60)
    parser.add_argument(
        "--controlnet", type=Path, default=MODELS / "controlnet/nodeloom-emoji-edges.safetensors"
    )
    parser.add_argument("--lora", type=Path, default=MODELS / "loras/nodeloom-emoji-stickers.safetensors")
    parser.add_argument("--sheet", type=Path, default=ROOT / "docs" / "default-helpers.png")
    given = parser.parse_args()
    checkpoint, sprites = load_checkpoint(CHECKPOINT), Sprites(given.data)
    rows: list[Pixels] = []
    if given.controlnet.exists():
        rows += edges(checkpoint, load_controlnet(given.controlnet), sprites, given.number)
    if given.lora.exists():
        rows += stickers(checkpoint, given.lora, sprites, given.number)
    contact_sheet(rows, 8).save(given.sheet)
    print(f"sheet: {given.sheet}")


def edges(checkpoint: Checkpoint, network: ControlNetwork, sprites: Sprites, number: int) -> list[Pixels]:
    """Print the figures; rows for the sheet: edges, what was drawn from them, what was drawn without."""
    shown = list(scenes(number, UNSEEN))
    hints = [canny(torch.from_numpy(render(scene, sprites))[None], *THRESHOLDS)[0] for scene in shown]
    images = [hint[None, :, :, None].expand(-1, -1, -1, 3) for hint in hints]
    texts = [next(captions(scene)) for scene in shown]
    applied = [{"control": network.applied(image, 1.0, 0.0, 1.0)} for image in images]
    guided = [draw(checkpoint, text, i, scale=SCALE, options=applied[i]) for i, text in enumerate(texts)]
    free = [draw(checkpoint, text, i) for i, text in enumerate(texts)]
    for name, pictures in (("with edges", guided), ("without", free)):
        print(f"{name:12} {number} scenes   {figures(render, shown, pictures, sprites)}")
    return [*[image[0].numpy() for image in images[:8]], *guided[:8], *free[:8]]


def stickers(checkpoint: Checkpoint, lora: Path, sprites: Sprites, number: int) -> list[Pixels]:
    """Print the figures; rows for the sheet: without and with the LoRA."""
    asked = requests(number, seen=True)
    model, _ = adapters.apply(lora, checkpoint.model, None, 1.0, 0.0)
    shown, plain = [r.wanted for r in asked], [draw(checkpoint, r.text, i) for i, r in enumerate(asked)]
    styled = [draw(checkpoint._replace(model=model), r.text, i) for i, r in enumerate(asked)]
    for name, pictures in (("with LoRA", styled), ("without", plain)):
        are = np.mean([is_sticker(c, p, sprites) for c, p in zip(shown, pictures, strict=True)])
        print(f"{name:12} {number} prompts   sticker {are:6.1%}")
    print(f"{'of stickers':12} {number} prompts   {figures(render_sticker, shown, styled, sprites)}")
    return [*plain[:8], *styled[:8]]


def is_sticker(composition: Composition, picture: Pixels, sprites: Sprites) -> bool:
    """Whether the sticker of what was asked is nearer to a picture than the plain rendering."""
    candidates = [small(each(composition, sprites))[None] for each in (render, render_sticker)]
    return nearest(candidates, small(picture)) == 1


def figures(draws: Draw, shown: Sequence[Composition], pictures: Sequence[Pixels], sprites: Sprites) -> str:
    """Shares of right objects, backgrounds and, where they stand anywhere, places."""
    judged: dict[str, list[bool]] = {}
    for composition, picture in zip(shown, pictures, strict=True):
        for name, others in alternatives(composition).items():
            candidates = [small(draws(each, sprites))[None] for each in others]
            right = nearest(candidates, small(picture)) == others.index(composition)
            judged.setdefault(name, []).append(right)
    return "   ".join(f"{name} {np.mean(right):6.1%}" for name, right in judged.items())


def alternatives(composition: Composition) -> dict[str, list[Composition]]:
    """What could have been drawn instead: another first object, another background, other places."""
    _, *rest = composition.things
    things = [t for t in THINGS if t not in rest]
    backgrounds = [each for each in BACKGROUNDS if each != composition.background]
    found: dict[str, list[Composition]] = {
        "object": [replace(composition, things=(thing, *rest)) for thing in things],
        "background": [composition, *(replace(composition, background=b, variant=0) for b in backgrounds)],
    }
    if isinstance(composition, Placed):
        elsewhere = [s.spots for s in scenes(60, UNSEEN + 1) if len(s.spots) == len(composition.spots)]
        found["place"] = [composition, *(replace(composition, spots=spots) for spots in elsewhere)]
    return found


if __name__ == "__main__":
    main()
