"""FLUX told from others, in both layouts, and sampled on its own clocks."""

from pathlib import Path
from typing import Any

import pytest
import torch

from diffusion.errors import FileProblem
from diffusion.families.detect import told
from diffusion.families.flux import native
from diffusion.families.flux.network import FluxSizes
from diffusion.residency.budget import Residency
from tests.diffusion.families.flux.small import DEV, FILL, SCHNELL, diffusers_file, file, model


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
