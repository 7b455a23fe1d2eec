"""What can be connected: the values on links, each under the name of its socket.

Values are the ecosystem's own shapes; dictionaries may carry more keys than named, and those pass through.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, NamedTuple, Required, TypedDict

from torch import Tensor

from execution.node import Socket, Tip


class LatentValue(TypedDict, total=False):
    """`samples`: B×C×H×W; `noise_mask`: where to sample anew; `batch_index`: the noise number of each row."""

    samples: Required[Tensor]
    noise_mask: Tensor
    batch_index: list[int]


Image = Annotated[Tensor, Socket("IMAGE")]
"""B×H×W×C, 0…1."""
Mask = Annotated[Tensor, Socket("MASK")]
"""B×H×W, 1 where it applies."""
Latent = Annotated[LatentValue, Socket("LATENT")]
Conditioning = Annotated[Sequence[Any], Socket("CONDITIONING")]
"""`[[embedding B×T×C, {"pooled_output": …, "area": …, …}], …]`."""
Sigmas = Annotated[Tensor, Socket("SIGMAS")]
"""Falling noise levels, the last one usually 0."""
LatentOperation = Annotated[Callable[..., Tensor], Socket("LATENT_OPERATION")]
"""Called as `operation(latent=tensor)`."""
ClipVisionOutput = Annotated[Mapping[str, Any], Socket("CLIP_VISION_OUTPUT")]

Picture = Annotated[Image, Tip("The image, or a batch of images.")]


class ImageAndMask(NamedTuple):
    """A picture with its transparency, or with where it is to be painted."""

    IMAGE: Image
    MASK: Mask
