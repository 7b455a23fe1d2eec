"""Small random models of Qwen-Image and what goes with them, under the names of their files."""

from collections.abc import Iterator

from torch import Tensor, nn

from diffusion.families.qwen_image.beside import BesideNet, BesideSizes
from diffusion.families.qwen_image.control import ControlSizes, QwenControl
from diffusion.families.qwen_image.network import QwenImage, QwenSizes
from diffusion.latents.wan_vae import LAYOUT, WanSizes, WanVAE
from tests.diffusion.small_models import as_weights, prefixed, seeded
from tests.golden.weights import tensor_for

Tensors = dict[str, Tensor]

TEXT = 16  # width of the small Qwen2.5-VL
SIZES = QwenSizes(width=128, in_channels=16, out_channels=16, text=TEXT, depth=2)
CONTROL = ControlSizes(width=128, channels=16, text=TEXT, depth=1, seen=64)
CANNY = BesideSizes(width=128, seen=64, depth=2)
AUTOENCODER = WanSizes(width=8, channels=16)


def tensors_of(module: nn.Module, salt: str = "") -> Tensors:
    """Random tensors for all of a module's parameters; `salt` makes others."""
    return {name: tensor_for(salt + name, tuple(each.shape)) for name, each in module.state_dict().items()}


def autoencoder() -> Tensors:
    """Wan's autoencoder under its own names."""
    written = LAYOUT.written(as_weights(tensors_of(WanVAE(AUTOENCODER))))
    return {name: each.read() for name, each in written.items()}


def files() -> Iterator[tuple[str, Tensors, dict[str, str]]]:
    """Those that examples name: where it lies, its tensors, its metadata."""
    yield "diffusion_models/qwen_image.safetensors", tensors_of(QwenImage(SIZES)), {}
    yield "diffusion_models/qwen_image_tuned.safetensors", tensors_of(QwenImage(SIZES), "tuned "), {}
    yield "diffusion_models/qwen_image_edit.safetensors", tensors_of(QwenImage(SIZES), "edit "), {}
    yield "controlnet/qwen-image-union.safetensors", tensors_of(QwenControl(CONTROL), "control "), {}
    canny = prefixed("", seeded(lambda: BesideNet(CANNY), 8))
    yield "model_patches/qwen_image_canny_diffsynth.safetensors", canny, {}
    yield "vae/qwen_image_vae.safetensors", autoencoder(), {}
