"""Encode pictures once, for the denoiser: `python -m training.latents --vae STATE --out FILE --number N`.

Each latent channel is whitened to the standard scale of SD 1.x by folding mean and deviation into the two 1×1
convolutions around the latent, so that 0.18215 is exact for this autoencoder too.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from diffusion.latents.vae import AutoencoderKL
from training.backgrounds import BACKGROUNDS, variants
from training.compositions import LAYOUTS, SHIFTS, Composition, draw, render
from training.sprites import DEFAULT_FOLDER, THINGS, Sprites
from training.vae import SIZES, to_tensor

SCALE = 0.18215
"""What SD 1.x multiplies latents by."""


def load_autoencoder(state: Path) -> AutoencoderKL:
    """The averaged autoencoder of a training state, or of a safetensors file."""
    vae = AutoencoderKL(SIZES)
    if state.suffix == ".safetensors":
        vae.load_state_dict({name: value.float() for name, value in load_file(state).items()})
    else:
        vae.load_state_dict(torch.load(state, weights_only=True)["average"])
    return vae.eval()


@torch.no_grad()
def whiten(vae: AutoencoderKL, pictures: Tensor) -> None:
    """Give the mean latents of these pictures mean 0 and deviation 1/0.18215 in each channel, in place."""
    latents = torch.cat([vae.encode(part) for part in torch.split(pictures, 16)])
    channels = latents.shape[1]
    mean, deviation = latents.mean(dim=(0, 2, 3)), latents.std(dim=(0, 2, 3)) * SCALE
    into, out_of = vae.quant_conv, vae.post_quant_conv
    assert into.bias is not None  # both convolutions have one
    assert out_of.bias is not None
    into.weight[:channels] /= deviation[:, None, None, None]
    into.bias[:channels] = (into.bias[:channels] - mean) / deviation
    into.bias[channels:] -= 2 * deviation.log()  # the log-variances follow
    out_of.bias += torch.einsum("oi,i->o", out_of.weight[:, :, 0, 0], mean)
    out_of.weight *= deviation[None, :, None, None]


def compositions(number: int, seed: int) -> Iterator[Composition]:
    """What the denoiser is shown: every large object on every background comes round evenly."""
    random = np.random.default_rng([7, seed])
    large = [
        Composition("large", (thing,), background)
        for thing, background in product(THINGS, BACKGROUNDS)
        if not Composition("large", (thing,), background).is_held_out
    ]
    order = [large[i] for i in random.permutation(len(large))]
    others = {name: share for name, share in LAYOUTS.items() if name != "large"}
    for index in range(number):
        if random.random() < LAYOUTS["large"]:
            yield at_random_place(order[index % len(order)], random)
        else:
            yield draw(random, others)


def at_random_place(composition: Composition, random: np.random.Generator) -> Composition:
    """The same picture with another shift and variant."""
    shifts = SHIFTS[composition.layout]
    shift = shifts[random.integers(len(shifts))]
    return replace(composition, shift=shift, variant=int(random.integers(variants(composition.background))))


def to_json(composition: Composition) -> list[Any]:
    """A composition as plain JSON."""
    things = [THINGS.index(thing) for thing in composition.things]
    background = BACKGROUNDS.index(composition.background)
    return [composition.layout, things, background, composition.variant, list(composition.shift)]


def from_json(row: list[Any]) -> Composition:
    """The way back."""
    layout, things, background, variant, (dx, dy) = row
    return Composition(layout, tuple(THINGS[i] for i in things), BACKGROUNDS[background], variant, (dx, dy))


def load(paths: list[Path]) -> tuple[Tensor, list[Composition]]:
    """Latents [N, 4, 16, 16] scaled to deviation 1, and what they show."""
    latents, shown = [], []
    for path in paths:
        latents.append(load_file(path)["latents"].float())
        shown += [from_json(row) for row in json.loads(path.with_suffix(".json").read_text())]
    return torch.cat(latents), shown


@torch.no_grad()
def encode(vae: AutoencoderKL, shown: list[Composition], sprites: Sprites) -> Tensor:
    """Mean latents of the pictures, scaled to deviation 1, in half precision."""
    parts = []
    for start in range(0, len(shown), 16):
        x = to_tensor([render(composition, sprites) for composition in shown[start : start + 16]])
        parts.append((vae.encode(x) * SCALE).half())
    return torch.cat(parts)


def main() -> None:
    """Whiten once (the result is kept as `autoencoder.safetensors` beside the latents), then encode."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=DEFAULT_FOLDER)
    parser.add_argument("--vae", type=Path, required=True, help="state written by training.vae")
    parser.add_argument("--out", type=Path, required=True, help="folder for the latents")
    parser.add_argument("--number", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0, help="another seed adds other pictures")
    parser.add_argument("--threads", type=int, default=2)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    sprites, ready = Sprites(given.data), given.out / "autoencoder.safetensors"
    given.out.mkdir(parents=True, exist_ok=True)
    if not ready.exists():
        vae = load_autoencoder(given.vae)
        whiten(vae, to_tensor([render(c, sprites) for c in compositions(600, 999)]))
        save_file(vae.state_dict(), ready)
    vae = load_autoencoder(ready)
    shown = list(compositions(given.number, given.seed))
    latents = encode(vae, shown, sprites)
    path = given.out / f"latents-{given.seed}.safetensors"
    path.with_suffix(".json").write_text(json.dumps([to_json(c) for c in shown]))
    save_file({"latents": latents}, path)
    deviation = [round(float(v), 3) for v in latents.float().std(dim=(0, 2, 3))]
    print(f"{len(latents)} latents, deviation by channel {deviation}")


if __name__ == "__main__":
    main()
