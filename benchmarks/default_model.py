"""Does the default checkpoint draw what is asked, and how fast?

    python -m benchmarks.default_model [--seen 200] [--unseen 72] [--layouts 60] [--sheet FILE]

A fixed list of prompts, loaded and sampled as the nodes do it: 20 steps of DPM++ 2M, Karras' schedule,
guidance 5, seed 0, 1, 2, … A picture is right if no rendering of another object, background or place is
nearer to it (`training/scoring.py`). "Unseen" are pairs of object and background that training never showed;
"layouts" are small, left, right, pairs and groups. Needs the sprites (`training/README.md`).
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import torch

from diffusion.families.checkpoints import Checkpoint, load_checkpoint
from diffusion.guidance.guidance import CFGGuider
from diffusion.noise.draws import starting_noise
from diffusion.samplers import SAMPLERS
from diffusion.sampling import sample, schedule_for
from training.compositions import LAYOUTS
from training.evaluation import SHEET
from training.scoring import Judge, Request, requests, sharpness
from training.sprites import DEFAULT_FOLDER, Pixels, Sprites, contact_sheet

ROOT = Path(__file__).parent.parent
CHECKPOINT = ROOT / "models" / "checkpoints" / "nodeloom-emoji.safetensors"
OTHER_LAYOUTS = tuple(name for name in LAYOUTS if name != "large")


def draw(
    checkpoint: Checkpoint,
    text: str,
    seed: int,
    steps: int = 20,
    scale: float = 5.0,
    options: Mapping[str, Any] = MappingProxyType({}),
) -> Pixels:
    """One picture of 128×128 as the default workflow makes it; `options` go to both conditionings."""
    if checkpoint.model is None or checkpoint.text is None or checkpoint.vae is None:
        raise ValueError("This checkpoint lacks a part: model, text encoder and VAE are needed.")
    right, empty = (
        [[checkpoint.text.encode(checkpoint.text.tokenize(words)).cond, dict(options)]]
        for words in (text, "")
    )
    latent = torch.zeros(1, 4, 16, 16)
    sampler = SAMPLERS["dpmpp_2m"]
    sigmas = schedule_for(sampler, checkpoint.model.prediction, "karras", steps)
    guider = CFGGuider(checkpoint.model, right, empty, scale)
    noise = starting_noise(latent.shape, seed)
    done = sample(guider, noise, latent, sampler, sigmas, seed=seed)
    pixels: Pixels = checkpoint.vae.decode(done.latent)[0].clamp(0, 1).numpy().astype(np.float32)
    return pixels


def figures(judge: Judge, asked: Sequence[Request], pictures: Sequence[Pixels]) -> str:
    """Shares of right objects, backgrounds, places and all three."""
    verdicts = np.array([judge(r.wanted, p) for r, p in zip(asked, pictures, strict=True)])
    thing, background, place = verdicts.mean(axis=0)
    return (
        f"object {thing:6.1%}   background {background:6.1%}   place {place:6.1%}   "
        f"all three {verdicts.all(axis=1).mean():6.1%}   "
        f"sharpness {np.mean([sharpness(p) for p in pictures]):.4f}"
    )


def main() -> None:
    """Draw, judge, print, and leave a contact sheet."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--checkpoint", type=Path, default=CHECKPOINT)
    parser.add_argument("--data", type=Path, default=DEFAULT_FOLDER)
    parser.add_argument("--seen", type=int, default=200)
    parser.add_argument("--unseen", type=int, default=72)
    parser.add_argument("--layouts", type=int, default=60)
    parser.add_argument("--scale", type=float, default=5.0)
    parser.add_argument("--sheet", type=Path, default=ROOT / "docs" / "default-model.png")
    given = parser.parse_args()
    checkpoint, judge = load_checkpoint(given.checkpoint), Judge(Sprites(given.data))
    lists = {
        "seen": requests(given.seen, True),
        "unseen": requests(given.unseen, False),
        "layouts": requests(given.layouts, True, OTHER_LAYOUTS),
    }
    started, number = time.perf_counter(), 0
    drawn = {}
    for name, asked in lists.items():
        drawn[name] = [draw(checkpoint, r.text, seed, scale=given.scale) for seed, r in enumerate(asked)]
        number += len(asked)
    seconds = (time.perf_counter() - started) / max(number, 1)
    for name, asked in lists.items():
        if asked:
            print(f"{name:8} {len(asked):4} prompts   {figures(judge, asked, drawn[name])}")
    print(f"{number} pictures, 20 steps, {seconds:.2f} s each on {torch.get_num_threads()} threads")
    sheet = [draw(checkpoint, text, seed, scale=given.scale) for seed, text in enumerate(SHEET)]
    contact_sheet(sheet, 8).save(given.sheet)
    print(f"sheet: {given.sheet}")


if __name__ == "__main__":
    main()
