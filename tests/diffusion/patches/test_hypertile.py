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
    assert {cut(Tiling(64, 2, 0, False), (32, 32), (32, 32))} <= {16, 4, 8}
    text = torch.zeros(1, 7, 3)
    place = Place("input", 1, size=(32, 32), latent=(32, 32))
    assert flat.cut(place, torch.zeros(1, 1024, 3), text, text)[1] is text


def test_a_model_looks_within_tiles_the_same_way_each_run() -> None:
    model, plain = in_tiles(small_model(), 32, 2), guided(small_model())
    found = guided(model)
    assert torch.equal(found, guided(model))
    assert not torch.allclose(found, plain, atol=1e-4)
    torch.testing.assert_close(guided(in_tiles(small_model(), 512)), plain)
