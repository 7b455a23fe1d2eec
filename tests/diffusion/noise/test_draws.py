"""Noise: one seed, one picture, whatever the batch and the device."""

from itertools import pairwise

import pytest
import torch

from diffusion.noise.draws import NoNoise, RandomNoise, brownian, gaussian, starting_noise
from diffusion.noise.schedules import karras

SHAPE = (3, 4, 8, 8)


def test_starting_noise_is_torchs_from_the_seed_as_one_draw() -> None:
    torch.manual_seed(7)
    assert torch.equal(starting_noise(SHAPE, 7), torch.randn(SHAPE))


def test_drawing_leaves_the_global_generator_alone() -> None:
    before = torch.random.get_rng_state()
    starting_noise(SHAPE, 7)
    gaussian(torch.zeros(SHAPE), 7)(torch.tensor(2.0), torch.tensor(1.0))
    assert torch.equal(torch.random.get_rng_state(), before)


def test_a_row_keeps_its_noise_when_it_is_taken_out_of_the_batch() -> None:
    whole = starting_noise(SHAPE, 7, [0, 1, 2])
    assert torch.equal(starting_noise((1, 4, 8, 8), 7, [2]), whole[2:])
    assert torch.equal(starting_noise((2, 4, 8, 8), 7, [1, 1]), whole[[1, 1]])


def test_the_values_on_noise_links_draw_for_a_latent() -> None:
    latent = torch.zeros(SHAPE)
    assert torch.equal(RandomNoise(3)(latent), starting_noise(SHAPE, 3))
    assert torch.equal(RandomNoise(3)(latent, [4, 0, 4])[0], RandomNoise(3)(latent, [4, 0, 4])[2])
    assert not NoNoise()(latent).any()
    assert RandomNoise(3).seed == 3


def test_the_largest_seed_is_a_seed() -> None:
    assert starting_noise((1, 1, 2, 2), 2**64 - 1).isfinite().all()
    assert gaussian(torch.zeros(1), 2**64 - 1)(torch.ones(()), torch.zeros(())).isfinite().all()


def test_steps_draw_independent_noise_that_depends_on_the_seed() -> None:
    x, sigma = torch.zeros(SHAPE), torch.tensor(1.0)
    one, same, other = gaussian(x, 5), gaussian(x, 5), gaussian(x, 6)
    first, second = one(sigma, sigma), one(sigma, sigma)
    assert torch.equal(first, same(sigma, sigma))
    assert not torch.equal(first, second)
    assert not torch.equal(first, other(sigma, sigma))


def test_a_brownian_path_does_not_depend_on_how_it_is_walked() -> None:
    """The noise of a long step is made of that of its parts, so more steps refine the same picture."""
    x, sigmas = torch.zeros(1, 4, 8, 8), karras(6, 0.1, 10.0)
    high, middle, low = sigmas[0], sigmas[2], sigmas[4]
    whole, parts = brownian(x, sigmas, 1), brownian(x, sigmas, 1)
    second, first = parts(middle, low), parts(high, middle)
    walked = first * (high - middle).sqrt() + second * (middle - low).sqrt()
    torch.testing.assert_close(whole(high, low) * (high - low).sqrt(), walked, rtol=1e-4, atol=1e-5)


def test_brownian_increments_have_unit_variance_and_no_warning_at_the_ends() -> None:
    x, sigmas = torch.zeros(4, 4, 32, 32), karras(5, 0.0291675, 14.614642)
    draw = brownian(x, sigmas, 2)
    for sigma, sigma_next in pairwise(sigmas[:-1]):
        assert draw(sigma, sigma_next).std().item() == pytest.approx(1.0, abs=0.03)


def test_going_up_the_path_undoes_going_down() -> None:
    x, sigmas = torch.zeros(1, 1, 4, 4), karras(3, 0.1, 10.0)
    draw = brownian(x, sigmas, 3)
    torch.testing.assert_close(draw(sigmas[0], sigmas[1]), -draw(sigmas[1], sigmas[0]))
