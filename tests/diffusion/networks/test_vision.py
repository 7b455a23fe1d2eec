"""CLIP's picture encoder."""

from collections.abc import Mapping
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor
from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

from diffusion.errors import UnknownModel
from diffusion.networks.vision import DEVIATION, MEAN, PREFIXES, load_vision, prepared
from diffusion.residency.budget import Residency
from diffusion.residency.precision import Precision
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


def open_clip(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The same tower as OpenCLIP writes it: packed projections, other names."""
    names = {
        "vision_model.embeddings.class_embedding": "class_embedding",
        "vision_model.embeddings.patch_embedding.weight": "conv1.weight",
        "vision_model.embeddings.position_embedding.weight": "positional_embedding",
        "vision_model.pre_layrnorm": "ln_pre",
        "vision_model.post_layernorm": "ln_post",
        "vision_model.encoder.layers": "transformer.resblocks",
        "layer_norm": "ln_",
        "self_attn": "attn",
        "mlp.fc1": "mlp.c_fc",
        "mlp.fc2": "mlp.c_proj",
    }
    written = {"proj": tensors["visual_projection.weight"].t().contiguous()}
    for name, tensor in tensors.items():
        for ours, theirs in names.items():
            name = name.replace(ours, theirs)
        if ".q_proj." in name:
            source = name.replace("transformer.resblocks", "vision_model.encoder.layers")
            parts = [
                tensors[source.replace(".attn.", ".self_attn.").replace("q_proj", p)] for p in PROJECTIONS
            ]
            written[name.replace("q_proj.", "in_proj_")] = torch.cat(parts)
        elif not any(p in name for p in PROJECTIONS) and name != "visual_projection.weight":
            written[name] = tensor
    return written


PROJECTIONS = ("q_proj", "k_proj", "v_proj")


@pytest.mark.parametrize("prefix", PREFIXES)
def test_an_open_clip_tower_within_a_checkpoint_gives_the_same(prefix: str, tmp_path: Path) -> None:
    module = seeded(lambda: CLIPVisionModelWithProjection(CONFIG))
    tensors = {name: each for name, each in module.state_dict().items() if "position_ids" not in name}
    image, residency = torch.rand(1, 28, 28, 3), Residency(Precision("fp32"), "cpu")
    save_file(tensors, tmp_path / "plain.safetensors")
    save_file({prefix + name: t for name, t in open_clip(tensors).items()}, tmp_path / "open.safetensors")
    plain, other = (load_vision(tmp_path / f"{n}.safetensors", residency) for n in ("plain", "open"))
    torch.testing.assert_close(plain.encode(image)["image_embeds"], other.encode(image)["image_embeds"])


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


def test_only_its_own_tensors_are_taken_from_a_checkpoint(tmp_path: Path) -> None:
    tensors = dict(seeded(lambda: CLIPVisionModelWithProjection(CONFIG)).state_dict())
    tensors.pop("vision_model.embeddings.position_ids", None)
    save_file(tensors | {"model.diffusion_model.x": torch.zeros(1)}, tmp_path / "v.safetensors")
    encoder = load_vision(tmp_path / "v.safetensors", Residency(Precision("fp32"), "cpu"))
    assert set(encoder.resident.weights) == set(tensors)
