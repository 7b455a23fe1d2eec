"""FLUX told from others, read in both layouts, and what a conditioning's options become."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from diffusion.conditioning import Entry as Line
from diffusion.conditioning import Setting
from diffusion.errors import FileProblem
from diffusion.families.checkpoints import model_from
from diffusion.families.detect import told
from diffusion.families.flux import native
from diffusion.families.flux.inputs import flux_inputs
from diffusion.families.flux.layout import LAYOUT
from diffusion.families.flux.network import Flux, FluxSizes
from diffusion.families.flux.references import Spot, spots
from diffusion.hooks import Hooks
from diffusion.model import Model
from diffusion.networks.backbone import Control, Inputs
from diffusion.residency.budget import Residency
from diffusion.residency.precision import Precision
from diffusion.weights.entries import Entry, Weights

DEV = FluxSizes(
    width=128, in_channels=16, out_channels=16, text=12, vector=8, doubles=2, singles=2, guidance=True
)
FILL, SCHNELL = replace(DEV, in_channels=96), replace(DEV, guidance=False)
DEPTH = replace(DEV, in_channels=32)


def diffusers_file(sizes: FluxSizes, path: Path = Path("flux.safetensors")) -> Weights:
    """A file in diffusers' layout."""
    torch.manual_seed(0)
    shapes = {name: tuple(each.shape) for name, each in Flux(sizes).state_dict().items()}
    tensors = {name: torch.randn(shape) * 0.1 for name, shape in shapes.items()}
    return Weights(path, {name: Entry(tuple(t.shape), t.dtype, lambda t=t: t) for name, t in tensors.items()})


def file(sizes: FluxSizes, path: Path = Path("flux.safetensors")) -> Weights:
    """A file in FLUX's own layout."""
    weights = diffusers_file(sizes, path)
    return weights.having(LAYOUT.written(weights))


@pytest.fixture
def residency() -> Residency:
    return Residency(Precision("fp32"), "cpu")


def model(sizes: FluxSizes, residency: Residency, tmp_path: Path) -> Model:
    path = tmp_path / "flux.safetensors"
    path.touch()
    found = told(file(sizes, path))
    assert found is not None
    return model_from(found, residency)


def inputs(
    model: Model, latent: Tensor | None = None, noise_mask: Tensor | None = None, **options: Any
) -> Any:
    latent = torch.zeros(1, 16, 4, 6) if latent is None else latent
    setting = Setting(model, latent, noise_mask)
    return flux_inputs(Line(torch.zeros(1, 3, 12), options), "positive", setting)


# Files


@pytest.mark.parametrize(("sizes", "name"), [(DEV, "flux"), (FILL, "flux"), (SCHNELL, "flux_schnell")])
@pytest.mark.parametrize("laid_out", [file, diffusers_file])
def test_files_of_both_layouts_are_told_with_their_sizes(sizes: FluxSizes, name: str, laid_out: Any) -> None:
    found = told(laid_out(sizes))
    assert found is not None
    assert (found.family.name, found.sizes) == (name, sizes)


@pytest.mark.parametrize("prefix", ["model.diffusion_model.", "diffusion_model."])
def test_a_network_is_found_behind_the_prefix_of_a_checkpoint(prefix: str) -> None:
    weights = file(DEV)
    found = told(weights.having({prefix + name: entry for name, entry in weights.items()}))
    assert found is not None
    assert found.sizes == DEV


def test_nothing_of_a_file_is_left_over() -> None:
    shapes = {name: tuple(each.shape) for name, each in Flux(DEV).state_dict().items()}
    weights = file(DEV)
    assert LAYOUT.left_over(weights, shapes) == []
    assert set(LAYOUT.read(weights, shapes)) == set(shapes)
    assert LAYOUT.names("double_blocks.1.txt_attn.norm.key_norm.scale") == (
        "transformer_blocks.1.attn.norm_added_k.weight",
    )


def test_a_projection_read_from_a_file_in_diffusers_layout_is_not_packed_and_cut_again() -> None:
    weights = diffusers_file(DEV)
    shapes = {name: entry.shape for name, entry in weights.items()}
    read = LAYOUT.read(native(weights), shapes)
    name = "single_transformer_blocks.1.attn.to_k.weight"
    assert read.tensor(name).data_ptr() == weights.tensor(name).data_ptr()
    assert all(torch.equal(read.tensor(name), weights.tensor(name)) for name in weights)


def test_a_file_without_one_of_three_projections_says_which() -> None:
    weights = diffusers_file(DEV)
    left = {name: weights[name] for name in weights if name != "transformer_blocks.0.attn.to_k.weight"}
    with pytest.raises(FileProblem, match=r"transformer_blocks\.0\.attn\.to_k\.weight"):
        native(weights.having(left))


def test_dev_is_sampled_on_a_bent_clock_and_schnell_on_an_even_one(
    residency: Residency, tmp_path: Path
) -> None:
    dev, schnell = (model(sizes, residency, tmp_path).prediction.clock for sizes in (DEV, SCHNELL))
    assert len(dev.sigmas) == 10_000
    assert dev.sigma_at(0.5) == pytest.approx(0.7595, abs=1e-4)
    assert schnell.sigma_at(0.5) == pytest.approx(0.5)
    assert dev.timestep(torch.tensor(0.3)).item() == pytest.approx(0.3)


# Inputs


