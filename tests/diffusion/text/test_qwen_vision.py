"""The picture encoder of Qwen2.5-VL gives what `transformers` gives, in the order of its windows."""

import pytest
import torch
from transformers.models.qwen2_5_vl.configuration_qwen2_5_vl import Qwen2_5_VLVisionConfig
from transformers.models.qwen2_5_vl.modeling_qwen2_5_vl import Qwen2_5_VisionTransformerPretrainedModel

from diffusion.text.qwen_vision import (
    LEAST,
    MOST,
    QwenVision,
    looked_at,
    patches_of,
    vision_sizes,
    window_order,
)
from diffusion.weights.shapes import Unlike
from tests.diffusion.small_models import as_weights, seeded, weights_of
from tests.diffusion.text.small_encoders import VISION


@pytest.mark.parametrize("size", [(84, 84), (112, 168), (224, 140)])
def test_features_equal_those_of_the_library(size: tuple[int, int]) -> None:
    module = seeded(lambda: QwenVision(VISION))
    config = Qwen2_5_VLVisionConfig(
        hidden_size=VISION.width,
        depth=VISION.layers,
        num_heads=VISION.width // 80,
        intermediate_size=VISION.inner,
        out_hidden_size=VISION.out,
        fullatt_block_indexes=[7],
    )
    theirs = Qwen2_5_VisionTransformerPretrainedModel(config).eval()
    theirs.load_state_dict(module.state_dict())
    pixels = torch.rand(1, *size, 3, generator=torch.Generator().manual_seed(1))
    patches, rows, columns = patches_of(pixels)
    grid = torch.tensor([[1, rows * 2, columns * 2]])
    with torch.no_grad():
        features, *cells = module(pixels)
        wanted = theirs(patches.flatten(1), grid).pooler_output
    assert cells == [rows, columns]
    order, _ = window_order(rows, columns)
    torch.testing.assert_close(features, wanted[order], rtol=1e-4, atol=1e-5)


def test_sizes_are_read_off_the_tensors() -> None:
    assert vision_sizes(weights_of(seeded(lambda: QwenVision(VISION)))) == VISION
    with pytest.raises(Unlike, match=r"patch_embed"):
        vision_sizes(as_weights({"x": torch.zeros(1)}))


@pytest.mark.parametrize("size", [(100, 100), (10, 10), (20, 3000), (5000, 5000), (28, 112)])
def test_a_picture_is_looked_at_in_whole_cells_within_limits(size: tuple[int, int]) -> None:
    height, width = looked_at(*size)
    assert height % 28 == width % 28 == 0
    assert LEAST <= height * width <= MOST


def test_windows_at_the_edges_are_smaller() -> None:
    order, counts = window_order(5, 6)
    assert counts == [16, 8, 4, 2]
    assert sorted(order.tolist()) == list(range(30))
    assert order[:5].tolist() == [0, 1, 2, 3, 6]
