"""Files of real size and of any other are recognised by their tensors alone; the unknown is explained."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from diffusion.errors import FileProblem, UnknownModel
from diffusion.families.catalogue import FAMILIES, Architecture, architecture, unet_part
from diffusion.families.checkpoints import vae_part
from diffusion.families.shapes import text_sizes, vae_sizes
from diffusion.latents.vae import AutoencoderKL
from diffusion.networks.unet import UNet, UNetSizes
from diffusion.text.clip import ClipText
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


INPAINTING = ("mask", "masked_image")
KNOWN = {
    "sd15": ("sd1", None, (), "l"),
    "sd15_inpaint": ("sd1", None, INPAINTING, "l"),
    "sd15_mini": ("sd1", None, (), "l"),
    "sd15_mini_inpaint": ("sd1", None, INPAINTING, "l"),
    "sd21v": ("sd2", None, (), "h"),
    "sd21v_mini": ("sd2", None, (), "h"),
    "sdxl_base": ("sdxl", "sdxl", (), "lg"),
    "sdxl_mini": ("sdxl", "sdxl", (), "lg"),
    "sdxl_refiner": ("sdxl_refiner", "sdxl_refiner", (), "g"),
    "sdxl_refiner_mini": ("sdxl_refiner", "sdxl_refiner", (), "g"),
}


@pytest.mark.parametrize("name", KNOWN)
def test_a_published_checkpoint_is_recognised(name: str) -> None:
    weights = published(name)
    unet = unet_part(weights)
    assert unet is not None
    kind = architecture(unet)
    assert (kind.family, kind.vector, kind.concat, "".join(text_parts(weights))) == KNOWN[name]
    assert kind.prediction == "eps"


@pytest.mark.parametrize("name", KNOWN)
def test_no_tensor_is_missing_and_none_is_left_over(name: str) -> None:
    weights = published(name)
    unet, vae = unet_part(weights), vae_part(weights)
    assert unet is not None
    assert vae is not None
    sizes = architecture(unet).unet
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


def described(sizes: UNetSizes, metadata: dict[str, str] | None = None, **more: torch.Tensor) -> Architecture:
    with torch.device("meta"):
        shapes = UNet(sizes).state_dict()
    tensors = {name: torch.zeros(()).expand(tensor.shape) for name, tensor in shapes.items()}
    return architecture(as_weights({**tensors, **more}, metadata))


def test_any_size_of_a_family_is_of_the_family() -> None:
    assert described(SD1).family == "sd1"
    assert described(replace(SD2, in_channels=9)).concat == INPAINTING
    assert described(SDXL).family == "sdxl"
    assert described(replace(SDXL, vector=2560)).family == "sdxl_refiner"
    assert described(replace(SD1, in_channels=8)).concat == ("image",)


def test_the_metadata_may_state_what_is_predicted() -> None:
    for stated, meant in {"v": "v", "v_prediction": "v", "eps": "eps", "nonsense": "eps"}.items():
        assert described(SD1, {"nodeloom.prediction": stated}).prediction == meant
    assert described(SD1, {"modelspec.prediction_type": "v"}).prediction == "v"


def test_the_metadata_may_state_the_colours_of_a_preview() -> None:
    rows = [[0.1, 0.2, 0.3], [1, 2, 3], [0, 0, 0], [-1, -1, -1], [0.5, 0.5, -0.5]]
    latent = described(SD1, {"nodeloom.latent.rgb": json.dumps(rows)}).latent
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
            described(SD1, {"nodeloom.latent.rgb": nonsense})


def test_sd2_is_taken_for_v_when_its_last_biases_are_large() -> None:
    name = f"output_blocks.{len(SD2.output_depths) - 1}.1.transformer_blocks.0.norm1.bias"
    for deviation, meant in ((0.02, "eps"), (0.3, "v")):
        bias = torch.linspace(-1, 1, 64) * deviation * 3**0.5
        assert described(SD2, None, **{name: bias}).prediction == meant


def test_sdxl_says_by_a_marker_what_it_predicts() -> None:
    kind = described(SDXL, None, v_pred=torch.tensor([]), ztsnr=torch.tensor([]))
    assert (kind.prediction, kind.zero_snr) == ("v", True)


def test_markers_stand_beside_the_unet_in_a_whole_checkpoint() -> None:
    tensors = {f"model.diffusion_model.{name}": t for name, t in UNet(SDXL).state_dict().items()}
    unet = unet_part(as_weights({**tensors, "v_pred": torch.tensor([])}))
    assert unet is not None
    assert architecture(unet).prediction == "v"


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
    assert len({family.name for family in FAMILIES}) == len(FAMILIES)
    for one in FAMILIES:
        for other in FAMILIES:
            assert one is other or one.traits != other.traits


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
    from diffusion.families.catalogue import unknown

    weights = published(name)
    assert unet_part(weights) is None
    assert words in str(unknown(weights, "No model was found"))
