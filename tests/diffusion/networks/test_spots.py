"""Where pictures lie that a model looks at beside the one it draws."""

import pytest
import torch

from diffusion.networks.spots import Spot, spots, turns


def test_references_lie_right_or_below_whichever_is_nearer_to_a_square() -> None:
    image, *others = spots(4, 4, [(8, 8), (8, 8), (4, 4)], "offset")
    assert image == Spot(4, 4)
    assert [(each.index, each.top, each.left) for each in others] == [(1, 0, 0), (1, 4, 0), (1, 0, 4)]


def test_references_may_have_layers_of_their_own() -> None:
    _, *others = spots(4, 4, [(8, 8), (8, 8)], "index")
    assert [(each.index, each.top, each.left) for each in others] == [(1, 0, 0), (2, 0, 0)]


@pytest.mark.parametrize("method", ["uxo", "uno"])
def test_references_may_lie_along_the_diagonal(method: str) -> None:
    _, *others = spots(4, 3, [(8, 6), (3, 3)], method)
    assert [(each.index, each.top, each.left) for each in others] == [(0, 4, 3), (0, 8, 6)]
    assert (others[1].rows, others[1].columns) == (2, 2)


def test_each_token_knows_index_row_and_column() -> None:
    assert Spot(1, 2, 1, 5, 7).ids(torch.device("cpu")).tolist() == [[1, 5, 7], [1, 5, 8]]


def test_places_may_count_from_the_middle() -> None:
    assert Spot(3, 2, 1, 4, 0).centred() == Spot(3, 2, 1, 3, -1)


def test_turns_follow_index_row_and_column() -> None:
    found = turns(torch.tensor([[1.0, 2.0, 3.0]]), (16, 56, 56))
    assert found.shape == (1, 64)
    assert torch.allclose(found.angle()[0, [0, 8, 36]], torch.tensor([1.0, 2.0, 3.0]), atol=1e-6)
