"""Small networks beside a model's own, as nodes."""

from typing import Any

import pytest

from nodes.adapt import model_patches


def test_a_patch_of_another_kind_is_refused_by_the_input() -> None:
    model: Any = object()
    with pytest.raises(ValueError, match="input 'model_patch' is no style projector of USO"):
        model_patches.follow_style(model, "something else", {})


def test_a_picture_leads_only_by_a_network_made_for_that() -> None:
    model: Any = object()
    with pytest.raises(ValueError, match="input 'model_patch' is no control network of DiffSynth"):
        model_patches.lead_by_picture(model, "something else", model, model)
