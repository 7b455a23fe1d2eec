"""Conditioning for models that go on from a picture: enlarged, set in motion, or seen from elsewhere."""

from typing import Annotated, NamedTuple

import torch

from diffusion.images import resize
from execution.node import Range, Tip, node
from nodes.conditioning import AnyConditioning, with_values
from nodes.sockets import Conditioning, Latent, Picture


class Start(NamedTuple):
    """What to go towards, what away from, and the empty latent to do it in."""

    positive: Conditioning
    negative: Conditioning
    latent: Latent


@node("SD_4XUpscale_Conditioning", category="conditioning/upscale_diffusion", display_name=None)
def upscale_conditioning(
    images: Picture,
    positive: AnyConditioning,
    negative: AnyConditioning,
    scale_ratio: Annotated[
        float, Range(0.0, 10.0, step=0.01), Tip("How much larger the result is; the model is made for 4.")
    ] = 4.0,
    noise_augmentation: Annotated[
        float, Range(0.0, 1.0, step=0.001), Tip("How much to noise the picture; more invents more detail.")
    ] = 0.0,
) -> Start:
    """SD_4XUpscale_Conditioning.

    Gives the picture to be enlarged to the Stable Diffusion x4 upscaler.
    """
    width, height = (max(1, round(side * scale_ratio) // 4) for side in (images.shape[2], images.shape[1]))
    small = resize(images[..., :3].movedim(-1, 1) * 2 - 1, width, height, "bilinear", "center")
    facts = {"concat_image": small, "noise_augmentation": noise_augmentation}
    latent = torch.zeros(len(images), 4, height, width)
    return Start(with_values(positive, **facts), with_values(negative, **facts), {"samples": latent})
