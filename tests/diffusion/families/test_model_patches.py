"""Small networks beside a model's own, from files."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from diffusion.errors import UnknownModel
from diffusion.families.flux.style import PREFIX, StyleReference, StyleSizes, StyleTokens
from diffusion.families.model_patches import load_model_patch
from diffusion.residency.budget import Residency
from diffusion.residency.precision import Precision
from tests.diffusion.small_models import prefixed, seeded


@pytest.fixture
def residency() -> Residency:
    return Residency(Precision("fp32"), "cpu")


def test_the_family_that_knows_a_file_opens_it(residency: Residency, tmp_path: Path) -> None:
    sizes = StyleSizes(seen=4, tokens=2, encoder=6, width=8)
    save_file(prefixed(PREFIX, seeded(lambda: StyleTokens(sizes))), tmp_path / "uso.safetensors")
    found = load_model_patch(tmp_path / "uso.safetensors", residency)
    assert isinstance(found, StyleReference)
    assert found.sizes == sizes


def test_a_file_that_nobody_knows_is_refused(residency: Residency, tmp_path: Path) -> None:
    save_file({"strange.weight": torch.zeros(2)}, tmp_path / "strange.safetensors")
    with pytest.raises(UnknownModel, match="no patch of a model"):
        load_model_patch(tmp_path / "strange.safetensors", residency)
