"""Train a LoRA that makes stickers: `python -m training.lora --checkpoint FILE --out FILE`. Some minutes.

As the node TrainLoraNode does it, on pictures in the style (`stickers.py`) with the captions of the plain
ones: no word calls the style, it comes with the file. What is learned so far is written every so many steps,
and gone on from when run again.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from diffusion.families.checkpoints import Checkpoint, load_checkpoint
from diffusion.residency.budget import Residency
from diffusion.residency.precision import Precision
from diffusion.training.lora import Course, Tensors, train
from training.compositions import Composition, caption
from training.latents import compositions
from training.sprites import DEFAULT_FOLDER, Pixels, Sprites
from training.stickers import render_sticker

EMPTY_CAPTIONS = 0.1
STYLE_SEED = 5


def encoded(checkpoint: Checkpoint, pictures: list[Pixels]) -> Tensor:
    """Latents [N, 4, 16, 16] as nodes have them."""
    if checkpoint.vae is None:
        raise ValueError("This checkpoint has no VAE; the LoRA's pictures need one.")
    parts = [pictures[start : start + 16] for start in range(0, len(pictures), 16)]
    return torch.cat([checkpoint.vae.encode(torch.from_numpy(np.stack(part))) for part in parts])


def captioned(checkpoint: Checkpoint, shown: list[Composition], seed: int) -> list[list[object]]:
    """A conditioning for each picture; some texts are empty, as guidance needs them."""
    if checkpoint.text is None:
        raise ValueError("This checkpoint has no text encoder; the LoRA's captions need one.")
    random, lines, known = np.random.default_rng([19, seed]), [], {}
    for composition in shown:
        text = "" if random.random() < EMPTY_CAPTIONS else caption(composition, random)
        if text not in known:
            known[text] = checkpoint.text.encode(checkpoint.text.tokenize(text)).cond
        lines.append([known[text], {}])
    return lines


def read(path: Path) -> tuple[Tensors, int]:
    """The tensors of an unfinished file and the steps behind them; nothing and 0 without one."""
    if not path.exists():
        return {}, 0
    with safe_open(path, "pt") as opened:
        return load_file(path), int((opened.metadata() or {}).get("nodeloom.steps", 0))


def write(path: Path, tensors: Tensors, steps: int, rank: int, dtype: torch.dtype = torch.float32) -> None:
    """Write them whole or not at all."""
    metadata = {"nodeloom.steps": str(steps), "ss_network_dim": str(rank), "modelspec.title": path.stem}
    partial = path.with_suffix(".part")
    save_file({name: value.to(dtype).contiguous() for name, value in tensors.items()}, partial, metadata)
    partial.replace(path)


def main() -> None:
    """Parse, then train."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=DEFAULT_FOLDER)
    parser.add_argument("--checkpoint", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--pictures", type=int, default=1500)
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--rank", type=int, default=16)
    parser.add_argument("--rate", type=float, default=1e-3, help="falls to a tenth over the last half")
    parser.add_argument("--part", type=int, default=50, help="steps between writings")
    parser.add_argument("--threads", type=int, default=2)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    learn(load_checkpoint(given.checkpoint, Residency(Precision("fp32"), "cpu")), given)


def learn(checkpoint: Checkpoint, given: argparse.Namespace) -> None:
    """Train to the end, going on from what is unfinished; a line and a file every so many steps."""
    if checkpoint.model is None:
        raise ValueError(f"{given.checkpoint}: there is no diffusion model in it.")
    sprites = Sprites(given.data)
    shown = list(compositions(given.pictures, STYLE_SEED))
    latents = encoded(checkpoint, [render_sticker(composition, sprites) for composition in shown])
    conditioning = captioned(checkpoint, shown, STYLE_SEED)
    unfinished = given.out.with_suffix(".training.safetensors")
    tensors, done = read(unfinished)
    started = time.time()
    while done < given.steps:
        late = max(0.0, done / given.steps - 0.5) * 2
        course = Course(
            given.part,
            given.batch,
            rate=given.rate * (1 - 0.9 * late),
            rank=given.rank,
            seed=STYLE_SEED + done,
        )
        tensors, losses = train(checkpoint.model, latents, conditioning, course, tensors)
        done += given.part
        write(unfinished, tensors, done, given.rank)
        print(f"step {done} loss {np.mean(losses):.4f} wall {time.time() - started:.0f}s", flush=True)
    write(given.out, tensors, done, given.rank, torch.float16)
    unfinished.unlink()
    print(f"{given.out}: {len(tensors)} tensors, {given.out.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
