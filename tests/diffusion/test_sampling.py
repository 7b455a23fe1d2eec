"""Whole runs of a small real model."""

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import pytest
import torch
from torch import Tensor

from diffusion.errors import Mismatch
from diffusion.guidance.guidance import Call, CFGGuider
from diffusion.latents.latent_format import SD1
from diffusion.noise.draws import starting_noise
from diffusion.samplers import SAMPLERS, Sampler, Step
from diffusion.sampling import fitted, noised, sample, schedule, schedule_for, section
from tests.diffusion.small_runs import noise, small_model, text

MODEL = small_model()
GUIDER = CFGGuider(MODEL, text(1), text(2), 3.0)
EMPTY = torch.zeros(2, 4, 8, 8)
PICTURE = noise(2, 4, 8, 8, seed=9)
SIGMAS = schedule(MODEL.prediction, "normal", 4)


def picture(name: str = "euler", latent: Tensor = EMPTY, sigmas: Tensor = SIGMAS, **more: Any) -> Tensor:
    start = starting_noise(latent.shape, 1)
    return sample(GUIDER, start, latent, SAMPLERS[name], sigmas, seed=1, **more).latent


@pytest.mark.parametrize("name", SAMPLERS)
def test_every_sampler_makes_a_finite_latent_twice_the_same(name: str) -> None:
    sigmas = schedule_for(SAMPLERS[name], MODEL.prediction, "karras", 3)
    one, same = (picture(name, EMPTY[:1], sigmas) for _ in range(2))
    assert one.isfinite().all()
    assert (one.shape, one.dtype, one.device.type) == ((1, 4, 8, 8), torch.float32, "cpu")
    assert torch.equal(one, same)


def test_euler_is_the_guided_estimate_followed_down() -> None:
    """The whole run once more by hand, from the UNet up."""
    x = starting_noise(EMPTY.shape, 1) * (1 + SIGMAS[0] ** 2).sqrt()
    with MODEL.backbone.use() as unet, torch.no_grad():
        for sigma, sigma_next in pairwise(SIGMAS):
            timestep = MODEL.prediction.clock.timestep(sigma.view(1)).float().expand(2)
            positive, negative = (
                x - sigma * unet(x / (sigma**2 + 1).sqrt(), timestep, conditioning[0][0].expand(2, -1, -1))
                for conditioning in (GUIDER.positive, GUIDER.negative)
            )
            denoised = negative + 3 * (positive - negative)
            x = x + (x - denoised) / sigma * (sigma_next - sigma)
    torch.testing.assert_close(picture(), x / 0.18215, rtol=1e-3, atol=1e-3)


def test_a_picture_of_a_batch_is_made_alone_from_its_own_noise() -> None:
    rows = [0, 3]
    both, one = starting_noise(EMPTY.shape, 1, rows), starting_noise((1, 4, 8, 8), 1, [3])
    together = sample(GUIDER, both, EMPTY, SAMPLERS["euler"], SIGMAS).latent
    alone = sample(GUIDER, one, EMPTY[:1], SAMPLERS["euler"], SIGMAS).latent
    torch.testing.assert_close(together[1:], alone, rtol=1e-4, atol=1e-4)


def test_a_low_denoise_stays_near_the_picture() -> None:
    near, far = (
        (picture("dpmpp_2m", PICTURE, schedule(MODEL.prediction, "karras", 4, denoise)) - PICTURE)
        .abs()
        .mean()
        for denoise in (0.1, 0.8)
    )
    assert near < far / 2


def test_two_halves_of_a_schedule_give_what_the_whole_gives() -> None:
    whole = schedule_for(SAMPLERS["euler"], MODEL.prediction, "karras", 6)
    first = section(whole, 0, 3, to_zero=False)
    second = section(whole, 3, 10000, to_zero=True)
    assert torch.equal(torch.cat([first, second[1:]]), whole)
    half = sample(GUIDER, starting_noise(EMPTY.shape, 1), EMPTY, SAMPLERS["euler"], first).latent
    rest = sample(GUIDER, torch.zeros_like(EMPTY), half, SAMPLERS["euler"], second).latent
    torch.testing.assert_close(rest, picture(sigmas=whole), rtol=1e-3, atol=1e-3)


