"""Models are values: a changed one is another one."""

import pytest
import torch

from diffusion.latents.latent_format import SDXL
from diffusion.noise.prediction import V, stable_diffusion
from tests.diffusion.small_runs import small_model


def test_each_change_gives_a_new_model_that_shares_the_weights() -> None:
    model = small_model()

    def keep(call: object, denoised: torch.Tensor, predictions: object, scale: float) -> torch.Tensor:
        return denoised

    changed = (
        model.with_hook("guidance.after", keep)
        .with_prediction(stable_diffusion(V))
        .with_latent_format(SDXL)
        .with_patches({"out.2.weight": (torch.neg,)})
        .with_options(note=1)
    )
    assert changed.backbone is model.backbone
    assert changed.hooks["guidance.after"] == (keep,)
    assert (changed.prediction.target, changed.latent_format, changed.options) == (V, SDXL, {"note": 1})
    assert not model.hooks
    assert not model.weight_patches
    assert not model.options


def test_patches_of_one_weight_are_applied_in_the_order_they_came() -> None:
    model = (
        small_model().with_patches({"a": (torch.neg,), "b": (torch.abs,)}).with_patches({"a": (torch.exp,)})
    )
    assert model.weight_patches == {"a": (torch.neg, torch.exp), "b": (torch.abs,)}


def test_hooks_stack_and_their_points_are_checked() -> None:
    model = (
        small_model()
        .with_hook("noise_mask", max)
        .with_hooks(small_model().with_hook("noise_mask", min).hooks)
    )
    assert model.hooks["noise_mask"] == (max, min)
    with pytest.raises(ValueError, match="no hook point 'guidance'"):
        model.with_hook("guidance", max)
