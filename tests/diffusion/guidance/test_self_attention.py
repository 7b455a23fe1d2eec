"""Self-attention guidance, against diffusers' own masking and blurring."""

from types import SimpleNamespace

import pytest
import torch
from diffusers.pipelines.deprecated.stable_diffusion_sag import pipeline_stable_diffusion_sag as sag

from diffusion.guidance.self_attention import (
    blurred_where_seen,
    gaussian_blurred,
    grid,
    self_attention_guidance,
)
from tests.diffusion.patches.guided import SIGMA, X, denoiser, estimates, guided
from tests.diffusion.small_runs import noise, small_model

POSITIVE, NEGATIVE = estimates()


def diffusers_masking(latents: torch.Tensor, attention: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    """What diffusers blurs, without the noise that it adds afterwards."""
    pipeline = SimpleNamespace(
        unet=SimpleNamespace(config=SimpleNamespace(attention_head_dim=attention.shape[1])),
        scheduler=SimpleNamespace(add_noise=lambda latents, noise, timesteps: latents),
    )
    masking = sag.StableDiffusionSAGPipeline.sag_masking
    blurred: torch.Tensor = masking(pipeline, latents, attention.flatten(0, 1), size, torch.tensor(1), None)
    return blurred


def test_what_is_blurred_equals_diffusers() -> None:
    attention = (noise(2, 3, 16, 16, seed=4) * 2).softmax(-1)
    latents = noise(2, 4, 8, 8)
    expected = diffusers_masking(latents, attention, (4, 4))
    found = blurred_where_seen(latents, attention, 1.0)
    torch.testing.assert_close(found, expected)
    assert 0 < (found != latents).float().mean() < 1


def test_a_flat_picture_stays_and_no_blur_changes_nothing() -> None:
    flat = torch.full((1, 2, 8, 8), 3.0)
    torch.testing.assert_close(gaussian_blurred(flat, 2.0), flat)
    x = noise(1, 4, 8, 8)
    assert gaussian_blurred(x, 0.0) is x
    assert gaussian_blurred(noise(1, 4, 3, 3), 2.0).shape == (1, 4, 3, 3)


def test_guidance_leads_away_from_the_blurred_estimate() -> None:
    plain, model = small_model(), self_attention_guidance(small_model(), 0.75, 2.0)
    run = denoiser(model)
    found = run(X, SIGMA)
    watching = run.denoising.hooks["guidance.after"][0].__self__  # type: ignore[attr-defined] # bound method
    assert watching.attention.shape == (2, 4, 16, 16)
    degraded = blurred_where_seen(NEGATIVE, watching.attention, 2.0)
    asked = denoiser(plain)
    x = X + degraded - NEGATIVE
    weak = asked.denoising.estimates(x, SIGMA, {"negative": asked.parts["negative"]})["negative"]
    expected = guided(plain) + 0.75 * (degraded - weak)
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-4)
    assert not torch.allclose(found, guided(plain), atol=1e-3)


def test_it_asks_for_the_negative_even_where_guidance_does_not() -> None:
    found = guided(self_attention_guidance(small_model(), 0.75, 2.0), 1.0)
    assert not torch.allclose(found, POSITIVE, atol=1e-3)


def test_latents_too_small_for_the_blur_stay_as_they_are() -> None:
    for size, changed in [((4, 8), False), ((5, 8), True)]:
        x, latent = noise(1, 4, *size) * 3, torch.zeros(1, 4, *size)
        plain, found = (
            denoiser(model, latent=latent)(x, SIGMA)
            for model in (small_model(), self_attention_guidance(small_model(), 0.75, 2.0))
        )
        assert torch.equal(found, plain) != changed


@pytest.mark.parametrize(
    ("count", "latent", "expected"),
    [(64, (64, 64), (8, 8)), (96, (64, 96), (8, 12)), (96, (96, 64), (12, 8)), (15, (40, 40), (5, 3)),
     (7, (24, 24), (1, 7)), (6, (10, 17), (2, 3))],
)  # fmt: skip
def test_a_grid_is_found_near_the_latents_proportions(
    count: int, latent: tuple[int, int], expected: tuple[int, int]
) -> None:
    assert grid(count, latent) == expected


def test_no_scale_is_the_model_itself() -> None:
    model = small_model()
    assert self_attention_guidance(model, 0.0, 2.0) is model
