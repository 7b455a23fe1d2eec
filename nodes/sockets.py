"""What can be connected: the values on links, each under the name of its socket.

Values are the ecosystem's own shapes; dictionaries may carry more keys than named, and those pass through.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, NamedTuple, Protocol, Required, TypedDict

from torch import Tensor

from diffusion import samplers
from diffusion.control import chain as control
from diffusion.control import gligen, photomaker, style_model
from diffusion.guidance import guidance
from diffusion.latents.autoencoder import VAE
from diffusion.model import Model as DiffusionModel
from diffusion.networks import vision
from diffusion.text.encoding import TextEncoder
from diffusion.upscaling import upscaler
from execution.declare.node import Socket, Tip


class LatentValue(TypedDict, total=False):
    """`samples`: B×C×H×W; `noise_mask`: where to sample anew; `batch_index`: the noise number of each row."""

    samples: Required[Tensor]
    noise_mask: Tensor
    batch_index: list[int]


class NoiseSource(Protocol):
    """Starting noise, drawn when the latent's size is known."""

    @property
    def seed(self) -> int:
        """The seed of the noise inside the steps too."""

    def __call__(self, latent: Tensor, rows: Sequence[int] | None = None) -> Tensor:
        """Noise like `latent`; `rows` are the noise numbers of its rows."""


Image = Annotated[Tensor, Socket("IMAGE")]
"""B×H×W×C, 0…1."""
Mask = Annotated[Tensor, Socket("MASK")]
"""B×H×W, 1 where it applies."""
Latent = Annotated[LatentValue, Socket("LATENT")]
Conditioning = Annotated[Sequence[Any], Socket("CONDITIONING")]
"""`[[embedding B×T×C, {"pooled_output": …, "area": …, …}], …]`."""
Sigmas = Annotated[Tensor, Socket("SIGMAS")]
"""Falling noise levels, the last one usually 0."""
Model = Annotated[DiffusionModel, Socket("MODEL")]
Clip = Annotated[TextEncoder, Socket("CLIP")]
Vae = Annotated[VAE, Socket("VAE")]
ControlNet = Annotated[control.ControlNetwork, Socket("CONTROL_NET")]
ClipVision = Annotated[vision.VisionEncoder, Socket("CLIP_VISION")]
StyleModel = Annotated[style_model.StyleModel, Socket("STYLE_MODEL")]
PhotoMaker = Annotated[photomaker.PhotoMaker, Socket("PHOTOMAKER")]
Gligen = Annotated[gligen.Gligen, Socket("GLIGEN")]
UpscaleModel = Annotated[upscaler.Upscaler, Socket("UPSCALE_MODEL")]
Sampler = Annotated[samplers.Sampler, Socket("SAMPLER")]
Guider = Annotated[guidance.Guider, Socket("GUIDER")]
Noise = Annotated[NoiseSource, Socket("NOISE")]
LatentOperation = Annotated[Callable[..., Tensor], Socket("LATENT_OPERATION")]
"""Called as `operation(latent=tensor)`."""
ClipVisionOutput = Annotated[Mapping[str, Any], Socket("CLIP_VISION_OUTPUT")]

Picture = Annotated[Image, Tip("The image, or a batch of images.")]


class ImageAndMask(NamedTuple):
    """A picture with its transparency, or with where it is to be painted."""

    IMAGE: Image
    MASK: Mask
