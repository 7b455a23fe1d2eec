"""What a conditioning's options become for Stable Diffusion 3, and what does not fit it."""

from typing import Any

import pytest
import torch
from torch import Tensor

from diffusion.conditioning import Entry as Line
from diffusion.conditioning import Setting
from diffusion.errors import Mismatch
from diffusion.families.sd3 import FAMILIES
from diffusion.families.sd3.inputs import sd3_inputs
from diffusion.model import Model
from tests.diffusion.small_models import as_weights
from tests.nodes.small_sd3 import MEDIUM


class Backbone:
    weights = as_weights({})


def inputs(latent: Tensor | None = None, **options: Any) -> Any:
    model = Model(Backbone(), FAMILIES[1], MEDIUM, None, FAMILIES[1].latent)  # type: ignore[arg-type]
    latent = torch.zeros(1, 16, 4, 6) if latent is None else latent
    return sd3_inputs(Line(torch.zeros(1, 3, MEDIUM.text), options), "positive", Setting(model, latent))


def test_the_sentence_is_handed_on() -> None:
    sentence = torch.randn(1, MEDIUM.vector)
    assert torch.equal(inputs(pooled_output=sentence)["pooled"], sentence)
    assert inputs() == {}


def test_a_sentence_of_another_width_is_refused_with_both_widths() -> None:
    with pytest.raises(Mismatch, match=r"sentences of width 128, and the positive conditioning's has 64"):
        inputs(pooled_output=torch.randn(1, 64))


def test_a_picture_beyond_the_table_of_places_is_refused() -> None:
    inputs(torch.zeros(1, 16, 48, 47))
    with pytest.raises(Mismatch, match="no place beyond 384 pixels"):
        inputs(torch.zeros(1, 16, 49, 8))
