"""Control networks for Stable Diffusion 3 and 3.5: told by signs, opened, and what they add."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers.models.embeddings import get_2d_sincos_pos_embed_from_grid
from safetensors.torch import save_file
from torch import Tensor

from diffusion.conditioning import Setting
from diffusion.control.latent_control import LatentControl
from diffusion.errors import Mismatch, UnknownModel
from diffusion.families.checkpoints import load_unet, load_vae
from diffusion.families.controls import load_control
from diffusion.families.sd3.control import (
    ALONE,
    AloneControl,
    ControlSizes,
    JointControl,
    alone_sizes,
    joint_sizes,
    places,
)
from diffusion.latents.autoencoder import VAE
from diffusion.model import Model
from diffusion.networks.backbone import Inputs
from diffusion.residency.budget import Residency
from diffusion.residency.precision import Precision
from diffusion.weights.entries import Weights
from tests.diffusion.small_models import as_weights
from tests.diffusion.sparse_files import transformers
from tests.nodes import small_flux, small_sd3
from tests.nodes.small_sd3 import CONTROL, CONTROL_35, LARGE, MEDIUM, control, control_35, sd3

TIME = torch.tensor([500.0])


@pytest.fixture
def residency() -> Residency:
    return Residency(Precision("fp32"), "cpu")


def saved(
    folder: Path, name: str, tensors: dict[str, Tensor], metadata: dict[str, str] | None = None
) -> Path:
    save_file({key: each.contiguous() for key, each in tensors.items()}, folder / name, metadata)
    return folder / name


@pytest.fixture
def vae(tmp_path: Path, residency: Residency) -> VAE:
    return load_vae(
        saved(tmp_path, "vae.safetensors", small_flux.autoencoder(), small_flux.METADATA), residency
    )


def opened(tmp_path: Path, residency: Residency, tensors: dict[str, Tensor]) -> LatentControl:
    network = load_control(saved(tmp_path, "control.safetensors", tensors), residency)
    assert isinstance(network, LatentControl)
    return network


def model(tmp_path: Path, residency: Residency, sizes: Any) -> Model:
    return load_unet(saved(tmp_path, "model.safetensors", sd3(sizes)), residency)


def added(network: LatentControl, model: Model, vae: VAE, strength: float = 1.0) -> dict[int, Tensor]:
    """What a network adds behind blocks at a middle noise level, shown a striped picture."""
    torch.manual_seed(0)
    latent = torch.randn(1, 16, 6, 8)
    image = torch.linspace(0, 1, 64)[None, None, :, None].expand(1, 48, 64, 3)
    control = network.with_vae(vae).applied(image, strength, 0.0, 1.0).for_run(Setting(model, latent))
    said = Inputs(torch.randn(1, 5, MEDIUM.text), {"pooled": torch.randn(1, MEDIUM.vector)})
    found = control(latent, torch.tensor([0.5]), TIME, said)
    assert found is not None
    return dict(found.input)


def published(name: str) -> Weights:
    """The names and shapes of a published file."""
    return as_weights({key: torch.empty(shape, device="meta") for key, shape in transformers()[name].items()})


def test_every_tensor_of_a_published_file_of_two_streams_has_its_place() -> None:
    weights = published("sd3_cn")
    sizes = joint_sizes(weights)
    assert (sizes.width, sizes.depth, sizes.text, sizes.places) == (1536, 12, 4096, 192)
    wanted = {name: tuple(each.shape) for name, each in JointControl(sizes).state_dict().items()}
    assert {name: each.shape for name, each in weights.items()} == wanted


def test_every_tensor_of_a_published_file_for_35_has_its_place() -> None:
    weights = published("sd35_large_cn")
    sizes = alone_sizes(weights)
    assert sizes == ControlSizes(width=2432, channels=16, hint=16, depth=19, vector=2432)
    wanted = {name: tuple(each.shape) for name, each in AloneControl(sizes).state_dict().items()}
    assert ALONE.left_over(weights, wanted) == []
    assert {name: each.shape for name, each in ALONE.read(weights, wanted).items()} == wanted


def test_a_network_of_two_streams_steers_all_blocks_but_the_last(
    tmp_path: Path, residency: Residency, vae: VAE
) -> None:
    medium = model(tmp_path, residency, MEDIUM)
    network = opened(tmp_path, residency, control())
    found = added(network, medium, vae)
    assert {number: tuple(each.shape) for number, each in found.items()} == {0: (1, 12, 128)}
    half = added(network, medium, vae, 0.5)
    assert torch.allclose(half[0], found[0] / 2, atol=1e-6)


def test_a_network_for_35_steers_every_block_and_is_the_librarys(
    tmp_path: Path, residency: Residency, vae: VAE
) -> None:
    large = model(tmp_path, residency, LARGE)
    found = added(opened(tmp_path, residency, control_35()), large, vae)
    assert list(found) == [0, 1, 2]
    assert torch.equal(found[0], found[1])
    assert not torch.allclose(found[1], found[2], atol=1e-3)

    network = AloneControl(CONTROL_35)
    network.load_state_dict(small_sd3.tensors_of(network, "control "), assign=True)
    tokens, hint = torch.randn(1, 12, 192), torch.randn(1, 16, 6, 8)
    sentence = torch.randn(1, CONTROL_35.vector)
    theirs = network.called(tokens, hint, pooled_projections=sentence, timestep=TIME, return_dict=False)[0]
    with torch.no_grad():
        ours = network(tokens, hint, TIME, sentence)
    assert all(torch.allclose(a, b, atol=1e-6) for a, b in zip(ours, theirs, strict=True))


def test_a_network_that_borrows_the_sentence_shows_every_block_the_same(
    tmp_path: Path, residency: Residency, vae: VAE
) -> None:
    sizes = replace(CONTROL_35, vector=CONTROL_35.width, own_embedder=True)
    large = model(tmp_path, residency, LARGE)
    found = added(opened(tmp_path, residency, control_35(sizes)), large, vae)
    network = AloneControl(sizes)
    network.load_state_dict(small_sd3.tensors_of(network, "control "), assign=True)
    tokens, hint, sentence = torch.randn(1, 12, 192), torch.randn(1, 16, 6, 8), torch.randn(1, 192)
    with torch.no_grad():
        seen = tokens + network.get_submodule("pos_embed_input")(hint)
        time = network.get_submodule("time_text_embed")(TIME, sentence)
        second = network.get_submodule("controlnet_blocks.1")(
            network.get_submodule("transformer_blocks.1")(seen, time)
        )
        assert torch.allclose(network(tokens, hint, TIME, sentence)[1], second, atol=1e-6)
    assert list(found) == [0, 1, 2]


@pytest.mark.parametrize(("shows", "pixel"), [(0.0, 0.25), (1.0, 32.375), (2.0, 0.75)])
def test_pictures_are_changed_as_the_file_says_what_they_show(
    tmp_path: Path, residency: Residency, shows: float, pixel: float
) -> None:
    network = opened(tmp_path, residency, control_35(shows=shows))
    assert network.shown(torch.tensor([0.25])).item() == pixel


def test_places_span_the_shorter_side() -> None:
    """Against the library's sines over the same grid."""
    down, right = torch.linspace(0, 15, 4), torch.linspace(7.5 - 11.25, 7.5 + 11.25, 6)
    grid = torch.stack(torch.meshgrid(right, down, indexing="xy")).reshape(2, 1, 4, 6)
    theirs = get_2d_sincos_pos_embed_from_grid(16, grid, output_type="pt")
    assert torch.allclose(places(4, 6, 16)[0], theirs.double(), atol=1e-5)


def test_an_inpainting_network_is_told_what_is_kept(tmp_path: Path, residency: Residency, vae: VAE) -> None:
    network = opened(tmp_path, residency, control(replace(CONTROL, hint=17)))
    image = network.masked(torch.ones(1, 4, 4, 3), torch.full((1, 4, 4), 0.75))
    assert image[0, 0, 0].tolist() == [1.0, 1.0, 1.0, 0.75]
    assert list(added(network, model(tmp_path, residency, MEDIUM), vae)) == [0]


# What does not fit


def test_a_model_of_another_size_is_refused_with_both_widths(
    tmp_path: Path, residency: Residency, vae: VAE
) -> None:
    network = opened(tmp_path, residency, control())
    with pytest.raises(Mismatch, match="has a width of 128, and the model one of 192"):
        added(network, model(tmp_path, residency, LARGE), vae)


def test_a_file_that_lacks_its_text_side_says_what_is_missing(tmp_path: Path, residency: Residency) -> None:
    tensors = {name: each for name, each in control().items() if not name.startswith("context_embedder")}
    with pytest.raises(UnknownModel, match=r"context_embedder\.weight is missing"):
        opened(tmp_path, residency, tensors)
