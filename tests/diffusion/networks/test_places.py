"""Sines of places against the library's."""

import torch
from diffusers.models.embeddings import get_2d_sincos_pos_embed

from diffusion.networks.places import sines


def test_they_are_the_librarys_over_the_same_grid() -> None:
    theirs = get_2d_sincos_pos_embed(16, 6, base_size=6, output_type="pt")
    steps = torch.arange(6)
    assert torch.allclose(sines(steps, steps, 16)[0], theirs.double(), atol=1e-6)


def test_columns_come_first_and_rows_are_the_slower() -> None:
    found = sines(torch.tensor([3.0, 5.0]), torch.tensor([0.0, 1.0, 2.0]), 8)
    assert found.shape == (1, 6, 8)
    assert torch.equal(found[0, 0, :4], torch.tensor([0.0, 0.0, 1.0, 1.0], dtype=torch.float64))
    assert torch.equal(found[0, :3, 4:], found[0, :1, 4:].expand(3, 4))
