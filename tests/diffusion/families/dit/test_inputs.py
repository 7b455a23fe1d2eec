"""Classes by number, and none."""

from typing import Any

import pytest
import torch

from diffusion.conditioning import Entry as Line
from diffusion.conditioning import Setting
from diffusion.errors import Mismatch
from diffusion.families.dit import FAMILIES
from diffusion.families.dit.inputs import dit_inputs
from diffusion.model import Model
from tests.diffusion.small_models import as_weights
from tests.nodes.small_dit import SMALL


class Backbone:
    weights = as_weights({})


def label(**options: Any) -> Any:
    model = Model(Backbone(), FAMILIES[0], SMALL, None, FAMILIES[0].latent)  # type: ignore[arg-type]
    setting = Setting(model, torch.zeros(1, 4, 8, 8))
    return dit_inputs(Line(torch.zeros(1, 1, 1), options), "positive", setting)["labels"].tolist()


def test_a_class_is_told_by_its_number_and_none_by_the_one_behind_all() -> None:
    assert label(class_label=0) == [0]
    assert label(class_label=999) == [999]
    assert label(class_label=-1) == [1000]
    assert label() == [1000]


@pytest.mark.parametrize("number", [1000, -2])
def test_a_class_that_is_not_there_is_refused(number: int) -> None:
    with pytest.raises(Mismatch, match=f"knows classes 0 to 999, and not {number}"):
        label(class_label=number)
