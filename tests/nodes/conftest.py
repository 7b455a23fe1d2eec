"""A program of nodes over a real, very small checkpoint."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from diffusion.latents.vae import AutoencoderKL, VAESizes
from diffusion.networks.unet import UNet, UNetSizes
from diffusion.residency.budget import Residency
from diffusion.residency.precision import Precision
from diffusion.text.clip import ClipText, TextSizes
from execution.declare.node import Run
from execution.declare.registry import Registry
from execution.files.folders import Folders
from nodes.program import build_registry

METADATA = {
    "nodeloom.unet.norm_groups": "8",
    "nodeloom.unet.heads": "2",
    "nodeloom.vae.norm_groups": "8",
    "nodeloom.text.heads": "2",
}
PARTS: dict[str, Callable[[], nn.Module]] = {
    "model.diffusion_model.": lambda: UNet(
        UNetSizes.even((1, 2), (1, 1), blocks=1, channels=32, context=32, heads=2, norm_groups=8)
    ),
    "first_stage_model.": lambda: AutoencoderKL(
        VAESizes(channels=16, multipliers=(1, 1, 1, 1), blocks=1, norm_groups=8)
    ),
    "cond_stage_model.transformer.": lambda: ClipText(TextSizes(width=32, layers=3, heads=2, inner=64)),
}
"""The parts of the small checkpoint, by the prefix of their keys."""


def small(prefix: str) -> dict[str, torch.Tensor]:
    """The tensors of one part, the same each time."""
    with torch.random.fork_rng():
        torch.manual_seed(len(prefix))
        module = PARTS[prefix]()
    return {prefix + key: tensor.clone().contiguous() for key, tensor in module.state_dict().items()}


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A models folder with `checkpoints/small.safetensors`, and each of its parts alone."""
    root = tmp_path_factory.mktemp("models")
    unet, vae, text = (small(prefix) for prefix in PARTS)
    for path, tensors in {
        "checkpoints/small.safetensors": {**unet, **vae, **text},
        "checkpoints/only_unet.safetensors": unet,
        "diffusion_models/unet.safetensors": unet,
        "vae/vae.safetensors": {key.removeprefix("first_stage_model."): each for key, each in vae.items()},
        "text_encoders/text.safetensors": {
            key.removeprefix("cond_stage_model.transformer."): each for key, each in text.items()
        },
        "embeddings/style.safetensors": {"emb_params": torch.ones(2, 32)},
    }.items():
        (root / path).parent.mkdir(exist_ok=True)
        save_file(tensors, root / path, METADATA)
    return root


@pytest.fixture
def registry(models: Path, tmp_path: Path) -> Registry:
    """All nodes, over the small checkpoint, computing in fp32 on the processor."""
    return build_registry(Folders(tmp_path, models=models), Residency(Precision("fp32"), "cpu"))


@pytest.fixture
def call(registry: Registry) -> Callable[..., Any]:
    """Calls a node by its name; gives its outputs: `(latent,) = call("KSampler", …)`."""

    def call(name: str, run: Run | None = None, **inputs: Any) -> Any:
        return registry.types[name](inputs, run or Run()).outputs

    return call
