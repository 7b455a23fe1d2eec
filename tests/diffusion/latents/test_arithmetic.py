"""Latents as vectors of channels with a length and a direction."""

import torch

from diffusion.latents.arithmetic import interpolate, length, sharpened, tonemapped


def latent(seed: int = 0) -> torch.Tensor:
    return torch.randn(2, 4, 6, 5, generator=torch.Generator().manual_seed(seed))


def test_a_length_is_that_of_the_vector_at_each_place() -> None:
    x = torch.zeros(1, 4, 1, 2)
    x[0, 0, 0, 0], x[0, 1, 0, 0] = 3.0, 4.0
    assert length(x).tolist() == [[[[5.0, 0.0]]]]


def test_interpolation_ends_in_its_parts_and_mixes_lengths() -> None:
    a, b = latent(0), latent(1)
    torch.testing.assert_close(interpolate(a, b, 1.0), a)
    torch.testing.assert_close(interpolate(a, b, 0.0), b)
    torch.testing.assert_close(length(interpolate(a, b, 0.25)), 0.25 * length(a) + 0.75 * length(b))
    assert interpolate(torch.zeros_like(a), b, 0.5).isfinite().all()


def test_tonemapping_shortens_long_vectors_most_and_turns_none() -> None:
    x = latent()
    mapped = tonemapped(x, 1.0)
    torch.testing.assert_close(mapped / length(mapped), x / length(x))
    share = (length(mapped) / length(x))[0].flatten()
    assert (share < 1).all()
    assert share[length(x)[0].flatten().argmax()] == share.min()


def test_sharpening_of_an_even_latent_changes_nothing_inside() -> None:
    x = torch.ones(1, 4, 9, 9) * torch.tensor([1.0, -2.0, 0.5, 3.0]).view(1, 4, 1, 1)
    torch.testing.assert_close(
        sharpened(x, 1, 1.0, 2.0)[..., 2:-2, 2:-2], x[..., 2:-2, 2:-2], rtol=1e-4, atol=1e-4
    )
    assert not torch.allclose(sharpened(latent(), 1, 1.0, 2.0), latent())
