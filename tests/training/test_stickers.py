"""A sticker has a white rim around its unchanged object; the LoRA learns from such pictures."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from diffusion.families.checkpoints import load_checkpoint
from diffusion.patches.weights import adapters
from training import lora
from training.backgrounds import BACKGROUNDS
from training.compositions import Composition, coverage, render
from training.sprites import THINGS, Sprites
from training.stickers import render_sticker, rim

CHECKPOINT = Path(__file__).parents[2] / "models" / "checkpoints" / "nodeloom-emoji.safetensors"


def test_the_rim_is_white_and_what_it_surrounds_unchanged(sprites: Sprites) -> None:
    for index in (0, 9, 30):
        composition = Composition("large", (THINGS[index],), BACKGROUNDS[5])
        plain, sticker = render(composition, sprites), render_sticker(composition, sprites)
        covered = coverage(composition, sprites)
        around = (rim(covered) == 1) & (covered == 0)
        assert around.sum() > 100
        assert sticker[around].min() > 0.999
        assert np.allclose(sticker[covered == 1], plain[covered == 1])
        assert sticker.shape == plain.shape
        assert sticker.dtype == np.float32


def test_a_lora_of_a_few_steps_is_written_whole_and_fits_the_checkpoint(
    sprites: Sprites, tmp_path: Path
) -> None:
    checkpoint = load_checkpoint(CHECKPOINT)
    assert checkpoint.model is not None
    shown = [Composition("large", (thing,), BACKGROUNDS[0]) for thing in THINGS[:2]]
    latents = lora.encoded(checkpoint, [render_sticker(each, sprites) for each in shown])
    assert latents.shape == (2, 4, 16, 16)
    conditioning = lora.captioned(checkpoint, shown, seed=1)
    assert len(conditioning) == 2
    course = lora.Course(steps=1, batch_size=2, rank=2)
    tensors, losses = lora.train(checkpoint.model, latents, conditioning, course)
    assert len(losses) == 1
    path = tmp_path / "stickers.safetensors"
    lora.write(path, tensors, 50, 2)
    again, steps = lora.read(path)
    assert steps == 50
    assert again.keys() == tensors.keys()
    assert all(torch.equal(again[name], tensors[name]) for name in tensors)
    model, _ = adapters.apply(path, checkpoint.model, None, 1.0, 0.0)
    assert model is not None
    assert model.weight_patches
    assert lora.read(tmp_path / "none.safetensors") == ({}, 0)
