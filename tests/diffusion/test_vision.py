"""CLIP's picture encoder."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

from diffusion.errors import UnknownModel
from diffusion.precision import Precision
from diffusion.residency import Residency
from diffusion.vision import DEVIATION, MEAN, load_vision, prepared
from tests.diffusion.small_models import seeded

CONFIG = CLIPVisionConfig(
    hidden_size=64,
    intermediate_size=96,
    projection_dim=24,
    num_hidden_layers=3,
    num_attention_heads=1,
    image_size=28,
    patch_size=14,
    hidden_act="gelu",
)


def test_sizes_are_read_off_the_file_and_the_numbers_are_transformers_own(tmp_path: Path) -> None:
    module = seeded(lambda: CLIPVisionModelWithProjection(CONFIG))
    tensors = {name: each for name, each in module.state_dict().items() if "position_ids" not in name}
    save_file(tensors, tmp_path / "v.safetensors")
    encoder = load_vision(tmp_path / "v.safetensors", Residency(Precision("fp32"), "cpu"))
    assert encoder.side == 28
    image = torch.rand(2, 40, 30, 3)
    found = encoder.encode(image)
    with torch.no_grad():
        expected = module(pixel_values=prepared(image, 28, True), output_hidden_states=True)
    torch.testing.assert_close(found["image_embeds"], expected.image_embeds)
    torch.testing.assert_close(found["last_hidden_state"], expected.last_hidden_state)
    torch.testing.assert_close(found["penultimate_hidden_states"], expected.hidden_states[-2])


@pytest.mark.parametrize("crop", [True, False])
@pytest.mark.parametrize("size", [(28, 28), (40, 90), (90, 40), (9, 14)])
def test_pictures_become_normalised_squares(crop: bool, size: tuple[int, int]) -> None:
    image = torch.full((1, *size, 4), 0.5)
    square = prepared(image, 28, crop)
    assert square.shape == (1, 3, 28, 28)
    value = round(127.5) / 255
    expected = [(value - mean) / deviation for mean, deviation in zip(MEAN, DEVIATION, strict=True)]
    assert square[0, :, 14, 14].tolist() == pytest.approx(expected, abs=0.02)


def test_cutting_keeps_the_middle_and_squeezing_keeps_the_sides() -> None:
    image = torch.zeros(1, 28, 84, 3)
    image[:, :, :28] = 1
    assert prepared(image, 28, True).max() < 0
    assert prepared(image, 28, False)[..., 0].min() > 1


def test_a_file_of_another_kind_is_named(tmp_path: Path) -> None:
    save_file({"x": torch.zeros(1)}, tmp_path / "x.safetensors")
    with pytest.raises(UnknownModel, match=r"x.safetensors: It is no CLIP vision encoder"):
        load_vision(tmp_path / "x.safetensors")
