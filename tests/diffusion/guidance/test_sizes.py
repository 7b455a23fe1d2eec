"""Guided estimates brought to another size."""

import torch

from diffusion.guidance.directions import norm
from diffusion.guidance.sizes import never_longer, renormed, scaled_noise
from tests.diffusion.patches.guided import SIGMA, X, estimates, guided
from tests.diffusion.small_runs import small_model

POSITIVE, NEGATIVE = estimates()
PLAIN = NEGATIVE + 4.0 * (POSITIVE - NEGATIVE)


def test_nothing_becomes_longer_than_the_positive() -> None:
    found = guided(never_longer(small_model(), 1.0))
    lengths, bounds, before = (torch.linalg.vector_norm(each, dim=1) for each in (found, POSITIVE, PLAIN))
    torch.testing.assert_close(lengths, torch.minimum(bounds, before), rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(guided(never_longer(small_model(), 0.5)), found / 2)


def test_the_guided_estimate_is_bounded_by_the_positive() -> None:
    found = guided(renormed(small_model(), 100.0, 0.5))
    torch.testing.assert_close(norm(found), norm(POSITIVE) * 0.5, rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(found / norm(found), PLAIN / norm(PLAIN), rtol=1e-3, atol=1e-3)
    for most in (0.0, 100.0):
        torch.testing.assert_close(guided(renormed(small_model(), 100.0, most)), PLAIN, rtol=1e-3, atol=1e-3)


def test_there_is_no_guidance_at_high_noise() -> None:
    below = renormed(small_model(), SIGMA.item(), 1.0)
    torch.testing.assert_close(guided(below), POSITIVE, rtol=1e-3, atol=1e-4)


def test_bounded_guidance_takes_the_place_of_other_guidance() -> None:
    other = small_model().with_hook("guidance.combine", lambda call, predictions, *_: predictions["negative"])
    torch.testing.assert_close(guided(renormed(other, 100.0, 0.0)), PLAIN, rtol=1e-3, atol=1e-3)


def test_noise_is_divided() -> None:
    found = guided(scaled_noise(small_model(), 1.25))
    torch.testing.assert_close((X - found) * 1.25, X - PLAIN, rtol=1e-3, atol=1e-3)
