"""Tiles blend into what the whole would have been, wherever the whole is local."""

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from diffusion.latents.tiling import averaged, in_tiles, starts


def enlarge(x: Tensor) -> Tensor:
    return F.interpolate(x, scale_factor=8, mode="nearest")


def shrink(x: Tensor) -> Tensor:
    return F.avg_pool2d(x, 8)


@pytest.mark.parametrize("size", [(64, 64), (40, 72), (17, 100), (8, 8)])
@pytest.mark.parametrize("overlap", [0, 2, 8])
def test_a_local_function_is_unchanged_by_tiles(size: tuple[int, int], overlap: int) -> None:
    x = torch.randn(1, 4, *size)
    assert torch.allclose(in_tiles(x, enlarge, (16, 24), overlap, 8.0), enlarge(x), atol=1e-5)
    assert torch.allclose(averaged(x, enlarge, (16, 16), overlap, 8.0), enlarge(x), atol=1e-5)


def test_tiles_may_also_shrink() -> None:
    x = torch.randn(1, 3, 128, 192)
    assert torch.allclose(in_tiles(x, shrink, (64, 64), 16, 1 / 8), shrink(x), atol=1e-5)


def test_a_picture_that_fits_is_computed_whole() -> None:
    sizes = []

    def noted(x: Tensor) -> Tensor:
        sizes.append(tuple(x.shape[2:]))
        return x

    in_tiles(torch.randn(1, 1, 10, 10), noted, (10, 16), 4, 1.0)
    assert sizes == [(10, 10)]


def test_no_tile_is_larger_than_asked() -> None:
    def noted(x: Tensor) -> Tensor:
        assert x.shape[2] <= 16
        assert x.shape[3] <= 24
        return x

    in_tiles(torch.randn(1, 1, 100, 100), noted, (16, 24), 4, 1.0)


def test_seams_fade() -> None:
    """Neighbouring tiles that disagree by 1 are joined by a ramp over the overlap, not by a step."""
    number = iter(range(9))
    joined = in_tiles(torch.zeros(1, 1, 4, 28), lambda x: x + next(number), (4, 16), 4, 1.0)[0, 0, 0]
    steps = joined.diff()
    assert (joined[0], joined[-1]) == (0, 1)
    assert steps.max() < 0.5


def test_starts_cover_the_side() -> None:
    cases = {
        (10, 16, 4): [0],
        (16, 16, 4): [0],
        (17, 16, 4): [0, 12],
        (28, 16, 4): [0, 12],
        (29, 16, 4): [0, 12, 24],
    }
    for (size, tile, overlap), expected in cases.items():
        assert list(starts(size, tile, overlap)) == expected


def test_a_check_may_stop_between_tiles() -> None:
    calls: list[int] = []

    def check() -> None:
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        in_tiles(torch.zeros(1, 1, 64, 64), lambda x: x, (16, 16), 4, 1.0, check)
    assert len(calls) == 2
