"""Guidance in a better direction, against diffusers' guiders on the same estimates."""

import pytest
import torch
from diffusers.guiders import adaptive_projected_guidance as apg
from diffusers.guiders import tangential_classifier_free_guidance as tcfg
from diffusers.guiders.classifier_free_zero_star_guidance import cfg_zero_star_scale
from torch import Tensor

from diffusion.patches.directions import (
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
from tests.diffusion.patches.guided import SIGMA, X, denoiser, estimates, guided
from tests.diffusion.small_runs import small_model

POSITIVE, NEGATIVE = estimates()
PLAIN = NEGATIVE + 4.0 * (POSITIVE - NEGATIVE)


def close(found: Tensor, expected: Tensor) -> None:
    """Equal within what fp32 allows."""
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("eta", [0.0, 0.5, 1.0, -2.0])
@pytest.mark.parametrize("longest", [0.0, 0.01, 5.0])
def test_projected_guidance_equals_diffusers(eta: float, longest: float) -> None:
    expected = apg.normalized_guidance(POSITIVE, NEGATIVE, 3.0, None, eta, longest, True)
    close(guided(projected(small_model(), eta, longest, 0.0)), expected)


def test_projected_guidance_remembers_the_steps_of_its_run_only() -> None:
    model = projected(small_model(), 0.0, 0.0, -0.5)
    buffer = apg.MomentumBuffer(-0.5)
    run = denoiser(model)
    for _ in range(3):
        expected = apg.normalized_guidance(POSITIVE, NEGATIVE, 3.0, buffer, 0.0, 0.0, True)
        close(run(X, SIGMA), expected)
    close(guided(model), apg.normalized_guidance(POSITIVE, NEGATIVE, 3.0, None, 0.0, 0.0, True))


def test_projected_guidance_that_changes_nothing_is_plain() -> None:
    close(guided(projected(small_model(), 1.0, 0.0, 0.0)), PLAIN)


def test_tangential_damping_equals_diffusers_on_the_noise() -> None:
    expected = X - tcfg.normalized_guidance(X - POSITIVE, X - NEGATIVE, 4.0)
    close(guided(tangentially_damped(small_model())), expected)
    close(along_main(POSITIVE, POSITIVE), POSITIVE)


def test_the_optimal_scale_equals_diffusers_on_the_noise() -> None:
    positive, negative = X - POSITIVE, X - NEGATIVE
    best = cfg_zero_star_scale(positive.flatten(1), negative.flatten(1)).view(-1, 1, 1, 1)
    expected = X - (best * negative + 4.0 * (positive - best * negative))
    close(guided(optimally_scaled(small_model())), expected)


def test_at_scale_one_better_directions_lead_to_the_positive() -> None:
    for change in (optimally_scaled, lambda model: projected(model, 0.3, 1.0, 0.0)):
        close(guided(change(small_model()), 1.0), POSITIVE)


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
