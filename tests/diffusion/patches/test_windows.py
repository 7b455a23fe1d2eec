"""Long batches in overlapping windows."""

import pytest
import torch

from diffusion.errors import Mismatch
from diffusion.patches.windows import SCHEDULES, Windows, halved, in_windows, weights
from tests.diffusion.patches.guided import X, guided
from tests.diffusion.small_runs import small_model

FUSES = ("pyramid", "relative", "flat", "overlap-linear")


@pytest.mark.parametrize("name", SCHEDULES)
@pytest.mark.parametrize("count", [17, 33, 40])
@pytest.mark.parametrize("stride", [1, 3])
def test_every_place_is_seen_at_every_step(name: str, count: int, stride: int) -> None:
    windows = Windows(16, 4, name, stride)
    for step in range(5):
        laid = windows.at(count, step)
        assert {place for window in laid for place in window} == set(range(count))
        assert all(len(window) == len(set(window)) <= 16 for window in laid)


def test_how_windows_are_laid() -> None:
    assert [(w[0], w[-1]) for w in Windows(16, 4).at(40, 0)] == [(0, 15), (12, 27), (24, 39)]
    assert [(w[0], w[-1]) for w in Windows(16, 4).at(30, 0)] == [(0, 15), (12, 27), (14, 29)]
    assert [(w[0], w[-1]) for w in Windows(16, 4, "batched").at(40, 0)] == [(0, 15), (16, 31), (32, 39)]
    assert Windows(16, 4).at(16, 0) == [list(range(16))]
    assert Windows(4, 1, "looped_uniform", closed=True).at(6, 1)[-1] == [0, 1, 2, 3]
    first, second = (Windows(16, 4, "standard_uniform").at(40, step) for step in (0, 1))
    assert first != second
    assert [halved(step) for step in range(5)] == [0, 0.5, 0.25, 0.75, 0.125]


def test_how_places_of_a_window_count() -> None:
    window = list(range(4, 9))
    assert weights(Windows(fuse="pyramid"), window, 20).tolist() == [1, 2, 3, 2, 1]
    assert weights(Windows(fuse="flat"), window, 20).tolist() == [1] * 5
    linear = Windows(overlap=1, fuse="overlap-linear")
    assert weights(linear, window, 20).tolist() == [0.5, 1, 1, 1, 0.5]
    assert weights(linear, window, 9).tolist() == [0.5, 1, 1, 1, 1]
    relative = weights(Windows(fuse="relative"), window, 20)
    assert relative.argmax() == 2
    assert bool((relative > 0).all())


@pytest.mark.parametrize("fuse", FUSES)
def test_pictures_of_a_batch_do_not_see_each_other_so_windows_change_nothing(fuse: str) -> None:
    found = guided(in_windows(small_model(), Windows(1, 0, fuse=fuse)))
    torch.testing.assert_close(found, guided(small_model()), rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("dim", [2, 3])
def test_rows_and_columns_are_seen_in_windows(dim: int) -> None:
    found, plain = (
        guided(in_windows(small_model(), Windows(4, 2, fuse="flat", dim=dim))),
        guided(small_model()),
    )
    assert found.shape == X.shape
    assert not torch.allclose(found, plain, atol=1e-3)
    whole = guided(in_windows(small_model(), Windows(8, 2, dim=dim)))
    torch.testing.assert_close(whole, plain)


@pytest.mark.parametrize("dim", [1, 4])
def test_other_dimensions_are_refused(dim: int) -> None:
    with pytest.raises(Mismatch, match=f"along dimension {dim}"):
        in_windows(small_model(), Windows(dim=dim))
