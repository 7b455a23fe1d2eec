"""DiffSynth's control of Qwen-Image: told, led by a picture and a mask, and whom it refuses."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor

from diffusion.errors import Mismatch
from diffusion.families.qwen_image.beside import Beside, BesideNet, BesideSizes, Leading, beside_network
from diffusion.families.qwen_image.network import QwenSizes
from diffusion.hooks import Hooks, Place
from diffusion.latents.latent_format import WAN
from diffusion.networks.backbone import Inputs
from diffusion.residency.budget import Residency
from diffusion.residency.precision import Precision
from diffusion.weights.entries import Weights
from tests.diffusion.small_models import as_weights, seeded, weights_of

CANNY, INPAINT = BesideSizes(width=8, seen=64, depth=2), BesideSizes(width=8, seen=68, depth=2)
MODEL = QwenSizes(width=8, in_channels=16, out_channels=16, text=12, depth=3)


class Vae:
    """Gives latents of the mean of each picture, and counts how often it is asked."""

    latent_channels, downscale, clips = 16, 8, True

    def __init__(self) -> None:
        self.asked = list[tuple[int, ...]]()

    def encode(self, pixels: Tensor) -> Tensor:
        self.asked.append(tuple(pixels.shape))
        small = pixels.mean(dim=(1, 2, 3)).reshape(-1, 1, 1, 1, 1)
        return small.expand(-1, 16, 1, pixels.shape[1] // 8, pixels.shape[2] // 8)


def network(sizes: BesideSizes = CANNY) -> Beside:
    module = seeded(lambda: BesideNet(sizes))
    weights = Weights(Path(__file__), weights_of(module).entries)
    found = beside_network(weights, Residency(Precision("fp32"), "cpu"))
    assert found is not None
    return found


def leading(sizes: BesideSizes = CANNY, strength: float = 1.0, mask: Tensor | None = None) -> Leading:
    vae: Any = Vae()
    return Leading(network(sizes), vae, torch.full((1, 16, 16, 3), 0.3), WAN, strength, mask)


@torch.no_grad()
def behind(hook: Leading, index: int, image: Tensor) -> Tensor:
    """The image's tokens behind a block that does nothing, in a pass over a latent of 4 × 4."""

    def predict(x: Tensor, timesteps: Tensor, inputs: Inputs, hooks: Hooks) -> Tensor:
        run = hooks.wrap("block.call", Place("double", index), lambda image, text: (image, text))
        out: Tensor = run(image, None)[0]
        return out

    return hook({}, torch.zeros(1, 16, 1, 4, 4), torch.tensor([0.5]), Inputs(image), Hooks(), predict)


def test_a_file_is_told_with_its_sizes() -> None:
    assert network(INPAINT).sizes == INPAINT
    nothing = as_weights({"controlnet_blocks.0.weight": torch.zeros(2, 2)})
    assert beside_network(nothing, Residency(Precision("fp32"), "cpu")) is None


def test_each_layer_adds_to_the_pictures_tokens_by_its_strength() -> None:
    image = torch.randn(1, 6, 8)  # four of the picture, two of a reference
    once, twice = (behind(leading(strength=by), 0, image) - image for by in (1.0, 2.0))
    assert once[:, :4].abs().min() > 0
    assert once[:, 4:].abs().sum() == 0
    assert torch.allclose(twice, 2 * once, atol=1e-6)
    assert torch.equal(behind(leading(), 2, image), image), "there are only two layers"


def test_the_picture_is_encoded_once_a_run_at_the_latents_size() -> None:
    hook = leading()
    for _ in range(2):
        behind(hook, 0, torch.randn(1, 4, 8))
    vae: Any = hook.vae
    assert vae.asked == [(1, 32, 32, 3)]
    assert hook.for_run().tokens == {}


def test_networks_for_inpainting_see_where_the_picture_is_kept() -> None:
    image = torch.randn(1, 4, 8)
    kept, painted = leading(INPAINT), leading(INPAINT, mask=torch.ones(1, 16, 16))
    assert not torch.allclose(behind(kept, 0, image), behind(painted, 0, image), atol=1e-4)
    assert kept.tokens[4, 4][..., 64:].eq(1).all()
    assert painted.tokens[4, 4][..., 64:].eq(0).all()


@pytest.mark.parametrize(
    ("sizes", "channels", "words"),
    [
        (object(), 16, "made for Qwen-Image, and the model is Another"),
        (QwenSizes(16, 16, 16, 12, 1), 16, "is 8 wide, and the model 16"),
        (MODEL, 4, "not the one that Qwen-Image sees pictures through"),
    ],
)
def test_another_model_or_vae_is_refused(sizes: Any, channels: int, words: str) -> None:
    family = SimpleNamespace(title="Another")
    model: Any = SimpleNamespace(sizes=sizes, latent_format=WAN, family=family)
    vae: Any = SimpleNamespace(latent_channels=channels, clips=channels == 16)
    with pytest.raises(Mismatch, match=words):
        network().applied(model, vae, torch.zeros(1, 8, 8, 3), 1.0)
