"""Small random models of HunyuanImage, under the names of their files."""

from collections.abc import Iterator

from torch import Tensor

from diffusion.families.hunyuan_image.layout import LAYOUT
from diffusion.families.hunyuan_image.network import HunyuanImage, HunyuanImageSizes
from diffusion.latents.hunyuan_vae import HunyuanVAE, HunyuanVAESizes
from tests.diffusion.small_models import as_weights
from tests.nodes.small_qwen import TEXT, tensors_of

Tensors = dict[str, Tensor]

SIZES = HunyuanImageSizes(
    width=128,
    in_channels=64,
    out_channels=64,
    patch=(1, 1),
    text=TEXT,
    doubles=1,
    singles=1,
    refiners=1,
)
LEVELS = (32,) * 5
AUTOENCODER = HunyuanVAESizes(64, (*LEVELS, 128), (128, 64, *LEVELS[:4]), blocks=1)


def files() -> Iterator[tuple[str, Tensors, dict[str, str]]]:
    """Those that examples name: where it lies, its tensors, its metadata."""
    written = LAYOUT.written(as_weights(tensors_of(HunyuanImage(SIZES))))
    tensors = {name: each.read() for name, each in written.items()}
    yield "diffusion_models/hunyuan_image_2.1.safetensors", tensors, {}
    yield "vae/hunyuan_image_2.1_vae.safetensors", tensors_of(HunyuanVAE(AUTOENCODER)), {}
