"""What a conditioning's options become for FLUX."""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from diffusion.conditioning import Entry as Line
from diffusion.conditioning import Setting
from diffusion.families.flux.inputs import flux_inputs
from diffusion.model import Model
from diffusion.residency.budget import Residency
from tests.diffusion.families.flux.small import DEPTH, DEV, FILL, SCHNELL, model


def inputs(model: Model, noise_mask: Tensor | None = None, **options: Any) -> Any:
    setting = Setting(model, torch.zeros(1, 16, 4, 6), noise_mask)
    return flux_inputs(Line(torch.zeros(1, 3, 12), options), "positive", setting)


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
