"""What PixArt alpha is told of the picture's size."""

from typing import Any

import torch

from diffusion.conditioning import Entry as Line
from diffusion.conditioning import Setting
from diffusion.families.pixart import FAMILIES
from diffusion.families.pixart.inputs import pixart_inputs
from diffusion.families.pixart.network import PixArtSizes
from diffusion.model import Model
from tests.diffusion.small_models import as_weights
from tests.nodes.small_pixart import ALPHA, SIGMA


class Backbone:
    weights = as_weights({})


def inputs(sizes: PixArtSizes, **options: Any) -> Any:
    family = FAMILIES[0]
    model = Model(Backbone(), family, sizes, None, family.latent)  # type: ignore[arg-type]
    setting = Setting(model, torch.zeros(1, 4, 16, 32))
    return pixart_inputs(Line(torch.zeros(1, 3, 12), options), "positive", setting)


def test_alpha_is_told_the_size_of_the_latent_or_that_of_the_text() -> None:
    plain, said = inputs(ALPHA), inputs(ALPHA, width=1024, height=768)
    assert (plain["resolution"].tolist(), plain["aspect_ratio"].tolist()) == ([[128, 256]], [[0.5]])
    assert (said["resolution"].tolist(), said["aspect_ratio"].tolist()) == ([[768, 1024]], [[0.75]])


def test_a_width_of_nothing_is_no_division_by_nothing() -> None:
    assert inputs(ALPHA, width=0, height=8)["aspect_ratio"].isfinite().all()


def test_sigma_is_told_nothing() -> None:
    assert inputs(SIGMA, width=1024, height=768) == {}
