"""Text is told apart, the denoiser learns and resumes, and the exported file is a checkpoint."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from diffusion.families.checkpoints import load_checkpoint
from training import text, vae
from training.compositions import draw
from training.denoiser import UNET_SIZES, Example, Painter, Plan, Training, alphas, example, loss_of, text_gap
from training.export import METADATA, TABLE, TEXT, assemble, take_apart, take_autoencoder
from training.words import END, POSITIONS, START, Words, clip_encode

PLAN = Plan(steps=8, batch=4, warm_up=2)


@pytest.fixture(scope="module")
def words() -> Words:
    return Words(clip_encode())


def test_rows_stand_for_the_tokens_clip_has_for_the_text(words: Words) -> None:
    rows = words.rows(["a cat on a blue background", ""])
    assert rows.shape == (2, POSITIONS)
    tokens = [words.tokens[row] for row in rows[0]]
    assert tokens[:3] == [START, 320, 2368]
    assert tokens[7:] == [END] * (POSITIONS - 7)
    assert {words.tokens[row] for row in rows[1][1:]} == {END}


def test_pretraining_the_text_tower_beats_guessing(words: Words) -> None:
    tower = text.build(len(words))
    assert text.pretrain(tower, words, steps=30, batch=16) > 0.2
    positions = tower.text_model.embeddings.position_embedding.weight
    assert torch.equal(positions[-1], positions[text.PRETRAINED_POSITIONS - 1])


def test_noise_levels_are_those_of_stable_diffusion() -> None:
    sigmas = ((1 - alphas()) / alphas()).sqrt()
    assert float(sigmas[0]) == pytest.approx(0.0292, abs=1e-4)
    assert float(sigmas[-1]) == pytest.approx(14.6146, abs=1e-3)


def test_a_batch_is_the_same_for_the_same_step_and_spreads_its_timesteps(words: Words) -> None:
    random = np.random.default_rng(0)
    latents, shown = torch.randn(6, 4, 16, 16), [draw(random) for _ in range(6)]
    plan = Plan(batch=32)
    one, other = example(5, plan, latents, shown, words), example(5, plan, latents, shown, words)
    assert all(torch.equal(a, b) for a, b in zip(tensors_of(one), tensors_of(other), strict=True))
    assert one.timesteps.min() < 100
    assert one.timesteps.max() > 900


def tensors_of(e: Example) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    return e.clean, e.rows, e.timesteps, e.noise


def test_steps_lower_the_loss_and_resuming_gives_the_same_next_step(words: Words, tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    latents, shown = torch.randn(4, 4, 16, 16), [draw(random) for _ in range(4)]
    training = Training(PLAN, words, None)
    fixed = example(0, PLAN, latents, shown, words)
    before = loss_of(training.painter, *tensors_of(fixed)).item()
    for _ in range(4):
        training.advance(latents, shown)
    assert loss_of(training.painter, *tensors_of(fixed)).item() < before
    training.save(tmp_path / "denoiser.pt")
    resumed = Training(PLAN, words, None)
    resumed.load(tmp_path / "denoiser.pt")
    assert resumed.advance(latents, shown) == pytest.approx(training.advance(latents, shown), rel=1e-5)
    assert text_gap(training.painter, latents, shown, words).count("/") == 2


def test_the_exported_file_has_every_part_and_comes_apart_again(words: Words, tmp_path: Path) -> None:
    painter, autoencoder = Painter(len(words)), vae.build()
    tensors = assemble(painter.state_dict(), autoencoder.state_dict(), words)
    path = tmp_path / "toy.safetensors"
    save_file(tensors, path, METADATA)
    assert path.stat().st_size < 40e6
    table = tensors[TEXT + TABLE]
    assert table.shape == (49408, text.WIDTH)
    assert int((table.abs().sum(dim=1) > 0).sum()) == len(words)
    again = take_apart(path, words)
    assert again.keys() == painter.state_dict().keys()
    for name, value in painter.state_dict().items():
        assert torch.allclose(again[name], value, atol=2e-3), name
    assert take_autoencoder(path).keys() == autoencoder.state_dict().keys()
    loaded = load_checkpoint(path)
    assert loaded.model is not None
    assert loaded.text is not None
    assert loaded.vae is not None
    with loaded.model.backbone.use() as unet:
        assert unet.state_dict().keys() == painter.unet.state_dict().keys()
        assert replace(unet.sizes, self_attention=()) == UNET_SIZES
    with safe_open(path, "pt") as file:
        assert file.metadata()["nodeloom.unet.heads"] == "8"
