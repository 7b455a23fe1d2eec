"""What models that go on from a picture are given equals what diffusers gives them."""

import math

import pytest
import torch
from diffusers import DDPMScheduler, EulerDiscreteScheduler
from diffusers.models.embeddings import get_timestep_embedding

from diffusion.conditioning import Setting, prepare
from diffusion.families.sd import VIDEO_SIGMAS
from diffusion.families.sd.pictures import (
    UPSCALER_BETAS,
    camera_position,
    low_resolution,
    noise_level,
    posed_orbit_vector,
    video_vector,
)
from diffusion.networks.unet import UNetSizes
from diffusion.noise.clocks import scaled_linear_sigmas
from diffusion.noise.prediction import V, continuous_edm, discrete
from tests.diffusion.small_models import SD1
from tests.diffusion.small_runs import denoising, noise, small_model, text

BETAS = {"beta_start": UPSCALER_BETAS[0], "beta_end": UPSCALER_BETAS[1], "beta_schedule": "scaled_linear"}
UPSCALER = UNetSizes.even(
    (1, 2),
    (1, 1),
    blocks=1,
    channels=32,
    context=64,
    heads=4,
    in_channels=7,
    classes=400,
    norm_groups=8,
    linear_projections=True,
    self_attention=(False, True),
)
PICTURE = noise(1, 3, 8, 8, seed=3)


def test_the_small_picture_is_noised_as_its_scheduler_does() -> None:
    theirs = DDPMScheduler(**BETAS)
    latent = torch.zeros(2, 4, 8, 8)
    for amount in (0.06, 1.0):
        options = {"concat_image": PICTURE, "noise_augmentation": amount}
        drawn = torch.randn(PICTURE.shape, generator=torch.Generator().manual_seed(90))
        level = noise_level(options)
        expected = theirs.add_noise(PICTURE, drawn, level)
        found = low_resolution(options, latent, seed=100)
        assert found.shape == (2, 3, 8, 8)
        torch.testing.assert_close(found, expected.expand(2, -1, -1, -1), rtol=1e-4, atol=1e-5)
    assert int(level) == 350


def test_without_noise_the_picture_is_shown_as_it_is_and_without_a_picture_nothing() -> None:
    latent = torch.zeros(1, 4, 8, 8)
    assert torch.equal(low_resolution({"concat_image": PICTURE}, latent, seed=0), PICTURE)
    assert not low_resolution({"noise_augmentation": 0.5}, latent, seed=0)[0].any()
    assert low_resolution({"concat_image": noise(1, 3, 4, 4)}, latent, seed=0).shape == (1, 3, 8, 8)
    assert (
        low_resolution({"noise_augmentation": 0.5, "concat_image": PICTURE}, latent, seed=3).isfinite().all()
    )


def test_an_upscaler_estimates_what_diffusers_scheduler_reads_from_its_answer() -> None:
    prediction = discrete(V, scaled_linear_sigmas(*UPSCALER_BETAS))
    model = small_model(UPSCALER, "upscaler_x4").with_prediction(prediction)
    options = {"concat_image": PICTURE, "noise_augmentation": 0.1}
    setting = Setting(model, torch.zeros(1, 4, 8, 8), seed=100)
    conditioning, timestep = text(1, **options), 700
    sigma = prediction.clock.sigmas[timestep]
    noisy = noise(1, 4, 8, 8, seed=4) * (1 + sigma**2).sqrt()
    parts = prepare({"positive": conditioning}, setting)
    found = denoising(model, setting).estimates(noisy, sigma, parts)["positive"]

    scheduler = DDPMScheduler(**BETAS, prediction_type="v_prediction", clip_sample=False)
    scheduler.set_timesteps(1000)
    shown = noisy / (1 + sigma**2).sqrt()
    picture = low_resolution(options, setting.latent, seed=100)
    with model.backbone.use() as unet, torch.no_grad():
        output = unet(
            torch.cat([shown, picture], 1), torch.tensor([timestep]), conditioning[0][0], torch.tensor([35])
        )
    expected = scheduler.step(output, timestep, shown).pred_original_sample
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-4)


def test_other_models_ignore_these_facts() -> None:
    model = small_model(SD1)
    options = {"concat_image": PICTURE, "noise_augmentation": 0.1}
    (part,) = prepare({"positive": text(1, **options)}, Setting(model, torch.zeros(1, 4, 8, 8)))["positive"]
    assert part.channels is None
    assert part.tensors == {}


def their_embedding(number: float, width: int) -> torch.Tensor:
    return get_timestep_embedding(
        torch.tensor([number]), width, flip_sin_to_cos=True, downscale_freq_shift=0
    )[0]


def test_a_video_model_is_told_the_rate_less_one_the_motion_and_the_noise() -> None:
    (found,) = video_vector({"fps": 7, "motion_bucket_id": 40, "augmentation_level": 0.02})
    expected = torch.cat([their_embedding(number, 256) for number in (6.0, 40.0, 0.02)])
    torch.testing.assert_close(found, expected)


@pytest.mark.filterwarnings("ignore:__array__ implementation")  # diffusers' scheduler, under numpy 2
def test_a_video_model_runs_on_the_clock_of_its_scheduler() -> None:
    theirs = EulerDiscreteScheduler(
        prediction_type="v_prediction",
        timestep_type="continuous",
        timestep_spacing="leading",
        sigma_min=0.002,
        sigma_max=700.0,
        use_karras_sigmas=True,
    )
    theirs.set_timesteps(5)
    prediction, x, output = continuous_edm(V, *VIDEO_SIGMAS), noise(1, 4, 4, 4), noise(1, 4, 4, 4, seed=2)
    for sigma, timestep in zip(theirs.sigmas[:-1], theirs.timesteps, strict=True):
        torch.testing.assert_close(prediction.clock.timestep(sigma), timestep)
        shown = theirs.scale_model_input(x, timestep)
        torch.testing.assert_close(prediction.scaled(x, sigma), shown)
        expected = theirs.step(output, timestep, x).pred_original_sample
        torch.testing.assert_close(prediction.denoised(output, x, sigma), expected)


def test_an_orbit_is_told_by_its_angles_in_radians_from_above() -> None:
    path = {"elevation": [10.0, 10.0], "azimuth": [0.0, 370.0]}
    found = posed_orbit_vector(path)
    assert found.shape == (2, 1280)
    polar, around = math.radians(80.0), math.radians(10.0)
    expected = [their_embedding(0.0, 256), their_embedding(polar, 512), their_embedding(around, 512)]
    torch.testing.assert_close(found[1], torch.cat(expected), rtol=1e-4, atol=1e-5)


def test_a_camera_is_four_numbers() -> None:
    assert camera_position(0.0, 0.0).tolist() == pytest.approx([0, 0, 1, math.pi / 2])
    assert camera_position(30.0, 90.0).tolist() == pytest.approx([-math.pi / 6, 1, 0, math.pi / 2], abs=1e-6)
