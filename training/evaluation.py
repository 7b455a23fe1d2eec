"""Draw and score a training state: `python -m training.evaluation --painter STATE --autoencoder FILE`."""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from diffusion.latents.vae import AutoencoderKL
from diffusion.noise.prediction import stable_diffusion
from diffusion.noise.schedules import karras
from diffusion.samplers.dpmpp import dpmpp_2m
from training.compositions import render
from training.decoder import load_painter
from training.denoiser import Painter
from training.latents import SCALE, load_autoencoder
from training.scoring import Judge, Request, requests, sharpness
from training.sprites import DEFAULT_FOLDER, Pixels, Sprites, contact_sheet
from training.vae import to_pixels
from training.words import Words, clip_encode

SHEET = (
    "a fox on a blue background",
    "a cat in the snow",
    "an apple on a white background",
    "a rocket in space",
    "a panda on a pink background",
    "a house in a meadow",
    "a hamburger on a teal background",
    "a snowman at sunset",
    "a small frog on a purple background",
    "a robot on the left on a yellow background",
    "a dog and a cat on a green background",
    "two penguins in the snow",
    "three strawberries on a white background",
    "an octopus under the sea",
    "a star at night",
    "a cactus in the desert",
)


@torch.no_grad()
def paint(
    painter: Painter,
    vae: AutoencoderKL,
    rows: Tensor,
    empty: Tensor,
    seeds: Sequence[int],
    steps: int = 20,
    scale: float = 5.0,
) -> list[Pixels]:
    """Pictures of 128×128 for caption rows [B, 77]: DPM++ 2M, Karras' schedule, guided by the empty text."""
    prediction = stable_diffusion()
    context = painter.text(torch.cat([rows, empty.expand_as(rows)])).hidden
    noise = torch.stack([torch.randn(4, 16, 16, generator=torch.Generator().manual_seed(s)) for s in seeds])

    def denoise(x: Tensor, sigma: Tensor) -> Tensor:
        twice = torch.cat([x, x])
        timestep = prediction.clock.timestep(sigma).expand(len(twice))
        output = painter.unet(prediction.scaled(twice, sigma), timestep, context)
        right, none = prediction.denoised(output, twice, sigma).chunk(2)
        return none + (right - none) * scale

    sigmas = karras(steps, prediction.sigma_min, prediction.sigma_max)
    x = noise * (1 + sigmas[0] ** 2).sqrt()
    for step in dpmpp_2m(denoise, x, sigmas):
        x = step.x
    return [pixels for z in torch.split(x, 8) for pixels in to_pixels(vae.decode(z / SCALE))]


def score(judge: Judge, asked: Sequence[Request], pictures: Sequence[Pixels]) -> str:
    """Shares of right objects, backgrounds and places, and sharpness against the renderings."""
    verdicts = np.array(
        [judge(request.wanted, picture) for request, picture in zip(asked, pictures, strict=True)]
    )
    real = np.mean([sharpness(render(request.wanted, judge.sprites)) for request in asked])
    drawn = np.mean([sharpness(picture) for picture in pictures])
    thing, background, place = verdicts.mean(axis=0)
    return f"objects {thing:.0%} backgrounds {background:.0%} places {place:.0%} sharpness {drawn / real:.2f}"


def draw_all(
    painter: Painter, vae: AutoencoderKL, words: Words, texts: Sequence[str], **how: float
) -> list[Pixels]:
    """A picture for each text, sixteen at a time; the seed is the text's place in the list."""
    pictures: list[Pixels] = []
    for start in range(0, len(texts), 16):
        part = list(texts[start : start + 16])
        seeds = range(start, start + len(part))
        pictures += paint(painter, vae, words.rows(part), words.rows([""]), seeds, **how)  # type: ignore[arg-type]  # steps, scale
    return pictures


def main() -> None:
    """Score seen and held-out requests, and draw the sheet."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=DEFAULT_FOLDER)
    parser.add_argument("--painter", type=Path, required=True, help="state of training.denoiser")
    parser.add_argument("--autoencoder", type=Path, required=True)
    parser.add_argument(
        "--number", type=int, default=32, help="requests of each kind; 0 draws the sheet only"
    )
    parser.add_argument("--scale", type=float, default=5.0)
    parser.add_argument("--sheet", type=Path)
    parser.add_argument("--threads", type=int, default=1)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    words = Words(clip_encode())
    painter, vae = load_painter(given.painter, words), load_autoencoder(given.autoencoder)
    judge, started = Judge(Sprites(given.data)), time.time()
    for seen in (True, False) if given.number else ():
        asked = requests(given.number, seen)
        pictures = draw_all(painter, vae, words, [r.text for r in asked], scale=given.scale)
        print("seen" if seen else "held out", len(asked), score(judge, asked, pictures), flush=True)
    if given.sheet:
        contact_sheet(draw_all(painter, vae, words, SHEET, scale=given.scale), 8).save(given.sheet)
    print(f"{time.time() - started:.0f} s")


if __name__ == "__main__":
    main()
