"""The autoencoder learns, resumes on the same step, and its latents can be whitened."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from training.latents import SCALE, compositions, encode, load_autoencoder, to_json, whiten
from training.latents import from_json as composition_from_json
from training.sprites import Sprites
from training.vae import Plan, Training, batch, build, sample_pictures

PLAN = Plan(steps=6, crop_batch=2, whole_batch=1, whole_from=0.8, warm_up=2)


def test_the_same_step_shows_the_same_pictures_first_crops_then_whole_ones(sprites: Sprites) -> None:
    codes = list(sprites)
    assert batch(0, PLAN, sprites, codes).shape == (2, 3, 64, 64)
    assert batch(5, PLAN, sprites, codes).shape == (1, 3, 128, 128)
    assert torch.equal(batch(3, PLAN, sprites, codes), batch(3, PLAN, sprites, codes))


def test_a_few_steps_lower_the_loss_and_resuming_gives_the_same_next_step(
    sprites: Sprites, tmp_path: Path
) -> None:
    training = Training(PLAN, sprites)
    losses = [training.advance() for _ in range(4)]
    assert min(losses[1:]) < losses[0]
    training.save(tmp_path / "vae.pt")
    resumed = Training(PLAN, sprites)
    resumed.load(tmp_path / "vae.pt")
    assert resumed.step == 4
    assert resumed.advance() == pytest.approx(training.advance(), rel=1e-5)
    for name, value in training.vae.state_dict().items():
        assert torch.allclose(value, resumed.vae.state_dict()[name], atol=1e-6), name


def test_whitening_gives_unit_latents_and_the_same_pictures(sprites: Sprites, tmp_path: Path) -> None:
    vae, x = build(), sample_pictures(sprites, 4)
    with torch.no_grad():
        before = vae(x)
        whiten(vae, x)
        latents, after = vae.encode(x) * SCALE, vae(x)
    assert torch.allclose(latents.mean(dim=(0, 2, 3)), torch.zeros(4), atol=1e-4)
    assert torch.allclose(latents.std(dim=(0, 2, 3)), torch.ones(4), atol=1e-3)
    assert torch.allclose(before, after, atol=1e-3)


def test_compositions_for_the_denoiser_come_back_from_json_and_hold_nothing_held_out(
    sprites: Sprites,
) -> None:
    shown = list(compositions(200, 3))
    assert [composition_from_json(to_json(c)) for c in shown] == shown
    assert not any(c.is_held_out for c in shown)
    assert encode(build(), shown[:2], sprites).shape == (2, 4, 16, 16)


def test_an_autoencoder_is_loaded_from_the_average_of_a_state(sprites: Sprites, tmp_path: Path) -> None:
    training = Training(PLAN, sprites)
    training.save(tmp_path / "vae.pt")
    loaded = load_autoencoder(tmp_path / "vae.pt").state_dict()
    assert all(torch.equal(loaded[name], value) for name, value in training.average.weights.items())
