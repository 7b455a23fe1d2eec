"""Guidance in a better direction, against diffusers' guiders on the same estimates."""

import pytest
import torch
from diffusers.guiders import adaptive_projected_guidance as apg
from diffusers.guiders import tangential_classifier_free_guidance as tcfg
from diffusers.guiders.classifier_free_zero_star_guidance import cfg_zero_star_scale
from torch import Tensor

from diffusion.guidance.directions import (
    agreeing,
    along_main,
    changed_difference,
    frequency_scaled,
    optimally_scaled,
    projected,
    scaled_frequencies,
    signed_root,
    tangentially_damped,
)
from diffusion.guidance.estimates import Predictions
from diffusion.guidance.guidance import Call, DualCFGGuider
from tests.diffusion.patches.guided import SIGMA, X, denoiser, estimates, guided
from tests.diffusion.small_runs import small_model, text

POSITIVE, NEGATIVE = estimates()
PLAIN = NEGATIVE + 4.0 * (POSITIVE - NEGATIVE)


def close(found: Tensor, expected: Tensor) -> None:
    """Equal within what fp32 allows."""
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("eta", [0.0, 0.5, 1.0, -2.0])
@pytest.mark.parametrize("longest", [0.0, 0.01, 5.0])
def test_projected_guidance_equals_diffusers_at_the_papers_scale_of_one_more(
    eta: float, longest: float
) -> None:
    paper_scale = 4.0 + 1
    expected = apg.normalized_guidance(POSITIVE, NEGATIVE, paper_scale - 1, None, eta, longest, True)
    close(guided(projected(small_model(), eta, longest, 0.0)), expected)


def test_projected_guidance_remembers_the_steps_of_its_run_only() -> None:
    model = projected(small_model(), 0.0, 0.0, -0.5)
    buffer = apg.MomentumBuffer(-0.5)
    run = denoiser(model)
    for _ in range(3):
        expected = apg.normalized_guidance(POSITIVE, NEGATIVE, 4.0, buffer, 0.0, 0.0, True)
        close(run(X, SIGMA), expected)
    alone = apg.normalized_guidance(POSITIVE, NEGATIVE, 4.0, None, 0.0, 0.0, True)
    close(guided(model), alone)


def test_projected_guidance_forgets_where_the_noise_rises_again() -> None:
    difference = POSITIVE - NEGATIVE
    run = denoiser(projected(small_model(), 1.0, 0.0, -0.5))
    close(run(X, SIGMA), POSITIVE + 4.0 * difference)
    close(run(X, SIGMA), POSITIVE + 4.0 * 0.5 * difference)
    run(X, SIGMA * 0.5)
    close(run(X, SIGMA), POSITIVE + 4.0 * difference)


def test_projected_guidance_that_changes_nothing_is_plain_with_one_more_of_the_difference() -> None:
    close(guided(projected(small_model(), 1.0, 0.0, 0.0)), PLAIN + (POSITIVE - NEGATIVE))


def test_projected_guidance_acts_before_what_is_done_to_the_guided_estimate() -> None:
    seen: list[Tensor] = []

    def after(call: Call, denoised: Tensor, predictions: Predictions, scale: float) -> Tensor:
        seen.append(predictions["positive"])
        return denoised

    guided(projected(small_model(), 1.0, 0.0, 0.0).with_hook("guidance.after", after))
    close(seen[0], POSITIVE + (POSITIVE - NEGATIVE) / 4.0)


@pytest.mark.parametrize("scale", [0.0, 1.0])
def test_projected_guidance_leaves_what_is_not_led_anywhere(scale: float) -> None:
    close(guided(projected(small_model(), 0.3, 1.0, 0.0), scale), NEGATIVE if scale == 0 else POSITIVE)


def test_projected_guidance_leaves_guidance_by_three() -> None:
    plain, found = (
        denoiser(model, guider=DualCFGGuider(model, text(1), text(3), text(2)))(X, SIGMA)
        for model in (small_model(), projected(small_model(), 0.3, 1.0, 0.0))
    )
    close(found, plain)


def test_tangential_damping_equals_diffusers_on_the_noise() -> None:
    expected = X - tcfg.normalized_guidance(X - POSITIVE, X - NEGATIVE, 4.0)
    close(guided(tangentially_damped(small_model())), expected)
    close(along_main(POSITIVE, POSITIVE), POSITIVE)


def test_the_optimal_scale_of_the_noise_is_given_to_the_clean_negative() -> None:
    best = cfg_zero_star_scale((X - POSITIVE).flatten(1), (X - NEGATIVE).flatten(1)).view(-1, 1, 1, 1)
    expected = best * NEGATIVE + 4.0 * (POSITIVE - best * NEGATIVE)
    close(guided(optimally_scaled(small_model())), expected)
    doubled = small_model().with_hook("guidance.after", lambda call, denoised, *_: denoised * 2)
    close(guided(optimally_scaled(doubled)), expected + PLAIN)


def test_at_scale_one_the_optimal_scale_leads_to_the_positive() -> None:
    close(guided(optimally_scaled(small_model()), 1.0), POSITIVE)


def test_mahiro_lies_between_guidance_and_the_scaled_positive() -> None:
    found, leap = guided(agreeing(small_model())), POSITIVE * 4.0
    share = (found - leap).flatten() @ (PLAIN - leap).flatten() / (PLAIN - leap).square().sum()
    assert 0 < share < 1
    close(found, share * PLAIN + (1 - share) * leap)
    likeness = torch.cosine_similarity(
        signed_root(NEGATIVE * 4.0), signed_root((leap + PLAIN) / 2), dim=1
    ).mean()
    close(share, (likeness + 1) / 2)
    assert signed_root(torch.tensor([4.0, -9.0, 0.0])).tolist() == [2, -3, 0]


def test_an_operation_changes_the_difference_and_alone_the_positive() -> None:
    model = changed_difference(small_model(), lambda latent, **_: latent * 0.5)
    close(guided(model), NEGATIVE + 2.0 * (POSITIVE - NEGATIVE))
    close(guided(model, 1.0), POSITIVE * 0.5)


def test_frequencies_are_weighed_apart() -> None:
    flat, fine = torch.ones(1, 1, 8, 8), torch.tensor([1.0, -1.0]).repeat(8, 4)[None, None]
    close(scaled_frequencies(flat + fine, 0.5, 3.0, 1), flat * 0.5 + fine * 3)
    close(scaled_frequencies(flat + fine, 0.5, 3.0, 100), (flat + fine) * 0.5)
    close(guided(frequency_scaled(small_model(), 2.0, 2.0, 2)), NEGATIVE + 8.0 * (POSITIVE - NEGATIVE))
    close(guided(frequency_scaled(small_model(), 2.0, 2.0, 2), 1.0), POSITIVE)


def test_the_coarse_square_ends_at_half_a_side() -> None:
    x = torch.randn(1, 1, 6, 5, generator=torch.Generator().manual_seed(3))
    spectrum = torch.fft.fftshift(torch.fft.fft2(x), dim=(-2, -1))
    for row in range(6):
        for column in range(5):
            spectrum[..., row, column] *= 0.5 if -3 <= row - 3 < 3 and -2 <= column - 2 < 2 else 3.0
    expected = torch.fft.ifft2(torch.fft.ifftshift(spectrum, dim=(-2, -1))).real
    close(scaled_frequencies(x, 0.5, 3.0, 20), expected)
