"""Adapters trained on a small network."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from diffusion.patches.weights import adapters
from diffusion.patches.weights.adapter_names import unet_targets
from diffusion.training.lora import LOSSES, OPTIMIZERS, STARTS, Course, train
from diffusion.weights.entries import Weights
from diffusion.weights.writing import entry_of
from tests.diffusion.patches.guided import guided
from tests.diffusion.small_runs import noise, small_model, text

LATENTS = noise(2, 4, 8, 8)
COURSE = Course(steps=8, batch_size=2, rate=5e-3, rank=4)


@pytest.mark.parametrize("algorithm", STARTS)
def test_each_kind_learns_and_works_when_applied(algorithm: str) -> None:
    model = small_model()
    before = guided(model)
    tensors, losses = train(model, LATENTS, text(1), replace(COURSE, algorithm=algorithm))
    assert len(losses) == COURSE.steps
    _, after = train(model, LATENTS, text(1), replace(COURSE, steps=1, algorithm=algorithm), tensors)
    assert after[0] < 0.99 * losses[0], "on the same noise as at its beginning"
    weights = Weights(Path("x"), {name: entry_of(each) for name, each in tensors.items()})
    patches = adapters.patches(weights, unet_targets(model.backbone.weights), 1.0)
    matrices = [name for name in model.backbone.weights if len(model.backbone.weights[name].shape) > 1]
    assert set(patches) == set(matrices)
    assert torch.equal(guided(model), before), "the model itself is as it was"
    with model.backbone.use(patches=patches) as unet:
        found = unet.get_parameter("out.2.weight").clone()
    assert not torch.allclose(found, model.backbone.weights.tensor("out.2.weight"), atol=1e-4)


def test_the_same_seed_gives_the_same_and_going_on_goes_on() -> None:
    model, short = small_model(), replace(COURSE, steps=2)
    first, losses = train(model, LATENTS, text(1), short)
    again, same = train(model, LATENTS, text(1), short)
    assert losses == same
    assert all(torch.equal(first[name], again[name]) for name in first)
    _, other = train(model, LATENTS, text(1), replace(short, seed=5))
    assert other != losses
    _, further = train(model, LATENTS, text(1), short, beginning=first)
    assert further[0] < losses[0]


def test_recomputing_blocks_changes_nothing_but_memory() -> None:
    short = replace(COURSE, steps=2, accumulation=2)
    plain, _ = train(small_model(), LATENTS, text(1), short)
    saved, _ = train(small_model(), LATENTS, text(1), replace(short, checkpointing=True))
    for name, each in plain.items():
        torch.testing.assert_close(saved[name], each, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(("optimizer", "loss"), list(zip(OPTIMIZERS, LOSSES, strict=True)))
def test_every_optimizer_and_loss_moves_the_weights(optimizer: str, loss: str) -> None:
    course = replace(COURSE, steps=1, optimizer=optimizer, loss=loss, stored=torch.bfloat16)
    tensors, _ = train(small_model(), LATENTS, text(1), course)
    ups = [each for name, each in tensors.items() if name.endswith("lora_up.weight")]
    assert all(each.dtype is torch.bfloat16 for each in ups)
    assert any(bool(each.any()) for each in ups)


def test_texts_are_one_for_all_or_one_for_each() -> None:
    short = replace(COURSE, steps=1)
    train(small_model(), LATENTS, [*text(1), *text(2)], short)
    with pytest.raises(ValueError, match="2 latents and 3 conditionings"):
        train(small_model(), LATENTS, [*text(1), *text(2), *text(3)], short)


def test_an_adapter_is_trained_over_weights_that_are_kept_in_eight_bits() -> None:
    model = small_model()
    model = replace(model, backbone=model.backbone.storing(torch.float8_e4m3fn))
    tensors, losses = train(model, LATENTS, text(1), COURSE)
    _, after = train(model, LATENTS, text(1), replace(COURSE, steps=1), tensors)
    assert after[0] < 0.99 * losses[0]