def test_no_sigmas_give_the_latent_back() -> None:
    for sigmas in (torch.zeros(0), section(SIGMAS, 9, 10, to_zero=True)):
        result = sample(GUIDER, EMPTY, PICTURE, SAMPLERS["euler"], sigmas)
        assert result.latent is PICTURE
        assert result.denoised is PICTURE


def test_the_last_estimate_is_given_beside_the_latent() -> None:
    high = section(SIGMAS, 0, 2, to_zero=False)
    result = sample(GUIDER, starting_noise(EMPTY.shape, 1), EMPTY, SAMPLERS["euler"], high)
    assert not torch.allclose(result.latent, result.denoised)
    full = sample(GUIDER, starting_noise(EMPTY.shape, 1), EMPTY, SAMPLERS["euler"], SIGMAS)
    torch.testing.assert_close(full.latent, full.denoised, rtol=1e-4, atol=1e-4)


# Noise masks

HALF = torch.zeros(1, 1, 64, 64)
HALF[..., :32] = 1


@pytest.mark.parametrize("name", ["euler", "ddim", "euler_ancestral", "dpmpp_2m_sde", "lcm", "euler_cfg_pp"])
def test_outside_the_noise_mask_the_picture_stays(name: str) -> None:
    made = picture(name, PICTURE, noise_mask=HALF)
    torch.testing.assert_close(made[..., 5:], PICTURE[..., 5:], rtol=1e-3, atol=1e-3)
    assert (made[..., :3] - PICTURE[..., :3]).abs().min(dim=0).values.max() > 0.1


def test_a_mask_of_ones_changes_nothing() -> None:
    torch.testing.assert_close(
        picture(latent=PICTURE, noise_mask=torch.ones(1, 8, 8)), picture(latent=PICTURE)
    )


def test_ddim_renoises_the_rest_with_noise_of_its_own() -> None:
    assert not torch.allclose(*(picture(name, PICTURE, noise_mask=HALF) for name in ("euler", "ddim")))
    torch.testing.assert_close(picture("euler", PICTURE), picture("ddim", PICTURE))


def test_a_hook_may_change_the_mask_from_step_to_step() -> None:
    steps: list[int] = []

    def shut(call: Call, mask: Tensor) -> Tensor:
        steps.append(call.step)
        return torch.zeros_like(mask)

    guider = CFGGuider(MODEL.with_hook("noise_mask", shut), text(1), text(2), 3.0)
    made = sample(
        guider, starting_noise(PICTURE.shape, 1), PICTURE, SAMPLERS["euler"], SIGMAS, noise_mask=HALF
    )
    torch.testing.assert_close(made.latent, PICTURE, rtol=1e-3, atol=1e-3)
    assert steps == [0, 1, 2, 3]


# Watching and stopping


def test_each_step_is_reported_once_with_its_number() -> None:
    seen: list[tuple[int, int, float]] = []
    picture(on_step=lambda done, total, step: seen.append((done, total, step.sigma.item())))
    assert [(done, total) for done, total, _ in seen] == [(i, 4) for i in range(4)]
    assert [sigma for *_, sigma in seen] == pytest.approx(SIGMAS[:-1].tolist())


class Stopped(Exception):
    """Somebody pressed cancel."""


def test_whoever_watches_may_end_the_run_and_the_next_one_works() -> None:
    def stop(done: int, total: int, step: Step) -> None:
        if done == 1:
            raise Stopped

    before = picture()
    with pytest.raises(Stopped):
        picture(on_step=stop)
    assert torch.equal(picture(), before)


def test_a_check_ends_the_run_in_the_middle_of_a_step() -> None:
    left = iter(range(5))

    def check() -> None:
        if next(left, None) is None:
            raise Stopped

    steps: list[int] = []
    with pytest.raises(Stopped):
        picture(check=check, on_step=lambda done, total, step: steps.append(done))
    assert steps == []


def test_hooks_start_afresh_in_every_run() -> None:
    class Counting:
        """A hook with a memory."""

        def __init__(self) -> None:
            self.calls = 0

        def for_run(self) -> "Counting":
            return Counting()

        def __call__(self, call: Call, denoised: Tensor, predictions: object, scale: float) -> Tensor:
            self.calls += 1
            return denoised * self.calls

    guider = CFGGuider(MODEL.with_hook("guidance.after", Counting()), text(1), text(2), 3.0)
    runs = [sample(guider, noise(2, 4, 8, 8), EMPTY, SAMPLERS["euler"], SIGMAS).latent for _ in range(2)]
    assert torch.equal(*runs)


