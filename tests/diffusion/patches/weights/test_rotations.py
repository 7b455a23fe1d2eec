"""Rotations made of blocks that a file holds."""

import pytest
import torch

from diffusion.patches.weights.rotations import orthogonal, turned
from tests.diffusion.small_runs import noise


def test_any_blocks_become_rotations() -> None:
    found = orthogonal(noise(3, 4, 4))
    torch.testing.assert_close(found @ found.mT, torch.eye(4).expand(3, 4, 4), rtol=1e-4, atol=1e-4)
    assert torch.linalg.det(found).tolist() == pytest.approx([1, 1, 1], rel=1e-4)
    assert torch.equal(orthogonal(torch.zeros(1, 2, 2)), torch.eye(2)[None])


def test_a_bound_shortens_what_is_longer_only() -> None:
    blocks = noise(2, 3, 3)
    length = (blocks - blocks.mT).norm().item()
    assert torch.equal(orthogonal(blocks, length * 2), orthogonal(blocks))
    torch.testing.assert_close(orthogonal(blocks, length / 4), orthogonal(blocks / 4))


@pytest.mark.parametrize("shape", [(4, 4, 4), (3, 4, 4, 4)])
def test_turning_keeps_angles_and_at_no_strength_everything(shape: tuple[int, ...]) -> None:
    weight, blocks = noise(16, 1, 3, 3), noise(*shape)
    rows, out = weight.flatten(1), turned(weight, blocks, 0.0, 1.0).flatten(1)
    torch.testing.assert_close(out.T @ out, rows.T @ rows, rtol=1e-3, atol=1e-3)
    assert not torch.allclose(out, rows, atol=0.1)
    torch.testing.assert_close(turned(weight, blocks, 0.0, 0.0), weight)
