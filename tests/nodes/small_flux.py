"""Small random models of FLUX.1 and what goes with them, as tensors under the names of their files."""

from collections.abc import Iterator
from dataclasses import replace

import torch
from torch import Tensor

from diffusion.control.style_model import Redux
from diffusion.families.flux.control import ControlSizes, FluxControl
from diffusion.families.flux.layout import LAYOUT
from diffusion.families.flux.network import Flux, FluxSizes
from diffusion.families.flux.style import PREFIX, StyleSizes, StyleTokens
from diffusion.latents.vae import AutoencoderKL, VAESizes
from diffusion.networks.siglip import Siglip, SiglipSizes
from tests.diffusion.small_models import as_weights, prefixed, seeded
from tests.golden.weights import tensor_for

Tensors = dict[str, Tensor]

TEXT, POOLED = 144, 64  # widths of the small T5 and CLIP
DEV = FluxSizes(
    width=128, in_channels=16, out_channels=16, text=TEXT, vector=POOLED, doubles=2, singles=2, guidance=True
)
FILL, DEPTH = replace(DEV, in_channels=96), replace(DEV, in_channels=32)
AUTOENCODER = VAESizes(
    latent_channels=16, channels=16, multipliers=(1, 1, 2, 2), blocks=1, norm_groups=8, quantised=False
)
METADATA = {"nodeloom.vae.norm_groups": "8"}


def flux(sizes: FluxSizes, salt: str = "") -> Tensors:
    """A diffusion model; `salt` makes another of the same sizes."""
    shapes = {name: tuple(each.shape) for name, each in Flux(sizes).state_dict().items()}
    tensors = {name: tensor_for(salt + name, shape) for name, shape in shapes.items()}
    return {name: each.read() for name, each in LAYOUT.written(as_weights(tensors)).items()}


def autoencoder() -> Tensors:
    """Its autoencoder, of 16 channels."""
    return prefixed("", seeded(lambda: AutoencoderKL(AUTOENCODER), 3))


def lora(model: Tensors, rank: int = 2) -> Tensors:
    """A LoRA on every packed projection of a model."""
    found: Tensors = {}
    for name, weight in model.items():
        if name.endswith("qkv.weight"):
            base = f"diffusion_model.{name.removesuffix('.weight')}"
            found[f"{base}.lora_A.weight"] = torch.randn(rank, weight.shape[1]) / 10
            found[f"{base}.lora_B.weight"] = torch.randn(weight.shape[0], rank) / 10
    return found


SIGLIP = SiglipSizes(width=72, layers=23, inner=72, patch=14, positions=16)
STYLE = StyleSizes(seen=16, tokens=2, encoder=72, width=128)


def small_nets() -> Iterator[tuple[str, Tensors, dict[str, str]]]:
    """What stands beside a model: SigLIP, Redux, USO's projector, a control network."""
    yield "clip_vision/siglip.safetensors", prefixed("", seeded(lambda: Siglip(SIGLIP), 5)), {}
    redux = prefixed("", seeded(lambda: Redux(72, 96, TEXT), 6))
    yield "style_models/flux-redux.safetensors", redux, {}
    yield (
        "model_patches/uso-projector.safetensors",
        prefixed(PREFIX, seeded(lambda: StyleTokens(STYLE), 7)),
        {},
    )
    shapes = {name: tuple(each.shape) for name, each in FluxControl(UNION).state_dict().items()}
    union = {name: tensor_for(name, shape) for name, shape in shapes.items()}
    yield "controlnet/flux-union.safetensors", union, {}


UNION = ControlSizes(
    width=128, channels=16, text=TEXT, vector=POOLED, doubles=1, singles=1, guidance=True, modes=8, seen=64
)


def files() -> Iterator[tuple[str, Tensors, dict[str, str]]]:
    """Those that examples name: where it lies, its tensors, its metadata."""
    dev = flux(DEV)
    yield "diffusion_models/flux1-dev.safetensors", dev, {}
    yield "diffusion_models/flux1-tuned.safetensors", flux(DEV, "tuned "), {}
    yield "diffusion_models/flux1-kontext.safetensors", dev, {}
    yield "diffusion_models/flux1-fill.safetensors", flux(FILL), {}
    yield "diffusion_models/flux1-depth.safetensors", flux(DEPTH), {}
    yield "loras/flux-style.safetensors", lora(dev), {}
    yield "vae/flux-ae.safetensors", autoencoder(), METADATA
    yield from small_nets()
