"""Transformers of real size: recognised, nothing missing or left over, and opened in little memory.

Their files are headers with a hole behind, so that no time goes into writing 24 GB.
`benchmarks/real_size.py` runs them.
"""

from pathlib import Path

import psutil
import pytest
import torch

from diffusion.families.checkpoints import load_unet
from diffusion.families.detect import require
from diffusion.residency.budget import Residency
from diffusion.residency.precision import Precision
from diffusion.weights.entries import Entry, Weights
from diffusion.weights.files import open_weights
from diffusion.weights.loading import on_meta
from diffusion.weights.quantised import Quantised
from tests.diffusion.sparse_files import transformers, write_hole

FAMILIES = {
    "flux_dev": ("flux", 11.90),
    "flux_dev_diffusers": ("flux", 11.90),
    "flux_schnell": ("flux_schnell", 11.89),
    "flux_fill": ("flux", 11.90),
    "flux_depth_canny": ("flux", 11.90),
    "auraflow": ("auraflow", 6.84),
    "sd3_medium": ("sd3", 2.03),
    "sd3_medium_incl_clips_t5": ("sd3", 2.03),
    "sd35_medium": ("sd35", 2.24),
    "sd35_large": ("sd35", 8.06),
    "pixart_sigma": ("pixart_sigma", 0.61),
    "pixart_sigma_diffusers": ("pixart_sigma", 0.61),
    "pixart_alpha": ("pixart_alpha", 0.61),
}
"""The family of a file, and its weights in billions."""


@pytest.mark.parametrize("name", FAMILIES)
def test_it_is_recognised_and_every_tensor_has_its_place(name: str) -> None:
    shapes = transformers()[name]
    entries = {
        key: Entry(tuple(shape), torch.float16, lambda shape=shape: torch.empty(shape, device="meta"))  # type: ignore[misc]
        for key, shape in shapes.items()
    }
    found = require(Weights(Path(f"{name}.safetensors"), entries))
    family, billions = FAMILIES[name]
    assert found.family.name == family
    network = on_meta(lambda: found.family.network(found.sizes), found.weights.path)
    wanted = {key: tuple(each.shape) for key, each in network.state_dict().items()}
    layout = found.family.layout
    assert layout is not None
    assert layout.left_over(found.weights, wanted) == []
    read = layout.read(found.weights, wanted)
    assert {key: entry.shape for key, entry in read.items()} == wanted
    assert sum(each.numel() for each in network.parameters()) / 1e9 == pytest.approx(billions, abs=0.02)


@pytest.mark.parametrize(("kind", "gigabytes"), [("F8_E4M3", 11.9), ("Q4_0", 6.7), ("Q8_0", 12.6)])
def test_twelve_billion_weights_are_opened_and_held_packed_in_little_memory(
    kind: str, gigabytes: float, tmp_path: Path
) -> None:
    path = write_hole(tmp_path / "flux.bin", transformers()["flux_dev"], kind)
    assert path.stat().st_size / 1e9 == pytest.approx(gigabytes, rel=0.02)
    before = resident()
    residency = Residency(Precision("bf16"), "cpu", budget=lambda device: 20 << 30)
    model = load_unet(path, residency)
    with model.backbone.use() as network:
        matrices = [each for each in network.parameters() if each.dim() > 1]
        assert all(isinstance(each, Quantised) for each in matrices)
        assert residency.bytes == pytest.approx(path.stat().st_size, rel=0.01)
        assert resident() - before < 1e9
    residency.close()


def test_a_file_of_twelve_billion_halves_is_opened_by_its_header(tmp_path: Path) -> None:
    path = write_hole(tmp_path / "flux.safetensors", transformers()["flux_dev"], "BF16")
    before = resident()
    assert path.stat().st_size / 1e9 == pytest.approx(23.8, rel=0.01)
    model = load_unet(path, Residency(Precision("bf16"), "cpu"))
    assert (model.family.name, len(open_weights(path))) == ("flux", 780)
    assert resident() - before < 5e8


def resident() -> int:
    """Bytes of memory of this process, what it has touched of mapped files included."""
    found: int = psutil.Process().memory_info().rss
    return found