def test_a_sampler_that_takes_no_step_gives_what_it_was_given() -> None:
    def nothing(denoise: object, x: Tensor, sigmas: Tensor) -> Iterator[Step]:
        yield from ()

    result = sample(GUIDER, EMPTY, PICTURE, Sampler(nothing), SIGMAS)
    torch.testing.assert_close(result.latent, PICTURE)
    assert torch.equal(result.latent, result.denoised)


def test_patched_weights_change_the_picture_of_their_model_only() -> None:
    before = picture()
    patched = MODEL.with_patches({"out.2.weight": (lambda weight: weight * 2,)})
    guider = CFGGuider(patched, text(1), text(2), 3.0)
    other = sample(guider, starting_noise(EMPTY.shape, 1), EMPTY, SAMPLERS["euler"], SIGMAS).latent
    assert not torch.allclose(other, before)
    assert torch.equal(picture(), before)


# What does not fit


def test_an_empty_latent_takes_the_channels_of_the_model() -> None:
    assert fitted(torch.zeros(1, 16, 8, 8), SD1).shape == (1, 4, 8, 8)
    with pytest.raises(Mismatch, match="latents of 4 channels, not 16"):
        fitted(torch.ones(1, 16, 8, 8), SD1)


def test_a_text_of_another_family_is_told_apart() -> None:
    guider = CFGGuider(MODEL, text(1), text(2, width=96), 3.0)
    with pytest.raises(Mismatch, match="width 64, but the negative conditioning has 96"):
        sample(guider, EMPTY, EMPTY, SAMPLERS["euler"], SIGMAS)


# Schedules


@pytest.mark.parametrize(("denoise", "steps"), [(1.0, 10), (0.5, 10), (0.33, 10), (0.0, None)])
def test_denoise_takes_the_last_steps_of_a_longer_schedule(denoise: float, steps: int | None) -> None:
    sigmas = schedule(MODEL.prediction, "karras", 10, denoise)
    assert len(sigmas) == (steps + 1 if steps else 0)
    if steps:
        longer = schedule(MODEL.prediction, "karras", int(10 / denoise))
        assert torch.equal(sigmas, longer[-11:])


@pytest.mark.parametrize("name", ["dpm_2", "dpm_2_ancestral", "uni_pc", "uni_pc_bh2"])
def test_some_samplers_drop_the_sigma_before_the_last(name: str) -> None:
    longer = schedule(MODEL.prediction, "normal", 9)
    sigmas = schedule_for(SAMPLERS[name], MODEL.prediction, "normal", 8)
    assert torch.equal(sigmas, torch.cat([longer[:-2], longer[-1:]]))
    assert len(schedule_for(SAMPLERS[name], MODEL.prediction, "normal", 8, 0.5)) == 9
    assert not len(schedule_for(SAMPLERS[name], MODEL.prediction, "normal", 8, 0.0))


def test_a_section_ends_clean_only_where_asked() -> None:
    assert section(SIGMAS, 1, 3, to_zero=True).tolist() == [*SIGMAS[1:3].tolist(), 0.0]
    assert torch.equal(section(SIGMAS, 1, 3, to_zero=False), SIGMAS[1:4])
    assert torch.equal(section(SIGMAS, 0, 10000, to_zero=False), SIGMAS)


def test_noise_is_added_between_the_ends_of_a_schedule() -> None:
    unit = noise(2, 4, 8, 8)
    expected = PICTURE + unit * (SIGMAS[1] - SIGMAS[3]) / 0.18215
    torch.testing.assert_close(noised(MODEL, unit, SIGMAS[1:4], PICTURE), expected, rtol=1e-4, atol=1e-4)
    one = noised(MODEL, unit, SIGMAS[1:2], PICTURE)
    torch.testing.assert_close(one, PICTURE + unit * SIGMAS[1] / 0.18215, rtol=1e-4, atol=1e-4)
    assert noised(MODEL, unit, SIGMAS[:0], PICTURE) is PICTURE
