"""Small random models of each family, and files of them in the layouts the world uses."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from diffusion.latents.vae import AutoencoderKL, VAESizes
from diffusion.networks.unet import UNet, UNetSizes
from diffusion.text.clip import ClipText, TextSizes
from diffusion.weights.entries import Entry, Weights

SD1 = UNetSizes.even((1, 2), (1, 0), blocks=1, channels=32, context=64, heads=4, norm_groups=8)
SD1_INPAINTING = UNetSizes.even(
    (1, 2), (1, 0), blocks=1, channels=32, context=64, in_channels=9, norm_groups=8
)
SD2 = UNetSizes.even(
    (1, 2), (1, 1), blocks=1, channels=64, context=64, heads=None, head_channels=32, linear_projections=True
)
SDXL = UNetSizes.even(
    (1, 2),
    (0, 2),
    blocks=2,
    channels=64,
    context=128,
    heads=None,
    head_channels=64,
    linear_projections=True,
    vector=2816,
)
VAE = VAESizes(channels=16, multipliers=(1, 1, 2, 2), blocks=1, norm_groups=8)
TEXT = TextSizes(width=64, layers=3, heads=1, inner=128)

METADATA = {
    "nodeloom.unet.norm_groups": "8",
    "nodeloom.unet.heads": "4",
    "nodeloom.vae.norm_groups": "8",
}


M = TypeVar("M", bound=nn.Module)


def seeded(build: Callable[[], M], seed: int = 0) -> M:
    """A module with weights that depend on the seed only, none of them zero."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        module = build()
        for parameter in module.parameters():
            if parameter.dim() < 2:
                nn.init.normal_(parameter, std=0.2)
    return module.eval().requires_grad_(False)


def weights_of(module: nn.Module) -> Weights:
    """A module's tensors as if a file held them."""
    return as_weights(module.state_dict())


def as_weights(tensors: Mapping[str, Tensor], metadata: Mapping[str, str] | None = None) -> Weights:
    """Tensors as if a file held them."""

    def entry(tensor: Tensor) -> Entry:
        return Entry(tuple(tensor.shape), tensor.dtype, lambda: tensor)

    return Weights(Path("memory"), {name: entry(tensor) for name, tensor in tensors.items()}, metadata or {})


def prefixed(prefix: str, module: nn.Module) -> dict[str, Tensor]:
    """A module's tensors under a prefix."""
    return {f"{prefix}{name}": tensor.contiguous() for name, tensor in module.state_dict().items()}


def sd1_tensors(unet: UNetSizes = SD1) -> dict[str, Tensor]:
    """All tensors of a small SD 1.x checkpoint."""
    return {
        **prefixed("model.diffusion_model.", seeded(lambda: UNet(unet), 1)),
        **prefixed("cond_stage_model.transformer.", seeded(lambda: ClipText(TEXT), 2)),
        **prefixed("first_stage_model.", seeded(lambda: AutoencoderKL(VAE), 3)),
    }


def write_sd1(path: Path, dtype: torch.dtype = torch.float32) -> Path:
    """A small SD 1.x checkpoint."""
    save_file({name: tensor.to(dtype) for name, tensor in sd1_tensors().items()}, path, METADATA)
    return path