def test_guidance_is_as_usual_as_told_or_none(residency: Residency, tmp_path: Path) -> None:
    dev = model(DEV, residency, tmp_path)
    assert inputs(dev)["guidance"].tolist() == [3.5]
    assert inputs(dev, guidance=7.0)["guidance"].tolist() == [7.0]
    assert "guidance" not in inputs(dev, guidance=None)
    told = inputs(model(SCHNELL, residency, tmp_path))
    assert told["guidance"].tolist() == [3.5], "control networks beside schnell are told"


def test_depth_and_canny_see_the_pictures_latent(residency: Residency, tmp_path: Path) -> None:
    depth = model(DEPTH, residency, tmp_path)
    picture = torch.randn(1, 16, 4, 6)
    channels = inputs(depth, concat_latent_image=picture)["channels"]
    assert torch.equal(channels, depth.latent_format.into(picture))
    nothing = inputs(depth)["channels"]
    assert torch.allclose(nothing, torch.tensor(-0.1159 * 0.3611))


def test_fill_sees_each_pixel_of_the_mask(residency: Residency, tmp_path: Path) -> None:
    fill = model(FILL, residency, tmp_path)
    mask = torch.arange(32.0 * 48).reshape(1, 32, 48)
    channels = inputs(fill, concat_mask=mask)["channels"]
    assert channels.shape == (1, 80, 4, 6)
    assert torch.equal(channels[0, 16:, 1, 2], mask[0, 8:16, 16:24].flatten())
    by_noise_mask = inputs(fill, noise_mask=torch.full((1, 1, 4, 6), 0.25))["channels"]
    assert (by_noise_mask[:, 16:] == 0.25).all()
    assert (inputs(fill)["channels"][:, 16:] == 1).all()


def test_references_are_scaled_and_laid_as_said(residency: Residency, tmp_path: Path) -> None:
    dev = model(DEV, residency, tmp_path)
    latent = torch.randn(1, 16, 4, 6)
    found = inputs(dev, reference_latents=[latent], reference_latents_method="index")
    assert torch.equal(found["references"][0], dev.latent_format.into(latent))
    assert found["method"] == "index"
    assert inputs(dev, reference_latents=[latent])["method"] == "offset"


# References


def test_references_lie_right_or_below_whichever_is_nearer_to_a_square() -> None:
    image, *others = spots(4, 4, [(8, 8), (8, 8), (4, 4)], "offset")
    assert image == Spot(4, 4)
    assert [(each.index, each.top, each.left) for each in others] == [(1, 0, 0), (1, 4, 0), (1, 0, 4)]


def test_references_may_have_layers_of_their_own() -> None:
    _, *others = spots(4, 4, [(8, 8), (8, 8)], "index")
    assert [(each.index, each.top, each.left) for each in others] == [(1, 0, 0), (2, 0, 0)]


@pytest.mark.parametrize("method", ["uxo", "uno"])
def test_references_may_lie_along_the_diagonal(method: str) -> None:
    _, *others = spots(4, 3, [(8, 6), (3, 3)], method)
    assert [(each.index, each.top, each.left) for each in others] == [(0, 4, 3), (0, 8, 6)]
    assert (others[1].rows, others[1].columns) == (2, 2)


def test_each_token_knows_index_row_and_column() -> None:
    assert Spot(1, 2, 1, 5, 7).ids(torch.device("cpu")).tolist() == [[1, 5, 7], [1, 5, 8]]


# The network


@torch.no_grad()
def asked(network: Flux, **given: Any) -> Tensor:
    torch.manual_seed(3)
    x, context = torch.randn(1, 16, 4, 6), torch.randn(1, 3, 12)
    control = given.pop("control", None)
    tensors = {"guidance": torch.tensor([3.5]), "pooled": torch.randn(1, 8), **given}
    return network.predict(x, torch.tensor([0.6]), Inputs(context, tensors, control), Hooks())


@pytest.fixture(scope="module")
def network() -> Flux:
    made = Flux(DEV)
    weights = diffusers_file(DEV)
    made.load_state_dict({name: weights.tensor(name) for name in weights}, assign=True)
    return made


def test_a_control_is_added_behind_the_blocks_it_names(network: Flux) -> None:
    plain = asked(network)
    for control in (Control(input={1: torch.ones(1, 6, 128)}), Control(output={0: torch.ones(1, 6, 128)})):
        assert not torch.allclose(asked(network, control=control), plain)
    nothing = Control(input={0: torch.zeros(1, 6, 128)}, output={1: torch.zeros(1, 6, 128)})
    assert torch.equal(asked(network, control=nothing), plain)


def test_a_control_leaves_references_alone(network: Flux) -> None:
    references = [torch.randn(1, 16, 4, 4)]
    given: dict[str, Any] = {"references": references, "method": "offset"}
    plain = asked(network, **given)
    assert plain.shape == (1, 16, 4, 6)
    assert not torch.allclose(plain, asked(network))
    zero = Control(input={0: torch.zeros(1, 6, 128)})
    assert torch.equal(asked(network, control=zero, **given), plain)


def test_a_mask_of_zeros_changes_nothing_and_one_of_words_does(network: Flux) -> None:
    plain = asked(network)
    mask = torch.zeros(1, 4, 4)
    assert torch.allclose(asked(network, attention_mask=mask, mask_shape=(1, 1)), plain, atol=1e-5)
    mask[:, :, 0] = -1e4
    assert not torch.allclose(asked(network, attention_mask=mask, mask_shape=(1, 1)), plain, atol=1e-4)


def test_taking_guidance_away_is_not_guidance_of_nothing(network: Flux) -> None:
    none = asked(network, guidance=None)
    assert not torch.allclose(none, asked(network))
    assert not torch.allclose(none, asked(network, guidance=torch.zeros(1)))
