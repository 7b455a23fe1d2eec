"""Join the parts into one checkpoint: `python -m training.export --painter STATE --autoencoder A --out FILE`.

Keys are those of SD 1.x checkpoints; what shapes do not reveal stands in the metadata. Half precision.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from training.denoiser import UNET_SIZES, Painter
from training.latents import load_autoencoder
from training.text import HEADS
from training.vae import SIZES
from training.words import Words, clip_encode

UNET, TEXT, VAE = "model.diffusion_model.", "cond_stage_model.transformer.", "first_stage_model."
TABLE = "text_model.embeddings.token_embedding.weight"
VOCABULARY = 49408

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


def main() -> None:
    """Write the checkpoint and say how large it is."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--painter", type=Path, required=True, help="state of training.denoiser")
    parser.add_argument("--autoencoder", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    vae = load_autoencoder(given.autoencoder).state_dict()
    tensors = assemble(averaged_weights(given.painter), vae, Words(clip_encode()))
    save_file(tensors, given.out, METADATA)
    print(f"{given.out}: {len(tensors)} tensors, {given.out.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
