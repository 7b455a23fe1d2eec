"""Self-attention in tiles."""

import pytest
import torch

from diffusion.hooks import Place
from diffusion.patches.hypertile import Tiles, Tiling, in_tiles, numbers_of_tiles
from tests.diffusion.patches.guided import guided
from tests.diffusion.small_runs import noise, small_model


@pytest.mark.parametrize(
    ("length", "least", "choices", "expected"),
    [(64, 16, 2, [4, 2]), (64, 16, 9, [4, 2, 1]), (8, 32, 2, [1]), (96, 20, 2, [4, 3]), (7, 2, 3, [1])],
)
def test_a_length_is_cut_into_equal_parts(length: int, least: int, choices: int, expected: list[int]) -> None:
    assert numbers_of_tiles(length, least, choices) == expected


def test_tiles_hold_neighbours_and_are_joined_again() -> None:
    tiles = Tiles(2, 3, (4, 6))
    tokens = torch.arange(24.0).view(1, 24, 1)
    cut = tiles.cut(tokens)
    assert cut.shape == (6, 4, 1)
    assert cut[0].flatten().tolist() == [0, 1, 6, 7]
    assert cut[4].flatten().tolist() == [14, 15, 20, 21]
    assert torch.equal(tiles.joined(cut), tokens)
    both = noise(2, 24, 5)
    assert torch.equal(tiles.joined(tiles.cut(both)), both)


def cut(tiling: Tiling, size: tuple[int, int], latent: tuple[int, int]) -> int:
    """Into how many tiles one call cuts a map."""
    place = Place("input", 1, size=size, latent=latent, call={"seed": 1})
    tokens = torch.zeros(1, size[0] * size[1], 3)
    return len(tiling.cut(place, tokens, tokens, tokens)[0])


def test_how_deep_and_how_large() -> None:
    flat = Tiling(64, 1, 1, False)
    assert cut(flat, (32, 32), (32, 32)) == 16
    assert cut(flat, (16, 16), (32, 32)) == 4
    assert cut(flat, (8, 8), (32, 32)) == 1
    assert cut(Tiling(64, 1, 1, True), (16, 16), (32, 32)) == 1
    assert {cut(Tiling(64, 2, 0, False), (32, 32), (32, 32)) for _ in range(9)} == {16}, "never the last"
    assert {cut(tiling, (32, 32), (32, 32)) for tiling in [Tiling(64, 3, 0, False)] for _ in range(30)} == {
        16, 8, 4,
    }  # fmt: skip
    assert cut(flat, (17, 9), (33, 17)) == 1, "halves that were rounded up"
    text = torch.zeros(1, 7, 3)
    place = Place("input", 1, size=(32, 32), latent=(32, 32))
    assert flat.cut(place, torch.zeros(1, 1024, 3), text, text)[1] is text


def test_what_is_not_square_is_cut_as_if_its_sides_were_swapped() -> None:
    tiling = Tiling(64, 1, 0, False)
    tokens = torch.arange(16.0 * 24).view(1, -1, 1)
    q, k, v = tiling.cut(Place("input", 1, size=(16, 24), latent=(16, 24), call={}), tokens, tokens, tokens)
    laid = tokens.view(24, 16)
    tiles = [laid[top : top + 8, left : left + 8] for top in (0, 8, 16) for left in (0, 8)]
    expected = torch.stack(tiles).reshape(6, 64, 1)
    assert all(torch.equal(each, expected) for each in (q, k, v))
    assert torch.equal(tiling.join(Place("input", 1), q), tokens)


def test_a_model_looks_within_tiles_the_same_way_each_run() -> None:
    model, plain = in_tiles(small_model(), 32, 2), guided(small_model())
    found = guided(model)
    assert torch.equal(found, guided(model))
    assert not torch.allclose(found, plain, atol=1e-4)
    torch.testing.assert_close(guided(in_tiles(small_model(), 512)), plain)
