"""DiT's network against diffusers' class, its guidance against diffusers' formula, and any size."""

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from diffusion.families.checkpoints import load_unet
from diffusion.families.dit.network import DiT, places
from diffusion.guidance.guidance import CFGGuider
from diffusion.hooks import Hooks
from diffusion.networks.backbone import Inputs
from diffusion.networks.zoo import built
from diffusion.residency.budget import Residency
from diffusion.residency.precision import Precision
from diffusion.samplers import SAMPLERS
from diffusion.sampling import sample
from tests.nodes.small_dit import SMALL, dit
from tests.nodes.small_sd3 import tensors_of


def filled() -> DiT:
    network = DiT(SMALL)
    network.load_state_dict(tensors_of(network), assign=True)
    return network


@pytest.fixture(scope="module")
def theirs() -> nn.Module:
    """diffusers' own network with the same weights, the embedders again in every block."""
    network = built(
        "transformers.dit_transformer_2d",
        "DiTTransformer2DModel",
        sample_size=16,
        in_channels=4,
        out_channels=8,
        num_layers=2,
        attention_head_dim=72,
        num_attention_heads=2,
    )
    tensors = tensors_of(DiT(SMALL))
    first = "transformer_blocks.0.norm1.emb."
    again = {name.replace(".0.", ".1.", 1): each for name, each in tensors.items() if name.startswith(first)}
    network.load_state_dict({**tensors, **again}, assign=True)
    return network


@torch.no_grad()
def test_it_is_the_librarys_without_the_variances(theirs: nn.Module) -> None:
    x, time, labels = torch.randn(2, 4, 16, 16), torch.tensor([700.0, 30.0]), torch.tensor([3, 1000])
    expected = theirs(x, time, labels, return_dict=False)[0]
    found = filled().predict(x, time, Inputs(torch.zeros(2, 1, 1), {"labels": labels}), Hooks())
    assert found.shape == x.shape
    assert torch.allclose(found, expected[:, :4], atol=1e-5)


@torch.no_grad()
def test_a_step_with_guidance_is_the_librarys_formula(theirs: nn.Module, tmp_path: Path) -> None:
    save_file({name: each.contiguous() for name, each in dit().items()}, tmp_path / "dit.safetensors")
    model = load_unet(tmp_path / "dit.safetensors", Residency(Precision("fp32"), "cpu"))
    scale, latent = 4.0, torch.randn(1, 4, 16, 16)
    high, low = model.prediction.sigmas[600].float(), model.prediction.sigmas[500].float()
    words = [[torch.zeros(1, 1, 1), {"class_label": 3}]], [[torch.zeros(1, 1, 1), {"class_label": -1}]]
    sigmas = torch.stack([high, low])
    noise = latent / high  # so that the run begins at this latent
    guider = CFGGuider(model, *words, scale)
    found = sample(guider, noise, torch.zeros_like(latent), SAMPLERS["euler"], sigmas)

    shown = latent / (high**2 + 1).sqrt()
    time, labels = torch.tensor([600.0, 600.0]), torch.tensor([3, 1000])
    out = theirs(torch.cat([shown, shown]), time, labels, return_dict=False)[0]
    told, untold = out[:, :4].chunk(2)
    eps = untold + scale * (told - untold)
    expected = latent + eps * (low - high)
    assert torch.allclose(model.latent_format.into(found.latent), expected, atol=1e-4)


@torch.no_grad()
def test_any_size_odd_ones_too_and_hooks_see_each_block() -> None:
    seen: list[Any] = []

    def block(place: Any, image: Any, text: Any, run: Any) -> Any:
        seen.append((place.block, place.index, image.shape[1]))
        return run(image, text)

    x = torch.randn(1, 4, 7, 12)
    said = Inputs(torch.zeros(1, 1, 1), {"labels": torch.tensor([5])})
    out = filled().predict(x, torch.tensor([10.0]), said, Hooks({"block.call": (block,)}))
    assert out.shape == x.shape
    assert seen == [("layer", 0, 24), ("layer", 1, 24)]


def test_a_larger_picture_spans_the_places_that_are_known() -> None:
    wide, known = places(8, 16, SMALL)[0].reshape(8, 16, -1), places(8, 8, SMALL)[0].reshape(8, 8, -1)
    assert torch.allclose(wide[:, ::2], known)
