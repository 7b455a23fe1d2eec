"""Join the parts into one checkpoint: `python -m training.export --painter STATE --autoencoder A --out FILE`.

Keys are those of SD 1.x checkpoints; what shapes do not reveal stands in the metadata. Half precision.
With `--latents FOLDER` the metadata also tell how latents look, for previews while sampling.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.nn import functional as F

from training.compositions import render
from training.denoiser import UNET_SIZES, Painter
from training.latents import load, load_autoencoder
from training.sprites import DEFAULT_FOLDER, Pixels, Sprites
from training.text import HEADS
from training.vae import SIZES, to_tensor
from training.words import Words, clip_encode

UNET, TEXT, VAE = "model.diffusion_model.", "cond_stage_model.transformer.", "first_stage_model."
TABLE = "text_model.embeddings.token_embedding.weight"
VOCABULARY = 49408
FITTED = 400
"""How many pictures the colours of previews are fitted on."""

METADATA = {
    "nodeloom.unet.norm_groups": str(UNET_SIZES.norm_groups),
    "nodeloom.unet.heads": str(UNET_SIZES.heads),
    "nodeloom.vae.norm_groups": str(SIZES.norm_groups),
    "nodeloom.text.heads": str(HEADS),
    "nodeloom.text.activation": "quick_gelu",
    "nodeloom.prediction": "eps",
    "modelspec.title": "nodeloom-emoji",
    "modelspec.license": "Apache-2.0; trained on Fluent Emoji, MIT, Copyright (c) Microsoft Corporation",
    "modelspec.resolution": "128x128",
}


def assemble(
    painter: Mapping[str, Tensor], autoencoder: Mapping[str, Tensor], words: Words
) -> dict[str, Tensor]:
    """The checkpoint's tensors. Tokens that no caption contains get rows of zeros: such words add little."""
    tensors = {VAE + name: value for name, value in autoencoder.items()}
    for name, value in painter.items():
        part, _, rest = name.partition(".")
        tensors[(UNET if part == "unet" else TEXT) + rest] = value
    compact = tensors[TEXT + TABLE]
    table = torch.zeros(VOCABULARY, compact.shape[1])
    table[torch.tensor(words.tokens)] = compact.float()
    tensors[TEXT + TABLE] = table
    return {name: value.half().contiguous() for name, value in tensors.items()}


def take_apart(checkpoint: Path, words: Words) -> dict[str, Tensor]:
    """The painter's weights in a checkpoint, to train on from."""
    weights: dict[str, Tensor] = {}
    for name, value in load_file(checkpoint).items():
        if name.startswith(UNET):
            weights["unet." + name.removeprefix(UNET)] = value.float()
        elif name.startswith(TEXT):
            weights["text." + name.removeprefix(TEXT)] = value.float()
    table = weights["text." + TABLE]
    weights["text." + TABLE] = table[torch.tensor(words.tokens)]
    return weights


def take_autoencoder(checkpoint: Path) -> dict[str, Tensor]:
    """The autoencoder's weights in a checkpoint."""
    found = load_file(checkpoint).items()
    return {name.removeprefix(VAE): value.float() for name, value in found if name.startswith(VAE)}


def averaged_weights(state: Path) -> dict[str, Tensor]:
    """The averaged weights of a denoiser's training state, checked for completeness."""
    words = Words(clip_encode())
    painter = Painter(len(words))
    painter.load_state_dict(torch.load(state, weights_only=True)["average"])
    return painter.state_dict()


def preview_colours(latents: Tensor, pictures: Sequence[Pixels]) -> str:
    """How a latent looks, as JSON: a row of red, green, blue (−1…1) for each channel, then the bias.

    A least-squares fit of the pictures, reduced to the size of the latents [N, C, h, w], on the latents.
    """
    small = F.adaptive_avg_pool2d(to_tensor(pictures), (latents.shape[-2], latents.shape[-1]))
    values = latents.movedim(1, -1).flatten(0, 2)
    known = torch.cat([values, torch.ones(len(values), 1)], dim=1)
    rows = torch.linalg.lstsq(known, small.movedim(1, -1).flatten(0, 2)).solution
    return json.dumps([[round(value, 4) for value in row] for row in rows.tolist()])


def main() -> None:
    """Write the checkpoint and say how large it is."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--painter", type=Path, required=True, help="state of training.denoiser")
    parser.add_argument("--autoencoder", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--latents", type=Path, help="folder written by training.latents")
    parser.add_argument("--data", type=Path, default=DEFAULT_FOLDER)
    given = parser.parse_args()
    metadata = dict(METADATA)
    if given.latents:
        latents, shown = load(sorted(given.latents.glob("latents-*.safetensors")))
        sprites = Sprites(given.data)
        pictures = [render(composition, sprites) for composition in shown[:FITTED]]
        metadata["nodeloom.latent.rgb"] = preview_colours(latents[:FITTED], pictures)
    vae = load_autoencoder(given.autoencoder).state_dict()
    tensors = assemble(averaged_weights(given.painter), vae, Words(clip_encode()))
    save_file(tensors, given.out, metadata)
    print(f"{given.out}: {len(tensors)} tensors, {given.out.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
