"""Colours are taken over: mean and spread, covariance, distribution."""

import pytest
import torch

from nodes.image.transfer import colours_moved, lab_of, linear_of, rgb_of_lab, srgb_of


def pictures(seed: int, low: float, high: float) -> torch.Tensor:
    """A smooth random picture within bounds."""
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(1, 24, 24, 3, generator=generator) * (high - low) + low


def test_conversions_invert_each_other() -> None:
    rgb = pictures(0, 0, 1)
    assert torch.allclose(srgb_of(linear_of(rgb)), rgb, atol=1e-5)
    assert torch.allclose(rgb_of_lab(lab_of(rgb)), rgb, atol=1e-4)
    assert lab_of(torch.ones(1, 3))[0].tolist() == pytest.approx([100, 0, 0], abs=0.02)


def test_red_is_where_the_standard_has_it() -> None:
    assert lab_of(torch.tensor([[1.0, 0, 0]]))[0].tolist() == pytest.approx([53.24, 80.09, 67.20], abs=0.05)


def test_reinhard_gives_mean_and_spread_of_each_channel() -> None:
    image, like = pictures(1, 0.2, 0.5), pictures(2, 0.35, 0.7)
    moved = lab_of(colours_moved(image[0], image, like, "reinhard_lab")).reshape(-1, 3)
    wanted = lab_of(like).reshape(-1, 3)
    assert torch.allclose(moved.mean(0), wanted.mean(0), atol=0.3)
    assert torch.allclose(moved.std(0), wanted.std(0), rtol=0.03)


def test_monge_kantorovich_gives_the_covariance_too() -> None:
    image, like = pictures(1, 0.3, 0.6), pictures(2, 0.35, 0.65)
    like[..., 1] = like[..., 0]  # channels that move together
    moved = lab_of(colours_moved(image[0], image, like, "mkl_lab")).reshape(-1, 3)
    wanted = lab_of(like).reshape(-1, 3)
    assert torch.allclose(moved.T.cov(), wanted.T.cov(), rtol=0.05, atol=1.0)


def test_histograms_become_alike_also_where_values_repeat() -> None:
    image, like = pictures(1, 0, 1), pictures(2, 0.5, 0.7)
    moved = colours_moved(image[0], image, like, "histogram")
    assert torch.allclose(moved.flatten().sort().values, like.flatten().sort().values, atol=0.01)
    flat = torch.full((1, 4, 4, 3), 0.5)
    assert torch.allclose(
        colours_moved(flat[0], flat, like, "histogram"), like.flatten(0, 2).median(0).values, atol=0.01
    )


@pytest.mark.parametrize("method", ["reinhard_lab", "mkl_lab", "histogram"])
def test_an_image_in_its_own_colours_stays_and_one_colour_breaks_nothing(method: str) -> None:
    image = pictures(3, 0.2, 0.8)
    assert torch.allclose(colours_moved(image[0], image, image, method), image[0], atol=2e-3)
    flat = torch.full_like(image, 0.4)
    assert colours_moved(flat[0], flat, image, method).isfinite().all()
