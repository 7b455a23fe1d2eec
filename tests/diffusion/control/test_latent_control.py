"""Control networks that are shown a latent of their picture: its size, its mask, and which VAE makes it."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from diffusion.conditioning import Setting
from diffusion.control.latent_control import Hint, LatentControl, as_it_is
from diffusion.errors import Mismatch
from diffusion.families.sd3 import FAMILIES
from diffusion.model import Model
from diffusion.networks.backbone import Control
from tests.diffusion.small_models import as_weights


class Halving:
    """Stands for a VAE of 16 channels: it keeps two colours and each second pixel."""

    latent_channels = 16
    downscale = 2

    def encode(self, image: Tensor) -> Tensor:
        return image[:, ::2, ::2, :2].movedim(-1, 1)


class Backbone:
    weights = as_weights({})


def model() -> Model:
    return Model(Backbone(), FAMILIES[1], None, None, FAMILIES[1].latent)  # type: ignore[arg-type]


def doubled(latent: Tensor) -> Tensor:
    return latent * 2


def hint(picture: Tensor, rows: int = 1, masked: bool = False) -> Hint:
    return Hint(picture, Halving(), rows, doubled, as_it_is, masked)  # type: ignore[arg-type]


def begun(hint: Hint, setting: Setting) -> Any:
    return lambda x, timesteps, inputs, strength: Control({0: hint.like(x)})


NETWORK = LatentControl("lines.safetensors", begun, lambda setting: doubled, takes_mask=True)


def test_a_picture_becomes_a_latent_of_the_runs_size_made_once() -> None:
    made = hint(torch.full((1, 3, 8, 8), 0.5))
    assert torch.equal(made.like(torch.zeros(1, 16, 4, 6)), torch.ones(1, 2, 4, 6))
    first = made.latents[4, 6]
    made.like(torch.zeros(2, 16, 4, 6))
    assert made.latents[4, 6] is first
    assert list(made.latents) == [(4, 6)]


def test_pictures_of_a_batch_are_repeated_for_each_conditioning() -> None:
    pictures = torch.stack([torch.zeros(3, 8, 8), torch.ones(3, 8, 8)])
    found = hint(pictures, rows=2).like(torch.zeros(4, 16, 4, 4))
    assert found[:, 0, 0, 0].tolist() == [0, 2, 0, 2]


@pytest.mark.parametrize(("fourth", "kept"), [([], 1.0), ([torch.full((1, 1, 8, 8), 0.25)], 0.25)])
def test_where_the_picture_is_kept_lies_behind_its_latent(fourth: list[Tensor], kept: float) -> None:
    picture = torch.cat([torch.ones(1, 3, 8, 8), *fourth], dim=1)
    found = hint(picture, masked=True).like(torch.zeros(1, 16, 4, 4))
    assert found[0, :, 1, 1].tolist() == [2.0, 2.0, kept]


def test_a_network_that_takes_a_mask_sees_what_is_kept_and_how_far() -> None:
    image, kept = torch.ones(1, 2, 2, 3), torch.tensor([[[0.25, 0.75], [0.0, 1.0]]])
    seen = NETWORK.masked(image, kept)
    assert seen[0, ..., 0].tolist() == [[0.0, 1.0], [0.0, 1.0]]
    assert torch.equal(seen[..., 3], kept)
    assert replace(NETWORK, takes_mask=False).masked(image, kept) is image


def started(network: LatentControl) -> Any:
    return network.applied(torch.ones(1, 8, 8, 3), 1.0, 0.0, 1.0).for_run(
        Setting(model(), torch.zeros(1, 16, 4, 4))
    )


def test_without_a_vae_it_says_which_file_needs_one() -> None:
    with pytest.raises(Mismatch, match=r"lines\.safetensors looks at a latent of its picture.*VAE"):
        started(NETWORK)


def test_a_vae_of_other_latents_is_refused() -> None:
    other: Any = Halving()
    other.latent_channels = 4
    with pytest.raises(Mismatch, match="latents of 4 channels, and Stable Diffusion 3 has 16"):
        started(NETWORK.with_vae(other))
