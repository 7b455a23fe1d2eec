"""LoRAs cut out of differences."""

import pytest
import torch

from diffusion.patches.weights.lora_files import extracted, factors
from tests.diffusion.small_runs import noise, small_model


@pytest.mark.parametrize("shape", [(6, 9), (9, 6), (5, 4, 3, 3), (30, 2, 1, 1)])
def test_factors_are_the_nearest_of_their_rank(shape: tuple[int, ...]) -> None:
    difference = noise(*shape)
    up, down = factors(difference, 2)
    matrix = difference.flatten(1)
    u, s, v = torch.linalg.svd(matrix, full_matrices=False)
    torch.testing.assert_close(
        up.flatten(1) @ down.flatten(1), (u[:, :2] * s[:2]) @ v[:2], rtol=1e-4, atol=1e-5
    )
    assert up.shape[1] == len(down) == 2


def test_a_rank_beyond_the_matrix_keeps_all_and_of_nothing_remains_nothing() -> None:
    difference = noise(3, 5)
    up, down = factors(difference, 100)
    torch.testing.assert_close(up @ down, difference, rtol=1e-4, atol=1e-5)
    up, down = factors(torch.zeros(3, 5), 2)
    assert not up.any()
    assert not down.any()
    low = noise(4, 1) @ noise(1, 5, seed=2)
    up, down = factors(low, 3)
    torch.testing.assert_close(up @ down, low, rtol=1e-3, atol=1e-5)


def test_only_what_differs_is_kept() -> None:
    zero = small_model()
    zero = zero.with_patches({name: (lambda weight: weight * 0,) for name in zero.backbone.weights})
    assert extracted(zero, None, 4) == {}
    one = zero.with_patches({"out.2.bias": (lambda bias: bias + 1,), "out.0.weight": (lambda w: w + 2,)})
    assert set(extracted(one, None, 4)) == {"lora_unet_conv_out.diff_b", "lora_unet_conv_norm_out.diff"}
    assert set(extracted(one, None, 4, biases=False)) == {"lora_unet_conv_norm_out.diff"}
