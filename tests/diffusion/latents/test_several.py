"""Several latents in one tensor and apart again."""

import pytest
import torch

from diffusion.latents.several import Packing, Several


def test_what_was_packed_comes_apart_as_it_was() -> None:
    parts = torch.randn(2, 3, 4, 5, 6), torch.randn(2, 2, 7), torch.randn(2, 1, 3, 3)
    packing = Packing.of(parts)
    packed = packing.packed(parts)
    assert packed.shape == (2, 1, 3 * 4 * 5 * 6 + 2 * 7 + 9)
    for found, part in zip(packing.apart(packed), parts, strict=True):
        assert torch.equal(found, part)


def test_one_packing_serves_any_number_of_rows() -> None:
    packing = Packing.of([torch.zeros(1, 2, 3), torch.zeros(1, 4)])
    assert [part.shape for part in packing.apart(torch.zeros(5, 1, 10))] == [(5, 2, 3), (5, 4)]


def test_latents_of_different_batches_cannot_be_packed() -> None:
    with pytest.raises(ValueError, match="batches of 1, 2"):
        Packing.of([torch.zeros(1, 4), torch.zeros(2, 4)])


def test_all_go_through_a_function() -> None:
    doubled = Several((torch.ones(2, 1), torch.ones(2, 3))).each(lambda part: part * 2)
    assert len(doubled) == 2
    assert [part.sum().item() for part in doubled.parts] == [4.0, 12.0]
