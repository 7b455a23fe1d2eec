"""Files of real size and of any other are recognised by their tensors alone; the unknown is explained."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from diffusion.errors import FileProblem, UnknownModel
from diffusion.families import families
from diffusion.families.checkpoints import stated_latent
from diffusion.families.detect import Told, nothing_known, require, told
from diffusion.latents.latent_format import LatentFormat
from diffusion.latents.vae import AutoencoderKL
from diffusion.latents.vae_files import vae_part, vae_sizes
from diffusion.networks.unet import UNet, UNetSizes
from diffusion.noise.prediction import EPS, Prediction, V
from diffusion.text.clip import ClipText
from diffusion.text.clip_sizes import text_sizes
from diffusion.text.loading import text_parts
from diffusion.weights.entries import Entry, Weights
from tests.diffusion.small_models import SD1, SD2, SDXL, as_weights
from tests.golden.weights import manifests


def published(name: str) -> Weights:
    """A published checkpoint's names and shapes, all zeros."""
    entries = {
        key: Entry(tuple(shape), torch.float16, lambda shape=shape: torch.zeros(shape))
        for key, shape in manifests()[name].items()
    }
    return Weights(Path(f"{name}.safetensors"), entries)


KNOWN = {
    "sd15": ("sd1", 4, "l"),
    "sd15_inpaint": ("sd1", 9, "l"),
    "sd15_mini": ("sd1", 4, "l"),
    "sd15_mini_inpaint": ("sd1", 9, "l"),
    "sd21v": ("sd2", 4, "h"),
    "sd21v_mini": ("sd2", 4, "h"),
    "sdxl_base": ("sdxl", 4, "lg"),
    "sdxl_mini": ("sdxl", 4, "lg"),
    "sdxl_refiner": ("sdxl_refiner", 4, "g"),
    "sdxl_refiner_mini": ("sdxl_refiner", 4, "g"),
}


@pytest.mark.parametrize("name", KNOWN)
def test_a_published_checkpoint_is_recognised(name: str) -> None:
    weights = published(name)
    found = require(weights)
    assert (found.family.name, found.sizes.in_channels, "".join(text_parts(weights))) == KNOWN[name]
    assert prediction(found).target == EPS


@pytest.mark.parametrize("name", KNOWN)
def test_no_tensor_is_missing_and_none_is_left_over(name: str) -> None:
    weights = published(name)
    (_, unet, sizes), vae = require(weights), vae_part(weights)
    assert vae is not None
    with torch.device("meta"):
        modules = [(UNet(sizes), unet), (AutoencoderKL(vae_sizes(vae)), vae)]
        modules += [(ClipText(text_sizes(tower)), tower) for tower in text_parts(weights).values()]  # type: ignore[misc]
    found = 0
    for module, part in modules:
        tensors = {key: tuple(tensor.shape) for key, tensor in module.state_dict().items()}
        assert tensors == {key: entry.shape for key, entry in part.items()}
        found += len(tensors)
    packed = sum(".in_proj_" in key for key in weights) * 2  # each becomes three
    unused = sum(key.endswith("logit_scale") for key in weights)
    assert found == len(weights) + packed - unused


def described(sizes: UNetSizes, metadata: dict[str, str] | None = None, **more: torch.Tensor) -> Told:
    with torch.device("meta"):
        shapes = UNet(sizes).state_dict()
    tensors = {name: torch.zeros(()).expand(tensor.shape) for name, tensor in shapes.items()}
    return require(as_weights({**tensors, **more}, metadata))


def prediction(found: Told) -> Prediction:
    return found.family.prediction(found.weights, found.sizes)


def test_any_size_of_a_family_is_of_the_family() -> None:
    assert described(SD1).family.name == "sd1"
    assert described(replace(SD2, in_channels=9)).family.name == "sd2"
    assert described(SDXL).family.name == "sdxl"
    assert described(replace(SDXL, vector=2560)).family.name == "sdxl_refiner"
    assert described(replace(SD1, in_channels=8)).family.name == "sd1"


def test_the_metadata_may_state_what_is_predicted() -> None:
    for stated, meant in {"v": V, "v_prediction": V, "eps": EPS, "nonsense": EPS}.items():
        assert prediction(described(SD1, {"nodeloom.prediction": stated})).target == meant
    assert prediction(described(SD1, {"modelspec.prediction_type": "v"})).target == V


def test_the_metadata_may_state_the_colours_of_a_preview() -> None:
    rows = [[0.1, 0.2, 0.3], [1, 2, 3], [0, 0, 0], [-1, -1, -1], [0.5, 0.5, -0.5]]
    latent = in_colours(json.dumps(rows))
    assert latent.scale == 0.18215
    assert latent.rgb[0] == (0.1, 0.2, 0.3)
    assert latent.rgb_bias == (0.5, 0.5, -0.5)
    for nonsense in (
        "",
        "[]",
        "{}",
        "[1,2,3,4,5]",
        json.dumps([[1, 2]] * 5),
        json.dumps([[1, 2, "a"]] * 5),
        "[" * 9999,
    ):
        with pytest.raises(FileProblem, match=r"nodeloom\.latent\.rgb"):
            in_colours(nonsense)


def in_colours(text: str) -> LatentFormat:
    found = described(SD1, {"nodeloom.latent.rgb": text})
    return stated_latent(found.family.latent, found.weights)


def test_sd2_is_taken_for_v_when_its_last_biases_are_large() -> None:
    name = f"output_blocks.{len(SD2.output_depths) - 1}.1.transformer_blocks.0.norm1.bias"
    for deviation, meant in ((0.02, EPS), (0.3, V)):
        bias = torch.linspace(-1, 1, 64) * deviation * 3**0.5
        assert prediction(described(SD2, None, **{name: bias})).target == meant


def test_sdxl_says_by_a_marker_what_it_predicts() -> None:
    kind = prediction(described(SDXL, None, v_pred=torch.tensor([]), ztsnr=torch.tensor([])))
    assert kind.target == V
    assert kind.sigma_max > 1000, "down to no signal"


def test_markers_stand_beside_the_unet_in_a_whole_checkpoint() -> None:
    tensors = {f"model.diffusion_model.{name}": t for name, t in UNet(SDXL).state_dict().items()}
    assert prediction(require(as_weights({**tensors, "v_pred": torch.tensor([])}))).target == V


def test_an_unknown_unet_names_the_nearest_families_and_what_they_miss() -> None:
    with pytest.raises(UnknownModel) as caught:
        described(replace(SDXL, vector=2304, in_channels=7))
    assert "Stable Diffusion XL: it has not 4 input channels" in str(caught.value)
    assert "a vector of 2816" in str(caught.value)
    with pytest.raises(UnknownModel) as caught:
        described(replace(SDXL, vector=2304))
    assert any("Stable Diffusion XL" in line for line in caught.value.nearest)
    assert any("Stable Diffusion 2.x: it has not no vector" in line for line in caught.value.nearest)


def test_every_family_has_traits_that_tell_it_apart() -> None:
    every = list(families())
    assert len({family.name for family in every}) == len(every)
    for one in every:
        for other in every:
            assert one is other or (one.signs, one.traits) != (other.signs, other.traits)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("controlnet_sd15", "ControlNet"),
        ("lora_sd15_mini", "LoRA"),
        ("esrgan_x4_mini", "upscale"),
        ("embedding_sd15", "embedding:NAME"),
        ("clip_vision_vitl", "CLIP vision"),
    ],
)
def test_other_files_are_told_where_they_belong(name: str, words: str) -> None:

    weights = published(name)
    assert told(weights) is None
    assert words in str(nothing_known(weights, "No model was found"))
